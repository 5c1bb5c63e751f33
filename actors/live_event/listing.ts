/**
 * Queries over what the projection has written.
 *
 * Pages are cut by the last row's sort key, so that rows that come or go never shift them.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Principal } from "../../lib/runtime/envelope.ts";
import type { LiveEventTables } from "./projection.ts";
import type { RegistrationStatus, Status } from "./state.ts";

export interface EventFilter {
  readonly status?: Status;
  /** Starting at or after. */
  readonly from?: Date;
  /** Starting before. */
  readonly to?: Date;
  readonly organizerId?: string;
  /** Words, as a search engine takes them: all must occur; "-word" must not. */
  readonly text?: string;
}

export interface EventsAfter {
  readonly startsAt: Date;
  readonly id: string;
}

type EventRow = Awaited<ReturnType<typeof listEvents>>[number];
export type ListedEvent = EventRow;

/** By start, then id. Drafts are shown to their organizer and to admins alone. */
export async function listEvents(
  db: Kysely<LiveEventTables>,
  principal: Principal,
  { status, from, to, organizerId, text }: EventFilter,
  after: EventsAfter | undefined,
  limit: number,
) {
  const isAdmin = principal.roles.includes("admin");
  return await db.selectFrom("live_event")
    .select([
      "id",
      "title",
      "description",
      "venue",
      "starts_at as startsAt",
      "ends_at as endsAt",
      "capacity",
      "waitlist_capacity as waitlistCapacity",
      "offer_minutes as offerMinutes",
      "status",
      "organizer_id as organizerId",
      "confirmed",
      "waitlisted",
      "offered",
      "version",
    ])
    .$if(
      !isAdmin,
      (query) =>
        query.where((where) =>
          where.or([where("status", "<>", "draft"), where("organizer_id", "=", principal.id)])
        ),
    )
    .$if(status !== undefined, (query) => query.where("status", "=", status!))
    .$if(from !== undefined, (query) => query.where("starts_at", ">=", from!))
    .$if(to !== undefined, (query) => query.where("starts_at", "<", to!))
    .$if(organizerId !== undefined, (query) => query.where("organizer_id", "=", organizerId!))
    .$if(
      text !== undefined,
      (query) => query.where(sql<boolean>`search @@ websearch_to_tsquery('simple', ${text})`),
    )
    .$if(
      after !== undefined,
      (query) => query.where(sql<boolean>`(starts_at, id) > (${after!.startsAt}, ${after!.id})`),
    )
    .orderBy("starts_at").orderBy("id")
    .limit(limit)
    .execute();
}

/** In the order of arrival, which for those who wait is the order of their promotion. */
export async function listRegistrations(
  db: Kysely<LiveEventTables>,
  eventId: string,
  status: RegistrationStatus | undefined,
  afterArrival: number,
  limit: number,
) {
  return await db.selectFrom("registration")
    .select([
      "registration_id as registrationId",
      "user_id as userId",
      "status",
      "offer_expires_at as offerExpiresAt",
      "registered_at as registeredAt",
      "arrival",
    ])
    .where("event_id", "=", eventId)
    .where("arrival", ">", afterArrival)
    .$if(status !== undefined, (query) => query.where("status", "=", status!))
    .orderBy("arrival")
    .limit(limit)
    .execute();
}

export interface RegistrationsBefore {
  readonly registeredAt: Date;
  readonly registrationId: string;
}

/** Those of one user, the newest first, each with what its event is. */
export async function listRegistrationsOf(
  db: Kysely<LiveEventTables>,
  userId: string,
  before: RegistrationsBefore | undefined,
  limit: number,
) {
  return await db.selectFrom("registration")
    .innerJoin("live_event", "live_event.id", "registration.event_id")
    .select([
      "registration.registration_id as registrationId",
      "registration.event_id as eventId",
      "registration.status as status",
      "registration.offer_expires_at as offerExpiresAt",
      "registration.registered_at as registeredAt",
      "live_event.title as title",
      "live_event.starts_at as startsAt",
      "live_event.status as eventStatus",
    ])
    .where("registration.user_id", "=", userId)
    .$if(
      before !== undefined,
      (query) =>
        query.where(sql<boolean>`(registration.registered_at, registration.registration_id)
        < (${before!.registeredAt}, ${before!.registrationId}::text::uuid)`),
    )
    .orderBy("registration.registered_at", "desc").orderBy("registration.registration_id", "desc")
    .limit(limit)
    .execute();
}
