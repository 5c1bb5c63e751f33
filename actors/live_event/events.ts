/** What is recorded of a live event. */
import { z } from "zod";

const time = z.iso.datetime();
const registration = { registrationId: z.string(), userId: z.string() };

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("Scheduled"),
    organizerId: z.string(),
    title: z.string(),
    description: z.string().exactOptional(),
    venue: z.string().exactOptional(),
    startsAt: time,
    endsAt: time,
    capacity: z.int(),
    waitlistCapacity: z.int().exactOptional(),
    offerMinutes: z.int().exactOptional(),
  }),
  /** Holds only what changed. */
  z.object({
    type: z.literal("Revised"),
    title: z.string().exactOptional(),
    description: z.string().exactOptional(),
    venue: z.string().exactOptional(),
    startsAt: time.exactOptional(),
    endsAt: time.exactOptional(),
    capacity: z.int().exactOptional(),
    waitlistCapacity: z.int().exactOptional(),
    offerMinutes: z.int().exactOptional(),
  }),
  z.object({ type: z.literal("Published") }),
  z.object({ type: z.literal("Cancelled") }),
  z.object({ type: z.literal("Completed") }),
  /** It is a day before that start. */
  z.object({ type: z.literal("Reminded"), startsAt: time }),
  z.object({ type: z.literal("Registered"), ...registration }),
  z.object({ type: z.literal("Waitlisted"), ...registration, position: z.int() }),
  z.object({ type: z.literal("Promoted"), ...registration }),
  /** A seat is kept for who waited, up to that time. */
  z.object({ type: z.literal("Offered"), ...registration, expiresAt: time }),
  /** An open offer ends earlier than was said: the start was moved. */
  z.object({ type: z.literal("OfferShortened"), ...registration, expiresAt: time }),
  z.object({ type: z.literal("Accepted"), ...registration }),
  /** Nobody answered the offer, and whom it was for is out of the line. */
  z.object({ type: z.literal("Lapsed"), ...registration }),
  /** With what was given up. */
  z.object({
    type: z.literal("Withdrawn"),
    ...registration,
    status: z.enum(["confirmed", "waitlisted", "offered"]),
  }),
]);
export type Event = z.infer<typeof Event>;
