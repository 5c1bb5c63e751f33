/**
 * Moves projections forward: the read model and its checkpoint change in one transaction.
 *
 * @module
 */
import {
  type Kysely,
  type QueryExecutorProvider,
  type RawBuilder,
  sql,
  type Transaction,
} from "kysely";
import {
  type Advance,
  type Projection,
  type ProjectionStore,
  wantedBy,
} from "../runtime/projector.ts";
import { type FeedCursor, feedStart } from "../runtime/store.ts";
import { readFeed } from "./event_store.ts";
import type { Tables } from "./tables.ts";

export class PostgresProjectionStore implements ProjectionStore<QueryExecutorProvider> {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async advance(
    projection: Projection<QueryExecutorProvider>,
    limit: number,
  ): Promise<Advance | undefined> {
    return await this.#db.transaction().execute(async (transaction) => {
      if (!await isOnlyReader(transaction, projection.name)) return undefined;
      const checkpoint = await readCheckpoint(transaction, projection.name);
      if (checkpoint === undefined && projection.start === "now") {
        const through = await readHorizon(transaction);
        await moveCheckpoint(transaction, projection.name, endOf(through), through);
        return { events: 0, through };
      }
      const after = checkpoint ?? feedStart;
      const only = await projection.only?.(transaction);
      if (only !== undefined) return await this.#passOver(transaction, projection, only, after);
      const { events, cursor, through } = await applyPage(transaction, projection, after, limit);
      // An idle projection mostly writes nothing: its horizon moves with every commit of others,
      // and whoever waits for a write of its kind finds it at that write.
      if (events > 0 || isBehind(checkpoint) || isFarBehind(checkpoint, through)) {
        await moveCheckpoint(transaction, projection.name, cursor, through);
      }
      return { events, through };
    });
  }

  /** To the next event of the one kind that matters, or past all that there is. */
  async #passOver(
    transaction: Transaction<Tables>,
    projection: Projection<QueryExecutorProvider>,
    kind: string,
    after: FeedCursor,
  ): Promise<Advance> {
    const { until, ...stretch } = await stretchAfter(transaction, after);
    // Nothing is written either where nothing has happened.
    if (until === undefined) return { events: 0, through: stretch.through };
    const { events, through } = await readFeed(transaction, { after, until, kind, limit: 1 });
    const [event] = events;
    if (event === undefined) {
      await moveCheckpoint(transaction, projection.name, until, stretch.through);
      return { events: 0, through: stretch.through };
    }
    await projection.apply(transaction, events);
    await moveCheckpoint(transaction, projection.name, event.cursor, through);
    return { events: 1, through };
  }

  async through(projection: string): Promise<string> {
    const checkpoint = await readCheckpoint(this.#db, projection);
    return checkpoint?.through ?? "0";
  }
}

export interface AppliedPage {
  readonly events: number;
  /** Where the next page begins. */
  readonly cursor: FeedCursor;
  readonly through: string;
}

/** Has the projection apply at most `limit` events that come after that place. */
export async function applyPage(
  transaction: Kysely<Tables>,
  projection: Projection<QueryExecutorProvider>,
  after: FeedCursor,
  limit: number,
): Promise<AppliedPage> {
  const page = await readFeed(transaction, { after, limit, ...wantedBy(projection) });
  const { events, through } = page;
  if (events.length > 0) await projection.apply(transaction, events);
  const { cursor } = events.at(-1) ?? { cursor: after };
  const isFull = events.length === limit;
  return {
    events: events.length,
    cursor: isFull ? cursor : later(cursor, endOf(through)),
    through,
  };
}

/** Behind all that this transaction, and those before it, have recorded. */
function endOf(through: string): FeedCursor {
  return { transaction: through, position: "9223372036854775807" };
}

function later(a: FeedCursor, b: FeedCursor): FeedCursor {
  return BigInt(b.transaction) >= BigInt(a.transaction) ? b : a;
}

async function readHorizon(db: Kysely<Tables>): Promise<string> {
  const { rows } = await sql<{ xmin: string }>`
    select pg_snapshot_xmin(pg_current_snapshot())::text as xmin`.execute(db);
  return before(rows[0]!.xmin);
}

export interface Checkpoint extends FeedCursor {
  readonly through: string;
}

/** The last page ended within a transaction, and what `through` says is older than the cursor. */
function isBehind(checkpoint: Checkpoint | undefined): boolean {
  return checkpoint !== undefined &&
    BigInt(checkpoint.through) < BigInt(checkpoint.transaction);
}

/** So many transactions of others, and a projection notes that none of them was for it. */
const IDLE_TRANSACTIONS_MAX = 20n;

/** Every poll reads from the checkpoint on: it must not stay too far behind. */
function isFarBehind(checkpoint: Checkpoint | undefined, through: string): boolean {
  return BigInt(through) - BigInt(checkpoint?.transaction ?? 0) > IDLE_TRANSACTIONS_MAX;
}

/** So many at most are passed over at once, for a statement has its time. */
const PASS_MAX = 100_000;

interface Stretch {
  /** Of its last event; undefined if there is none. */
  readonly until: FeedCursor | undefined;
  /** It is complete through this transaction. */
  readonly through: string;
}

/** What is recorded next, of whatever kind, up to {@linkcode PASS_MAX} events. */
async function stretchAfter(
  db: Kysely<Tables>,
  { transaction, position }: FeedCursor,
): Promise<Stretch> {
  const { rows } = await sql<StretchRow>`
    select horizon.xmin::text as horizon, last.count::float8 as count,
      last.transaction::text as transaction, last.position::text as position
    from (select pg_snapshot_xmin(pg_current_snapshot()) as xmin) horizon
    left join lateral (
      select count(*) over () as count, next.transaction, next.position from (
        select event.transaction, event.position from event
        where (event.transaction, event.position)
            > (${transaction}::text::xid8, ${position}::text::bigint)
          and event.transaction < horizon.xmin
        order by event.transaction, event.position
        limit ${PASS_MAX}
      ) next
      order by next.transaction desc, next.position desc
      limit 1
    ) last on true`.execute(db);
  const last = rows[0]!;
  if (last.count === null) return { until: undefined, through: before(last.horizon) };
  const { transaction: end, position: place } = last;
  const through = before(last.count < PASS_MAX ? last.horizon : end);
  return { until: { transaction: end, position: place }, through };
}

interface StretchRow extends FeedCursor {
  readonly horizon: string;
  /** Null, like the place, where there is nothing. */
  readonly count: number | null;
}

function before(transaction: string): string {
  return String(BigInt(transaction) - 1n);
}

/**
 * Selected, it has each statement planned as the tables are, to the end of the transaction: a plan from
 * when one was empty, which prepared statements would keep, reads it from end to end for every page.
 */
export const planningAnew = sql`set_config('plan_cache_mode', 'force_custom_plan', true)`;

/** Held to the end of the transaction, so it also works where a pooler shares sessions out. */
async function isOnlyReader(db: Kysely<Tables>, projection: string): Promise<boolean> {
  const { rows } = await sql<{ isOnly: boolean }>`
    select pg_try_advisory_xact_lock(${readersLock(projection)}) as "isOnly",
      ${planningAnew}`.execute(db);
  return rows[0]!.isOnly;
}

/** The key of the advisory lock that whoever moves the checkpoint holds. */
export function readersLock(projection: string): RawBuilder<unknown> {
  return sql`hashtextextended(${`projection/${projection}`}, 0)`;
}

export async function readCheckpoint(
  db: Kysely<Tables>,
  projection: string,
): Promise<Checkpoint | undefined> {
  const { rows } = await sql<Checkpoint>`
    select transaction::text as transaction, position::text as position, through::text as through
    from checkpoint where projection = ${projection}`.execute(db);
  return rows[0];
}

export async function moveCheckpoint(
  db: Kysely<Tables>,
  projection: string,
  { transaction, position }: FeedCursor,
  through: string,
): Promise<void> {
  await sql`
    insert into checkpoint (projection, transaction, position, through)
    values (${projection}, ${transaction}::text::xid8, ${position}::text::bigint,
      ${through}::text::xid8)
    on conflict (projection) do update set transaction = excluded.transaction,
      position = excluded.position, through = excluded.through`.execute(db);
}
