/**
 * What people are told of their registrations, and the jobs that tell them.
 *
 * @module
 */
import { z } from "zod";
import { defineJob } from "../../lib/jobs/job.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import { Event } from "./events.ts";
import type { State } from "./state.ts";

export const noticeTypes = [
  "confirmed",
  "waitlisted",
  "promoted",
  "offered",
  "offer_shortened",
  "offer_lapsed",
  "cancelled",
  "reminder",
] as const;
export type NoticeType = typeof noticeTypes[number];

const NoticeType = z.enum(noticeTypes);
const time = z.iso.datetime();

/** A person is told the same only once. */
const Notice = z.object({
  userId: z.string(),
  eventId: z.string(),
  type: NoticeType,
  at: time,
  correlationId: z.uuid(),
  /** Of an offer. */
  expiresAt: time.exactOptional(),
});
export type Notice = z.infer<typeof Notice>;

/** As many as surely fit into a payload: of each, 1,200 bytes at most name the person, 250 say the rest. */
export const NOTICES_MAX = 40;

/**
 * Brings notices to whom they are for. Several to a job: what one costs, forty cost, and a rush for
 * tickets makes them by the ten thousand. It leaves nothing behind but the notices.
 */
export const deliverNotices = defineJob({
  type: "live_event.deliver_notices",
  queue: "notices",
  payload: z.object({ notices: z.array(Notice).max(NOTICES_MAX) }),
  retentionMs: 0,
});

/** Tells everyone whom it concerns of something that befell the whole event. */
export const tellAttendees = defineJob({
  type: "live_event.tell_attendees",
  queue: "notices",
  payload: z.object({ eventId: z.string(), type: z.enum(["cancelled", "reminder"]), at: time }),
  priority: 4,
  timeoutMs: 10 * 60_000,
});

/** What the notifier needs to hear of. */
export const noticedTypes = [
  "Registered",
  "Waitlisted",
  "Promoted",
  "Offered",
  "OfferShortened",
  "Lapsed",
  "Cancelled",
  "Reminded",
] as const satisfies readonly Event["type"][];

const noticeOf = {
  Registered: "confirmed",
  Waitlisted: "waitlisted",
  Promoted: "promoted",
  Offered: "offered",
  OfferShortened: "offer_shortened",
  Lapsed: "offer_lapsed",
} as const;

/** The notice to the one person whom an event is about; undefined if it is about no one person. */
export function noticeIn({ address, at, data, correlationId }: FeedEvent): Notice | undefined {
  const event = Event.parse(data);
  if (!(event.type in noticeOf) || !("userId" in event)) return undefined;
  return {
    userId: event.userId,
    eventId: address.key,
    type: noticeOf[event.type as keyof typeof noticeOf],
    at: new Date(at).toISOString(),
    correlationId,
    ...("expiresAt" in event && { expiresAt: event.expiresAt }),
  };
}

/** What everyone is to be told of, by one event about them all. */
export function announcementIn({ type }: FeedEvent): "cancelled" | "reminder" | undefined {
  if (type === "Cancelled") return "cancelled";
  return type === "Reminded" ? "reminder" : undefined;
}

/** Whom it concerns: of the coming start those who have a seat, of the end of it all everyone. */
export function* concernedBy(type: "cancelled" | "reminder", state: State): Iterable<string> {
  for (const { userId, status } of state.registrations.values()) {
    if (type === "cancelled" || status === "confirmed") yield userId;
  }
}
