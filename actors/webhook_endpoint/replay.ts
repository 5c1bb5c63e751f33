/**
 * Telling an endpoint again what was published: under the old ids, behind what already waits for it.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { Operator } from "../../lib/runtime/outbox.ts";
import type { FeedCursor, FeedEvent } from "../../lib/runtime/store.ts";
import { kind, lane } from "./aggregate.ts";
import { type FanOutOptions, messageTo, type Publisher, type WebhookTables } from "./projection.ts";

export interface ReplayPublisher extends Publisher {
  /** What happened to the actors of one owner in that time, in the order of the feed. */
  happenedTo(transaction: QueryExecutorProvider, query: HappenedQuery): Promise<
    readonly FeedEvent[]
  >;
}

export interface HappenedQuery {
  readonly ownerId: string;
  /** In epoch milliseconds, the first included. */
  readonly from: number;
  readonly to: number;
  readonly after: FeedCursor;
  readonly limit: number;
}

export interface ReplayOptions extends FanOutOptions {
  readonly db: Kysely<WebhookTables>;
  readonly publisher: ReplayPublisher;
}

export interface ReplayRequest extends Omit<HappenedQuery, "limit"> {
  readonly endpointId: string;
  readonly types: readonly string[];
  readonly operator: Operator;
}

export interface Replayed {
  readonly messages: number;
  /** Where to go on; undefined if nothing was left. */
  readonly next: FeedCursor | undefined;
}

/** Events of one replay. */
export const REPLAY_MAX = 1_000;

/** Puts its messages into the outbox, and itself into the audit: both or neither. */
export async function replay(
  { db, publisher, tell, uuidOf }: ReplayOptions,
  { endpointId, types, operator, ...asked }: ReplayRequest,
): Promise<Replayed> {
  return await db.transaction().execute(async (transaction) => {
    const query = { ...asked, limit: REPLAY_MAX };
    const events = await publisher.happenedTo(transaction, query);
    const messages = events.flatMap((event) => {
      const published = publisher.publicEventOf(event);
      if (published === undefined || !types.includes(published.type)) return [];
      return [messageTo(endpointId, event, published, uuidOf)];
    });
    const waiting = await disinterred(
      transaction,
      endpointId,
      messages.map(({ messageId }) => messageId),
    );
    const told = messages.filter(({ messageId }) => !waiting.has(messageId));
    await tell(transaction, told);
    const detail = JSON.stringify({ from: asked.from, to: asked.to, messages: told.length });
    await sql`
      insert into audit (principal, came_from, correlation_id, act, subject, detail)
      values (${operator.id}, ${operator.from ?? null}::text,
        ${operator.correlationId ?? null}::uuid, 'webhook replay', ${`${kind}/${endpointId}`},
        ${detail}::text::jsonb)`.execute(transaction);
    const next = events.length === REPLAY_MAX ? events.at(-1)!.cursor : undefined;
    return { messages: told.length, next };
  });
}

/** Which of them wait already; those that lie among the dead letters are taken out there. */
async function disinterred(
  transaction: QueryExecutorProvider,
  endpointId: string,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  await sql`
    delete from dead_letter
    where kind = ${lane} and key = ${endpointId} and message_id = any(${ids}::uuid[])`
    .execute(transaction);
  const { rows } = await sql<{ id: string }>`
    select message_id as id from outbox
    where kind = ${lane} and key = ${endpointId} and message_id = any(${ids}::uuid[])`
    .execute(transaction);
  return new Set(rows.map(({ id }) => id));
}
