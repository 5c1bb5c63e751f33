/**
 * Live events and registrations as tables, for the lists that no single actor can answer.
 *
 * @module
 */
import { type Generated, type QueryExecutorProvider, sql } from "kysely";
import type { Projection } from "../../lib/runtime/projector.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import { Event, kind } from "./aggregate.ts";
import type { Plan, RegistrationStatus, Status } from "./state.ts";

// A type, not an interface: Kysely extends a database only by what has an index signature.
export type LiveEventTables = {
  live_event: {
    id: string;
    organizer_id: string;
    title: string;
    description: string | null;
    venue: string | null;
    starts_at: Date;
    ends_at: Date;
    status: Status;
    capacity: number;
    waitlist_capacity: number | null;
    offer_minutes: number | null;
    confirmed: number;
    waitlisted: number;
    offered: number;
    version: number;
    search: Generated<string>;
  };
  registration: {
    event_id: string;
    arrival: number;
    registration_id: string;
    user_id: string;
    status: RegistrationStatus;
    registered_at: Date;
    /** Only while it is offered a seat. */
    offer_expires_at: Date | null;
  };
};

/** What a page of events changes about one live event. */
interface EventChange extends Partial<Plan> {
  readonly id: string;
  organizerId?: string;
  status?: Status;
  /** Added to what is there. */
  confirmed: number;
  waitlisted: number;
  offered: number;
  version: number;
}

interface RegistrationChange {
  readonly eventId: string;
  readonly registrationId: string;
  readonly userId: string;
  /** Of the first event about it in the page; ignored where the row exists. */
  readonly arrival: number;
  readonly at: string;
  readonly status: RegistrationStatus;
  readonly offerExpiresAt?: string;
}

/** Takes pages of any size in two statements, however many live events they speak of. */
export const projection: Projection<QueryExecutorProvider> = {
  name: "live_event_listing",
  tables: ["live_event", "registration"],
  kind,
  async apply(transaction, recorded) {
    const { events, registrations } = changesOf(recorded);
    await writeEvents(transaction, [...events.values()]);
    await writeRegistrations(transaction, [...registrations.values()]);
  },
};

function changesOf(recorded: readonly FeedEvent[]) {
  const events = new Map<string, EventChange>();
  const registrations = new Map<string, RegistrationChange>();
  for (const { address: { key: id }, version, at, data } of recorded) {
    const event = Event.parse(data);
    const before = events.get(id) ?? { id, confirmed: 0, waitlisted: 0, offered: 0, version };
    events.set(id, { ...before, ...detailsOf(event), ...countsAfter(before, event), version });
    if (!("registrationId" in event)) continue;
    const { registrationId, userId } = event;
    const first = registrations.get(registrationId);
    registrations.set(registrationId, {
      eventId: id,
      registrationId,
      userId,
      arrival: first?.arrival ?? version,
      at: first?.at ?? new Date(at).toISOString(),
      status: statusAfter[event.type],
      ...("expiresAt" in event && { offerExpiresAt: event.expiresAt }),
    });
  }
  return { events, registrations };
}

const statusAfter = {
  Registered: "confirmed",
  Waitlisted: "waitlisted",
  Promoted: "confirmed",
  Offered: "offered",
  OfferShortened: "offered",
  Accepted: "confirmed",
  Lapsed: "lapsed",
  Withdrawn: "withdrawn",
} as const satisfies Partial<Record<Event["type"], RegistrationStatus>>;

function detailsOf(event: Event): Partial<EventChange> {
  switch (event.type) {
    case "Scheduled": {
      const { type: _, ...details } = event;
      return { ...details, status: "draft" };
    }
    case "Revised": {
      const { type: _, ...changes } = event;
      return changes;
    }
    case "Published":
      return { status: "published" };
    case "Cancelled":
      return { status: "cancelled" };
    case "Completed":
      return { status: "completed" };
    default:
      return {};
  }
}

function countsAfter({ confirmed, waitlisted, offered }: EventChange, event: Event) {
  switch (event.type) {
    case "Registered":
      return { confirmed: confirmed + 1 };
    case "Waitlisted":
      return { waitlisted: waitlisted + 1 };
    case "Promoted":
      return { confirmed: confirmed + 1, waitlisted: waitlisted - 1 };
    case "Offered":
      return { offered: offered + 1, waitlisted: waitlisted - 1 };
    case "Accepted":
      return { confirmed: confirmed + 1, offered: offered - 1 };
    case "Lapsed":
      return { offered: offered - 1 };
    case "Withdrawn": {
      const { status } = event;
      const before = { confirmed, waitlisted, offered };
      return { [status]: before[status] - 1 };
    }
    default:
      return {};
  }
}

/** Inserts those that were scheduled in this page, then adds the changes to all. */
async function writeEvents(
  transaction: QueryExecutorProvider,
  changes: readonly EventChange[],
): Promise<void> {
  const rows = JSON.stringify(changes);
  await sql`
    insert into live_event (id, organizer_id, title, starts_at, ends_at, status, capacity,
      confirmed, waitlisted, offered, version)
    select r.id, r."organizerId", r.title, r."startsAt", r."endsAt", 'draft', r.capacity, 0, 0, 0, 0
    from jsonb_to_recordset(${rows}::text::jsonb) as r(id text, "organizerId" text, title text,
      "startsAt" timestamptz, "endsAt" timestamptz, capacity integer)
    where r."organizerId" is not null
    on conflict (id) do nothing`.execute(transaction);
  await sql`
    update live_event e set
      title = coalesce(r.title, e.title),
      description = coalesce(r.description, e.description),
      venue = coalesce(r.venue, e.venue),
      starts_at = coalesce(r."startsAt", e.starts_at),
      ends_at = coalesce(r."endsAt", e.ends_at),
      status = coalesce(r.status, e.status),
      capacity = coalesce(r.capacity, e.capacity),
      waitlist_capacity = coalesce(r."waitlistCapacity", e.waitlist_capacity),
      offer_minutes = coalesce(r."offerMinutes", e.offer_minutes),
      confirmed = e.confirmed + r.confirmed,
      waitlisted = e.waitlisted + r.waitlisted,
      offered = e.offered + r.offered,
      version = r.version
    from jsonb_to_recordset(${rows}::text::jsonb) as r(id text, title text, description text,
      venue text, "startsAt" timestamptz, "endsAt" timestamptz, status text, capacity integer,
      "waitlistCapacity" integer, "offerMinutes" integer, confirmed integer, waitlisted integer,
      offered integer, version bigint)
    where e.id = r.id`.execute(transaction);
}

async function writeRegistrations(
  transaction: QueryExecutorProvider,
  changes: readonly RegistrationChange[],
): Promise<void> {
  if (changes.length === 0) return;
  await sql`
    insert into registration (event_id, registration_id, user_id, arrival, registered_at, status,
      offer_expires_at)
    select r."eventId", r."registrationId", r."userId", r.arrival, r.at, r.status,
      r."offerExpiresAt"
    from jsonb_to_recordset(${JSON.stringify(changes)}::text::jsonb) as r("eventId" text,
      "registrationId" uuid, "userId" text, arrival bigint, at timestamptz, status text,
      "offerExpiresAt" timestamptz)
    on conflict (registration_id) do update set
      status = excluded.status, offer_expires_at = excluded.offer_expires_at`
    .execute(transaction);
}
