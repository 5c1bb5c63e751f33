/**
 * Moves projections forward: the read model and its checkpoint change in one transaction.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, type RawBuilder, sql } from "kysely";
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
      const page = await applyPage(transaction, projection, checkpoint ?? feedStart, limit);
      const { events, cursor, through, isPassing } = page;
      const idleMax = isPassing ? PASSING_TRANSACTIONS_MAX : IDLE_TRANSACTIONS_MAX;
      // An idle projection mostly writes nothing: its horizon moves with every commit of others,
      // and whoever waits for a write of its kind finds it at that write.
      if (events > 0 || isBehind(checkpoint) || isOlder(checkpoint, through, idleMax)) {
        await moveCheckpoint(transaction, projection.name, cursor, through);
      }
      return { events, through };
    });
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
  /** Events before the next that matters were passed over. */
  readonly isPassing: boolean;
}

/** Has the projection apply at most `limit` events that come after that place. */
export async function applyPage(
  transaction: Kysely<Tables>,
  projection: Projection<QueryExecutorProvider>,
  after: FeedCursor,
  limit: number,
): Promise<AppliedPage> {
  const only = await projection.only?.(transaction);
  const query = only === undefined ? { limit, ...wantedBy(projection) } : { limit: 1, kind: only };
  const { events, through } = await readFeed(transaction, { after, ...query });
  if (events.length > 0) await projection.apply(transaction, events);
  const { cursor } = events.at(-1) ?? { cursor: after };
  const isFull = events.length === query.limit;
  return {
    events: events.length,
    cursor: isFull ? cursor : later(cursor, endOf(through)),
    through,
    isPassing: only !== undefined,
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
  return String(BigInt(rows[0]!.xmin) - 1n);
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
const IDLE_TRANSACTIONS_MAX = 1_000n;
/** One that passes over events, which may be many to a transaction, notes it sooner. */
const PASSING_TRANSACTIONS_MAX = 20n;

/** Every poll reads from the checkpoint on: it must not stay too far behind. */
function isOlder(checkpoint: Checkpoint | undefined, through: string, byMax: bigint): boolean {
  return BigInt(through) - BigInt(checkpoint?.transaction ?? 0) > byMax;
}

/** Held to the end of the transaction, so it also works where a pooler shares sessions out. */
async function isOnlyReader(db: Kysely<Tables>, projection: string): Promise<boolean> {
  const { rows } = await sql<{ isOnly: boolean }>`
    select pg_try_advisory_xact_lock(${readersLock(projection)}) as "isOnly"`.execute(db);
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
