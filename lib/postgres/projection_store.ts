/**
 * Moves projections forward: the read model and its checkpoint change in one transaction.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { Advance, Projection, ProjectionStore } from "../runtime/projector.ts";
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
      const after = checkpoint ?? feedStart;
      const only = await projection.only?.(transaction);
      const { kind } = projection;
      const query = only === undefined ? { kind, limit } : { kind: only, limit: 1 };
      const { events, through } = await readFeed(transaction, { after, ...query });
      if (events.length > 0) await projection.apply(transaction, events);
      // An idle projection writes nothing: its horizon moves with every commit of others, and
      // whoever waits for a write of this kind finds it at that write.
      // An idle one of those would otherwise pass over the same events again and again.
      const isPassing = only !== undefined && events.length === 0;
      const passed = isPassing ? await lastBefore(transaction, through, after) : undefined;
      if (events.length > 0 || passed !== undefined || isBehind(checkpoint)) {
        const cursor = events.at(-1)?.cursor ?? passed ?? after;
        await moveCheckpoint(transaction, projection.name, cursor, through);
      }
      return { events: events.length, through };
    });
  }

  async through(projection: string): Promise<string> {
    const checkpoint = await readCheckpoint(this.#db, projection);
    return checkpoint?.through ?? "0";
  }
}

interface Checkpoint extends FeedCursor {
  readonly through: string;
}

/** The last page ended within a transaction, and what `through` says is older than the cursor. */
function isBehind(checkpoint: Checkpoint | undefined): boolean {
  return checkpoint !== undefined &&
    BigInt(checkpoint.through) < BigInt(checkpoint.transaction);
}

/** The last event through that transaction; undefined if `after` is not before it. */
async function lastBefore(
  db: Kysely<Tables>,
  through: string,
  after: FeedCursor,
): Promise<FeedCursor | undefined> {
  const { rows } = await sql<FeedCursor>`
    select transaction::text as transaction, position::text as position from event
    where transaction <= ${through}::text::xid8
      and (event.transaction, event.position)
        > (${after.transaction}::text::xid8, ${after.position}::text::bigint)
    order by event.transaction desc, event.position desc
    limit 1`.execute(db);
  return rows[0];
}

/** Held to the end of the transaction, so it also works where a pooler shares sessions out. */
async function isOnlyReader(db: Kysely<Tables>, projection: string): Promise<boolean> {
  const { rows } = await sql<{ isOnly: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended(${`projection/${projection}`}, 0)) as "isOnly"
  `.execute(db);
  return rows[0]!.isOnly;
}

async function readCheckpoint(
  db: Kysely<Tables>,
  projection: string,
): Promise<Checkpoint | undefined> {
  const { rows } = await sql<Checkpoint>`
    select transaction::text as transaction, position::text as position, through::text as through
    from checkpoint where projection = ${projection}`.execute(db);
  return rows[0];
}

async function moveCheckpoint(
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
