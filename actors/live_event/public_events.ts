/**
 * What of a live event is published: the events that webhooks tell of, documented in
 * docs/webhooks.md.
 *
 * The list is closed, and what a type says only ever grows. People are named by their ids alone;
 * texts that somebody wrote are left out, as nobody knows what they hold.
 *
 * @module
 */
import type { FeedEvent } from "../../lib/runtime/store.ts";
import { Event } from "./aggregate.ts";

const typeOf = {
  Scheduled: "live_event.scheduled",
  Revised: "live_event.revised",
  Published: "live_event.published",
  Cancelled: "live_event.cancelled",
  Completed: "live_event.completed",
  Registered: "live_event.registered",
  Waitlisted: "live_event.waitlisted",
  Promoted: "live_event.promoted",
  Offered: "live_event.offered",
  OfferShortened: "live_event.offer_shortened",
  Accepted: "live_event.offer_accepted",
  Lapsed: "live_event.offer_lapsed",
  Withdrawn: "live_event.withdrawn",
  Reminded: "live_event.reminded",
} as const satisfies Record<Event["type"], string>;

export const publicEventTypes = Object.values(typeOf);

export function publicEventOf({ address, version, at, data }: FeedEvent) {
  const event = Event.parse(data);
  return {
    type: typeOf[event.type],
    timestamp: new Date(at).toISOString(),
    data: { eventId: address.key, version, ...contentOf(event) },
  };
}

function contentOf(event: Event): Readonly<Record<string, unknown>> {
  const { type, ...content } = event;
  if (type !== "Scheduled" && type !== "Revised") return content;
  const { title: _, description: __, venue: ___, ...plan } = content as Partial<
    Extract<Event, { type: "Scheduled" }>
  >;
  return plan;
}
