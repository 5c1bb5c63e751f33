/** What the live-event routes accept. Rules beyond shape are the aggregate's. */
import { z } from "zod";
import { registrationStatuses, statuses } from "../actors/live_event/state.ts";
import { pageParameters, placeIn } from "../lib/http/pages.ts";
import { text } from "../lib/http/text.ts";

const SEATS_MAX = 1_000_000;
const OFFER_MINUTES_MAX = 7 * 24 * 60;

const FIRST_TIME = Date.parse("0001-01-01T00:00:00Z");
const LAST_TIME = Date.parse("9999-12-31T23:59:59.999Z");

// Kept as `toISOString` writes them, so that equal times are equal texts. Offsets lead into years
// of which it makes texts that nothing else can read.
const instant = z.iso.datetime({ offset: true }).max(40)
  .refine((time) => isBetween(Date.parse(time), FIRST_TIME, LAST_TIME), {
    error: "Must be a time that exists, in the years 1 to 9999",
  })
  .transform((time) => new Date(time).toISOString());
const date = instant.transform((time) => new Date(time));
const userId = text({ min: 1, max: 200 });

const plan = {
  title: text({ min: 1, max: 200 }),
  description: text({ max: 5_000 }).exactOptional(),
  venue: text({ max: 200 }).exactOptional(),
  startsAt: instant,
  endsAt: instant,
  capacity: z.int().min(1).max(SEATS_MAX),
  waitlistCapacity: z.int().min(0).max(SEATS_MAX).exactOptional(),
  offerMinutes: z.int().min(1).max(OFFER_MINUTES_MAX).exactOptional(),
};

export const NewEvent = z.strictObject(plan);
export const EventChanges = z.strictObject({
  ...plan,
  title: plan.title.exactOptional(),
  startsAt: plan.startsAt.exactOptional(),
  endsAt: plan.endsAt.exactOptional(),
  capacity: plan.capacity.exactOptional(),
});
export const Registrant = z.strictObject({ userId: userId.exactOptional() });

// Ids are compared as text, and every UUID of ours is in lower case.
const uuid = z.uuid().toLowerCase();

export const EventPath = z.object({ id: uuid });
export const RegistrationPath = EventPath.extend({ registrationId: uuid });

const version = z.string().regex(/^[1-9][0-9]{0,14}$/).transform(Number);

export const EventQuery = z.strictObject({ version: version.exactOptional() });

export const EventListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([date, z.uuid()])).exactOptional(),
  status: z.enum(statuses).exactOptional(),
  from: date.exactOptional(),
  to: date.exactOptional(),
  organizerId: userId.exactOptional(),
  q: text({ min: 1, max: 200 }).exactOptional(),
});

const count = z.int().min(0);

export const RegistrationListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([count])).exactOptional(),
  status: z.enum(registrationStatuses).exactOptional(),
});

export const HistoryQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([count])).exactOptional(),
});

export const OwnRegistrationsQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([date, z.uuid()])).exactOptional(),
});

export const OwnNoticesQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([date, z.string().max(100), z.string().max(50)])).exactOptional(),
});

/** The body of a command that takes none. */
export const Nothing = z.strictObject({});

function isBetween(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}
