/**
 * Whose live events they are, and what has happened to those of one organizer.
 *
 * @module
 */
import { type QueryExecutorProvider, sql } from "kysely";
import type { FeedCursor, FeedEvent } from "../../lib/runtime/store.ts";
import { kind } from "./aggregate.ts";

/** The organizers of these live events: as each was scheduled, which is what began it. */
export async function ownersOf(
  transaction: QueryExecutorProvider,
  keys: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const { rows } = await sql<{ key: string; owner: string }>`
    select asked.key, first.owner
    from unnest(${keys}::text[]) as asked(key)
    cross join lateral (
      select event.data->>'organizerId' as owner from event
      where event.kind = ${kind} and event.key = asked.key and event.version = 1
      limit 1
    ) first
    where first.owner is not null`.execute(transaction);
  return new Map(rows.map(({ key, owner }) => [key, owner]));
}

/**
 * What happened to the live events of one organizer in that time, in the order of the feed. Reads
 * all that is recorded of them; for operators, not for every day.
 */
export async function happenedTo(
  transaction: QueryExecutorProvider,
  { ownerId, from, to, after, limit }: {
    readonly ownerId: string;
    readonly from: number;
    readonly to: number;
    readonly after: FeedCursor;
    readonly limit: number;
  },
): Promise<readonly FeedEvent[]> {
  const { rows } = await sql<Omit<FeedEvent, "address" | "cursor" | "at"> & PlacedRow>`
    select event.key, event.version::float8 as version, event.type, event.schema, event.data,
      event.correlation_id as "correlationId", event.causation_id as "causationId",
      event.principal as "principalId", extract(epoch from event.at)::float8 * 1000 as ms,
      event.transaction::text as transaction, event.position::text as position
    from live_event
    cross join lateral (
      select * from event where event.kind = ${kind} and event.key = live_event.id
        and event.at >= ${new Date(from).toISOString()}::timestamptz
        and event.at < ${new Date(to).toISOString()}::timestamptz
        and (event.transaction, event.position) > (
          ${after.transaction}::text::xid8, ${after.position}::text::bigint)
      -- So that each live event is read by its own index, and not the feed by the time.
      order by event.kind, event.key, event.version
    ) event
    where live_event.organizer_id = ${ownerId}
    order by event.transaction, event.position
    limit ${limit}`.execute(transaction);
  return rows.map(({ key, ms, transaction, position, ...event }) => ({
    ...event,
    at: Math.round(ms),
    address: { kind, key },
    cursor: { transaction, position },
  }));
}

interface PlacedRow {
  readonly key: string;
  readonly ms: number;
  readonly transaction: string;
  readonly position: string;
}
