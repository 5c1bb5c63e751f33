/**
 * Baseline: one hand-written SQL statement per request, pipelined over few connections.
 *
 *     deno run --allow-net=127.0.0.1 --allow-env bench/baselines/single_statement.ts
 *
 * The update of the event's row decides. Under READ COMMITTED it waits for whoever holds the row and
 * is then evaluated again on what they left, so seats and positions are exact without a lock taken
 * first. A person who registers twice at once is stopped by the primary key, which undoes the whole
 * statement, so that no position is lost. Only a refusal costs a second statement: it asks why.
 *
 * @module
 */
import postgres from "postgres";
import {
  type EventRow,
  type Refusal,
  refusalOf,
  type Register,
  type Registered,
  type Registration,
  serveBaseline,
  uniqueViolation,
} from "./api.ts";

// While a seat is free nobody waits, so after the update somebody waits exactly if this one does.
const registerOne = `
  with seat as (
    update live_event set
      confirmed = confirmed + (confirmed < capacity)::int,
      waitlisted = waitlisted + (confirmed >= capacity)::int,
      version = version + 1
    where id = $1 and is_published and starts_at > now() and ($2 = $4 or organizer_id = $4)
      and (confirmed < capacity or waitlist_capacity is null or waitlisted < waitlist_capacity)
    returning version, nullif(waitlisted, 0) as position
  ), registered as (
    insert into registration (event_id, user_id, registration_id, status, position)
    select $1, $2, $3::uuid, case when position is null then 'confirmed' else 'waitlisted' end, position
    from seat
  ), happened as (
    insert into happening (event_id, version, type, data, principal)
    select $1, version, case when position is null then 'Registered' else 'Waitlisted' end,
      jsonb_build_object('registrationId', $3, 'userId', $2, 'position', position), $4
    from seat
  )
  select version, position from seat`;

const findEvent = `
  select organizer_id, is_published, starts_at <= now() as has_started, capacity,
    waitlist_capacity, confirmed, waitlisted, version
  from live_event where id = $1`;

interface Seat {
  readonly version: number;
  readonly position: number | null;
}

export function singleStatement(sql: postgres.Sql): Register {
  return async (registration) => {
    const { eventId, userId, callerId, registrationId } = registration;
    try {
      const parameters = [eventId, userId, registrationId, callerId];
      const [seat] = await sql.unsafe<Seat[]>(registerOne, parameters, { prepare: true });
      return seat ? registeredAt(seat) : await whyNot(sql, registration);
    } catch (error) {
      if (!(error instanceof postgres.PostgresError)) throw error;
      if (error.code === uniqueViolation) return "already-registered";
      throw error;
    }
  };
}

function registeredAt({ version, position }: Seat): Registered {
  return position === null
    ? { status: "confirmed", version }
    : { status: "waitlisted", position, version };
}

async function whyNot(sql: postgres.Sql, registration: Registration): Promise<Refusal> {
  const [row] = await sql.unsafe<EventRow[]>(findEvent, [registration.eventId], { prepare: true });
  // What refused it may be gone by now; then the caller hears what was true a moment ago.
  return refusalOf(row, registration) ?? "sold-out";
}

if (import.meta.main) await serveBaseline(singleStatement, { poolMax: 4 });
