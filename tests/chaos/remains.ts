/** What lies in the database after it all, read for the checker. */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Tables } from "../../lib/postgres/tables.ts";
import type { Listed, Notice, Remains, RememberedReply } from "./checker.ts";
import type { RecordedEvent } from "./rules.ts";

const PAGE = 5_000;
const KIND = "live_event";

type Db = Kysely<Tables>;

export async function remainsIn(db: Db, dueBefore: Date): Promise<Remains> {
  return {
    events: recordedEvents(db),
    replies: paged<RememberedReply>(db, (after, limit) =>
      sql`
      select idempotency_key as "idempotencyKey", (outcome ->> 'accepted')::bool as "isAccepted",
        (outcome ->> 'version')::int as version, outcome ->> 'reason' as reason,
        idempotency_key as place
      from reply where idempotency_key > ${after} order by idempotency_key limit ${limit}`),
    notices: paged<Notice>(db, (after, limit) =>
      sql`
      select user_id as "userId", event_id as key, type,
        round(extract(epoch from at) * 1000)::float8 as at, ctid::text as place
      from notice where ctid > ${after || "(0,0)"}::tid order by ctid limit ${limit}`),
    listed: paged<Listed>(db, (after, limit) =>
      sql`
      select id as key, version::int as version, status, capacity::int as capacity,
        confirmed::int as confirmed, waitlisted::int as waitlisted, offered::int as offered,
        id as place
      from live_event where id > ${after} order by id limit ${limit}`),
    leftovers: await leftovers(db, dueBefore),
  };
}

/** Of what was due by then: timers that are set for later may wait. */
export async function leftovers(
  db: Db,
  dueBefore: Date,
): Promise<Readonly<Record<string, number>>> {
  const { rows } = await sql<Record<string, number>>`
    select (select count(*) from outbox where available_at <= ${dueBefore})::int
        as "messages that were due",
      (select count(*) from lane where parked_at is not null)::int as "parked lanes",
      (select count(*) from dead_letter)::int as "dead letters"`.execute(db);
  return rows[0]!;
}

async function* recordedEvents(db: Db): AsyncGenerator<RecordedEvent> {
  for (let after: readonly [key: string, version: number] = ["", 0];;) {
    const { rows } = await sql<RecordedEvent>`
      select key, version::int as version, type, data, correlation_id as "correlationId",
        causation_id as "causationId", round(extract(epoch from at) * 1000)::float8 as at
      from event
      where kind = ${KIND} and (key, version) > (${after[0]}, ${after[1]}::bigint)
      order by key, version limit ${PAGE}`.execute(db);
    yield* rows;
    const last = rows.at(-1);
    if (rows.length < PAGE || last === undefined) return;
    after = [last.key, last.version];
  }
}

async function* paged<Row>(
  db: Db,
  query: (after: string, limit: number) => RawBuilder<unknown>,
): AsyncGenerator<Row> {
  for (let after = "";;) {
    const { rows } = await (query(after, PAGE) as RawBuilder<Row & { place: string }>).execute(db);
    for (const { place: _, ...row } of rows) yield row as Row;
    const last = rows.at(-1);
    if (rows.length < PAGE || last === undefined) return;
    after = last.place;
  }
}
