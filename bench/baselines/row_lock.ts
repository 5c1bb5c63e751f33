/**
 * Baseline: a transaction per request around `select … for update`, as most services are written.
 *
 *     deno run --allow-net=127.0.0.1 --allow-env bench/baselines/row_lock.ts
 *
 * Four round trips: begin; lock the event and look for the person; the three writes; commit. What
 * can be sent together is sent together, every statement is prepared, and the rules are decided in
 * TypeScript between lock and write.
 *
 * @module
 */
import type postgres from "postgres";
import {
  type EventRow,
  type Refusal,
  refusalOf,
  type Register,
  type Registered,
  type Registration,
  serveBaseline,
} from "./api.ts";

const lockEvent = `
  select organizer_id, is_published, starts_at <= now() as has_started, capacity,
    waitlist_capacity, confirmed, waitlisted, version
  from live_event where id = $1 for update`;

const findRegistration = `select 1 from registration where event_id = $1 and user_id = $2`;

const insertRegistration = `
  insert into registration (event_id, user_id, registration_id, status, position)
  values ($1, $2, $3, $4, $5)`;

const insertHappening = `
  insert into happening (event_id, version, type, data, principal)
  values ($1, $2, $3, $4::text::jsonb, $5)`;

const updateEvent = `
  update live_event set confirmed = $2, waitlisted = $3, version = $4 where id = $1`;

export function rowLock(sql: postgres.Sql): Register {
  return async (registration) => await sql.begin((tx) => register(tx, registration));
}

async function register(
  tx: postgres.TransactionSql,
  registration: Registration,
): Promise<Registered | Refusal> {
  const { eventId, userId, callerId, registrationId } = registration;
  // The second statement begins after the first has its lock, with a snapshot of its own: it sees
  // whatever the previous holder committed. As one statement with the first it would not.
  const [[row], [double]] = await Promise.all([
    tx.unsafe<EventRow[]>(lockEvent, [eventId], { prepare: true }),
    tx.unsafe(findRegistration, [eventId, userId], { prepare: true }),
  ]);
  const refusal = double ? "already-registered" : refusalOf(row, registration);
  if (refusal || !row) return refusal ?? "not-found";

  const version = row.version + 1;
  const isSeated = row.confirmed < row.capacity;
  const registered: Registered = isSeated
    ? { status: "confirmed", version }
    : { status: "waitlisted", position: row.waitlisted + 1, version };
  const position = "position" in registered ? registered.position : null;
  const confirmed = row.confirmed + (isSeated ? 1 : 0);
  const waitlisted = row.waitlisted + (isSeated ? 0 : 1);
  const type = isSeated ? "Registered" : "Waitlisted";
  const data = JSON.stringify({ registrationId, userId, position });
  await Promise.all([
    tx.unsafe(
      insertRegistration,
      [eventId, userId, registrationId, registered.status, position],
      { prepare: true },
    ),
    tx.unsafe(insertHappening, [eventId, version, type, data, callerId], { prepare: true }),
    tx.unsafe(updateEvent, [eventId, confirmed, waitlisted, version], { prepare: true }),
  ]);
  return registered;
}

if (import.meta.main) await serveBaseline(rowLock, { poolMax: 16 });
