/** What lies in the database after it all, read for the checker. */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Tables } from "../../lib/postgres/tables.ts";
import { insist } from "../support/stricken_cluster.ts";
import type { Listed, Notice, Remains, RememberedReply } from "./checker.ts";
import type { RecordedEvent } from "./rules.ts";
import type { TradingEvent } from "./trading_check.ts";

const PAGE = 5_000;
const KIND = "live_event";
const tradingKinds = ["account", "market", "order", "portfolio", "risk"];

type Db = Kysely<Tables>;

export function remainsIn(db: Db, { until, snapshot, leftovers }: Rest): Remains {
  return {
    events: recordedEvents(db, until),
    trading: tradingEvents(db, snapshot),
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
    leftovers,
  };
}

/** How far everything has come to rest. */
export interface Rest {
  /** What is recorded from this transaction on came later: timers go off at any time. */
  readonly until: string;
  /** What was recorded when that was seen: at rest, with all that it leads to but for timers. */
  readonly snapshot: string;
  /** What should not be there any more, by name. */
  readonly leftovers: Readonly<Record<string, number>>;
}

export function isReached({ leftovers }: Rest): boolean {
  return Object.values(leftovers).every((count) => count === 0);
}

const SERVER_MS_MAX = 30_000;

/** How far it has come with all before the transaction `until`, or before now. */
export async function restOf(db: Db, until?: string): Promise<Rest> {
  // Put off or not, jobs and messages of trading are waited for: one leads to the next. Only the ends of
  // the days of orders come later.
  const query = sql<Rest>`
    select mark.until::text, pg_current_snapshot()::text as snapshot, jsonb_build_object(
      'messages that are due', (select count(*) from outbox where available_at <= now()),
      'messages of trading', (select count(*) from outbox
        where kind = any(${tradingKinds}) and command ->> 'type' <> 'Expire'),
      'jobs', (select count(*) from outbox where kind = 'job'),
      'parked lanes', (select count(*) from lane where parked_at is not null),
      'dead letters', (select count(*) from dead_letter),
      'projections that are behind', (select count(*) from checkpoint where exists (
        select from event
        where event.kind = ${KIND} and event.transaction < mark.until
          and (event.transaction, event.position) > (checkpoint.transaction, checkpoint.position)
          and event.transaction > checkpoint.through
      ) and projection like 'live_event%')
    ) as leftovers
    from (select coalesce(${until ?? null}::xid8, pg_snapshot_xmin(pg_current_snapshot())) as until)
      mark`;
  const [rest] = await insist(db, query, SERVER_MS_MAX);
  return rest!;
}

async function* recordedEvents(db: Db, until: string): AsyncGenerator<RecordedEvent> {
  for (let after: readonly [key: string, version: number] = ["", 0];;) {
    const { rows } = await sql<RecordedEvent>`
      select key, version::int as version, type, data, correlation_id as "correlationId",
        causation_id as "causationId", round(extract(epoch from at) * 1000)::float8 as at,
        transaction >= ${until}::xid8 as "isLate"
      from event
      where kind = ${KIND} and (key, version) > (${after[0]}, ${after[1]}::bigint)
      order by key, version limit ${PAGE}`.execute(db);
    yield* rows;
    const last = rows.at(-1);
    if (rows.length < PAGE || last === undefined) return;
    after = [last.key, last.version];
  }
}

/** In the order of their feed. */
async function* tradingEvents(db: Db, snapshot: string): AsyncGenerator<TradingEvent> {
  for (let after: readonly [transaction: string, position: string] = ["0", "0"];;) {
    const { rows } = await sql<TradingEvent & Record<"transaction" | "position", string>>`
      select kind, key, version::int as version, type, data, correlation_id as "correlationId",
        causation_id as "causationId", transaction::text, position::text
      from event
      where kind = any(${tradingKinds}) and pg_visible_in_snapshot(transaction, ${snapshot})
        and (event.transaction, event.position) > (${after[0]}::xid8, ${after[1]}::bigint)
      order by event.transaction, event.position limit ${PAGE}`.execute(db);
    yield* rows;
    const last = rows.at(-1);
    if (rows.length < PAGE || last === undefined) return;
    after = [last.transaction, last.position];
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
