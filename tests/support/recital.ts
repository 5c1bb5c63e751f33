/** A live event as its tests speak of it: who is there, what is asked, and what was recorded. */
import * as LiveEvent from "../../actors/live_event/aggregate.ts";
import { AT, KEY } from "./given.ts";

export const olga = { principal: { id: "olga", roles: ["organizer"] } };
export const rival = { principal: { id: "rival", roles: ["organizer"] } };
export const admin = { principal: { id: "root", roles: ["admin"] } };
export const HOUR_MS = 3_600_000;

export const [ana, ben, cho] = ["ana", "ben", "cho"] as const;
export const by = (id: string) => ({ principal: { id, roles: [] } });

export const startsAt = "2030-06-01T18:00:00.000Z";
export const endsAt = "2030-06-01T20:00:00.000Z";
export const started = Date.parse(startsAt);

export const scheduled = (
  plan: { capacity?: number; waitlistCapacity?: number; offerMinutes?: number } = {},
) =>
  ({
    type: "Scheduled",
    organizerId: "olga",
    title: "Recital",
    startsAt,
    endsAt,
    capacity: 1,
    ...plan,
  }) as const;
export const published = { type: "Published" } as const;
export const cancelled = { type: "Cancelled" } as const;
export const completed = { type: "Completed" } as const;
export const reminded = { type: "Reminded", startsAt } as const;

/** What the event tells itself for a time, at another. */
const timer = (command: LiveEvent.Command, dueAt: number, at: number) => ({
  to: { kind: LiveEvent.kind, key: KEY },
  schema: 1,
  command,
  delayMs: dueAt - at,
});
export const completion = (endsAt: string, at = AT) =>
  timer({ type: "Complete", endsAt }, Date.parse(endsAt), at);
export const reminder = (startsAt: string, at = AT) =>
  timer({ type: "Remind", startsAt }, Date.parse(startsAt) - 24 * HOUR_MS, at);
export const lapsing = (expiresAt: string, at = AT) =>
  timer({ type: "Lapse", expiresAt }, Date.parse(expiresAt), at);
export const dueAtOnce = ({ delayMs: _, ...message }: ReturnType<typeof timer>) => message;
export const open = (plan: Parameters<typeof scheduled>[0] = {}) => [scheduled(plan), published];

export const person = (userId: string) => ({ registrationId: `registration-${userId}`, userId });
export const registered = (userId: string) => ({ type: "Registered", ...person(userId) }) as const;
export const waitlisted = (userId: string, position: number) =>
  ({ type: "Waitlisted", ...person(userId), position }) as const;
export const offered = (userId: string, expiresAt: string) =>
  ({ type: "Offered", ...person(userId), expiresAt }) as const;
export const shortened = (userId: string, expiresAt: string) =>
  ({ type: "OfferShortened", ...person(userId), expiresAt }) as const;
export const accepted = (userId: string) => ({ type: "Accepted", ...person(userId) }) as const;
export const lapsed = (userId: string) => ({ type: "Lapsed", ...person(userId) }) as const;
export const promoted = (userId: string) => ({ type: "Promoted", ...person(userId) }) as const;
export const withdrawn = (
  userId: string,
  status: "confirmed" | "waitlisted" | "offered" = "confirmed",
) => ({ type: "Withdrawn", ...person(userId), status }) as const;

export const schedule = {
  type: "Schedule",
  title: "Recital",
  startsAt,
  endsAt,
  capacity: 1,
} as const;
export const register = (userId: string) => ({ type: "Register", ...person(userId) }) as const;
export const withdraw = (userId: string) =>
  ({ type: "Withdraw", registrationId: `registration-${userId}` }) as const;

export const acceptOffer = (userId: string) =>
  ({ type: "Accept", registrationId: `registration-${userId}` }) as const;
