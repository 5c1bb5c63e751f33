/** What the live-event routes accept and answer. Rules beyond shape are the aggregate's. */
import { z } from "zod";
import { noticeTypes } from "../actors/live_event/notices.ts";
import { registrationStatuses, statuses } from "../actors/live_event/state.ts";
import { date, instant, time } from "../lib/http/instant.ts";
import { pageParameters, pageSchema, placeIn } from "../lib/http/pages.ts";
import { storable, text } from "../lib/http/text.ts";

const SEATS_MAX = 1_000_000;
const OFFER_MINUTES_MAX = 7 * 24 * 60;

const userId = text({ min: 1, max: 200 });

const capacity = z.int().min(1).max(SEATS_MAX).describe("How many seats there are");
const room = {
  waitlistCapacity: z.int().min(0).max(SEATS_MAX).exactOptional()
    .describe("How many may wait at most; without it, any number"),
  offerMinutes: z.int().min(1).max(OFFER_MINUTES_MAX).exactOptional()
    .describe(
      "How long a freed seat is kept for whom it is offered to; without it, it is theirs at once",
    ),
};
const words = {
  title: text({ min: 1, max: 200 }),
  description: text({ max: 5_000, hasLines: true }).exactOptional(),
  venue: text({ max: 200 }).exactOptional(),
};
const plan = { ...words, startsAt: instant, endsAt: instant, capacity, ...room };

const planned = {
  title: "Recital",
  venue: "Small hall",
  startsAt: "2040-06-01T18:00:00.000Z",
  endsAt: "2040-06-01T20:00:00.000Z",
  capacity: 120,
  waitlistCapacity: 40,
};

export const NewEvent = z.strictObject(plan).meta({ id: "NewLiveEvent", examples: [planned] });
export const EventChanges = z.strictObject({
  ...plan,
  title: plan.title.exactOptional(),
  startsAt: plan.startsAt.exactOptional(),
  endsAt: plan.endsAt.exactOptional(),
  capacity: plan.capacity.exactOptional(),
}).meta({ id: "LiveEventChanges", examples: [{ venue: "Great hall", capacity: 400 }] });
export const Registrant = z.strictObject({
  userId: userId.exactOptional().describe("Whom the organizer registers; without it, the caller"),
}).meta({ id: "Registrant", examples: [{}, { userId: "alice" }] });

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
  q: storable({ min: 1, max: 200 }).exactOptional(),
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

const id = z.uuid();
const versionOf = z.int().min(1).describe("How many events it has; its `ETag`");

export const LiveEvent = z.strictObject({
  id,
  ...plan,
  startsAt: time,
  endsAt: time,
  status: z.enum(statuses),
  organizerId: z.string(),
  confirmed: count.describe("Seats that are taken"),
  waitlisted: count.describe("How many wait for a seat"),
  offered: count.describe("Seats kept for those they are offered to"),
  version: versionOf,
}).meta({
  id: "LiveEvent",
  examples: [{
    id: "3f0c1d6e-3c0c-4c4b-9a53-0a6a2f2d4a11",
    ...planned,
    status: "published",
    organizerId: "olivia",
    confirmed: 118,
    waitlisted: 0,
    offered: 0,
    version: 120,
  }],
});
export const LiveEvents = pageSchema(LiveEvent);

export const HistoryItem = z.strictObject({
  version: z.int().min(1),
  type: z.string(),
  data: z.record(z.string(), z.unknown()).describe("What was recorded; each type has its own"),
  at: time,
  principalId: z.string(),
  correlationId: z.guid(),
  causationId: z.guid(),
}).meta({ id: "LiveEventHistoryItem" });
export const History = pageSchema(HistoryItem);

const position = z.int().min(1).describe("In the line of those who wait, from 1");
const registrationId = id;

/** How it went. */
export const Registered = z.discriminatedUnion("status", [
  z.strictObject({ registrationId, status: z.literal("confirmed"), version: versionOf }),
  z.strictObject({ registrationId, status: z.literal("waitlisted"), position, version: versionOf }),
]).meta({
  id: "Registered",
  examples: [{
    registrationId: "8c4f7c0e-7d5b-4f4e-8a51-5b8f1f0f6a02",
    status: "waitlisted",
    position: 3,
    version: 124,
  }],
});

const person = { registrationId, userId: z.string() };

/** How somebody stands. */
export const Standing = z.discriminatedUnion("status", [
  z.strictObject({ ...person, status: z.literal("confirmed") }),
  z.strictObject({ ...person, status: z.literal("waitlisted"), position }),
  z.strictObject({ ...person, status: z.literal("offered"), offerExpiresAt: time }),
]).meta({ id: "Standing" });

const registration = {
  registrationId,
  status: z.enum(registrationStatuses),
  offerExpiresAt: time.exactOptional(),
  registeredAt: time,
};

export const Registrations = pageSchema(
  z.strictObject({ ...registration, userId: z.string() }).meta({ id: "Registration" }),
);

export const OwnRegistrations = pageSchema(
  z.strictObject({
    ...registration,
    eventId: id,
    title: z.string(),
    startsAt: time,
    eventStatus: z.enum(statuses),
  }).meta({ id: "OwnRegistration" }),
);

export const OwnNotices = pageSchema(
  z.strictObject({
    eventId: id,
    type: z.enum(noticeTypes),
    at: time,
    expiresAt: time.exactOptional().describe("Of an offer"),
    correlationId: z.guid(),
  }).meta({ id: "Notice" }),
);
