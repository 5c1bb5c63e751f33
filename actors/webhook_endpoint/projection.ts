/**
 * Webhook endpoints as a table, and what is published fanned out to them.
 *
 * One reader does both, in the order of the feed: whoever was told that an endpoint exists misses
 * nothing that happens afterwards, and whatever happened before is not told.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { OutboxMessage } from "../../lib/runtime/outbox.ts";
import type { Projection } from "../../lib/runtime/projector.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import { type DisabledBecause, Event, kind, lane } from "./aggregate.ts";

// A type, not an interface: Kysely extends a database only by what has an index signature.
export type WebhookTables = {
  webhook_endpoint: {
    id: string;
    owner_id: string;
    url: string;
    types: string[];
    description: string | null;
    status: "enabled" | "disabled";
    disabled_because: DisabledBecause | null;
    created_at: Date;
    version: number;
  };
  webhook_delivery: {
    endpoint_id: string;
    last_success_at: Date | null;
    last_failure_at: Date | null;
    last_failure: string | null;
  };
};

/** What others get to see of an event. */
export interface PublicEvent {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Whose events are published, and how. */
export interface Publisher {
  readonly kind: string;
  /** Undefined for what is nobody else's business. */
  publicEventOf(event: FeedEvent): PublicEvent | undefined;
  /** Who owns the actors of these keys. */
  ownersOf(
    transaction: QueryExecutorProvider,
    keys: readonly string[],
  ): Promise<ReadonlyMap<string, string>>;
}

export type Told = Omit<OutboxMessage, "position">;

export interface FanOutOptions {
  readonly publisher: Publisher;
  /** Writes messages into the outbox, with whatever else the transaction does. */
  readonly tell: (transaction: QueryExecutorProvider, messages: readonly Told[]) => Promise<void>;
  /** The same UUID for the same text, another for any other. */
  readonly uuidOf: (text: string) => string;
}

export function webhookProjection(options: FanOutOptions): Projection<QueryExecutorProvider> {
  const { publisher } = options;
  return {
    name: "webhooks",
    kind: [kind, publisher.kind],
    /** While nobody listens, only somebody who begins to is of interest. */
    async only(transaction) {
      const { rows } = await sql`select from webhook_endpoint where status = 'enabled' limit 1`
        .execute(transaction);
      return rows.length > 0 ? undefined : kind;
    },
    async apply(transaction, events) {
      for (const run of runsOf(events)) {
        if (run[0]!.address.kind !== kind) await fanOut(transaction, run, options);
        else for (const event of run) await writeEndpoint(transaction, event);
      }
    },
  };
}

/** The events in their order, cut where the kind of actor changes. */
function runsOf(events: readonly FeedEvent[]): FeedEvent[][] {
  const runs: FeedEvent[][] = [];
  for (const event of events) {
    const last = runs.at(-1);
    const isSame = last?.at(-1)?.address.kind === event.address.kind;
    if (isSame) last!.push(event);
    else runs.push([event]);
  }
  return runs;
}

async function writeEndpoint(
  transaction: QueryExecutorProvider,
  { address: { key: id }, data, version }: FeedEvent,
): Promise<void> {
  const event = Event.parse(data);
  switch (event.type) {
    case "Created": {
      const { ownerId, url, types, description = null, createdAt } = event;
      await sql`
        insert into webhook_endpoint (id, owner_id, url, types, description, status, created_at,
          version)
        values (${id}, ${ownerId}, ${url}, ${types}::text[], ${description}, 'enabled',
          ${createdAt}::timestamptz, ${version})`.execute(transaction);
      return;
    }
    case "Revised": {
      const { url = null, types = null, description = null } = event;
      await sql`
        update webhook_endpoint set url = coalesce(${url}::text, url),
          types = coalesce(${types}::text[], types),
          description = coalesce(${description}::text, description), version = ${version}
        where id = ${id}`.execute(transaction);
      return;
    }
    case "Enabled":
    case "Disabled": {
      const because = event.type === "Disabled" ? event.because : null;
      await sql`
        update webhook_endpoint set status = ${because === null ? "enabled" : "disabled"},
          disabled_because = ${because}, version = ${version}
        where id = ${id}`.execute(transaction);
      return;
    }
    case "SecretRotated":
    case "Tested":
      await sql`update webhook_endpoint set version = ${version} where id = ${id}`
        .execute(transaction);
      return;
    case "Deleted":
      await sql`delete from webhook_endpoint where id = ${id}`.execute(transaction);
      await sql`delete from webhook_delivery where endpoint_id = ${id}`.execute(transaction);
  }
}

interface Subscriber {
  readonly id: string;
  readonly owner: string;
  readonly types: readonly string[];
}

async function fanOut(
  transaction: QueryExecutorProvider,
  events: readonly FeedEvent[],
  { publisher, tell, uuidOf }: FanOutOptions,
): Promise<void> {
  const keys = [...new Set(events.map(({ address }) => address.key))];
  const owners = await publisher.ownersOf(transaction, keys);
  const subscribers = await subscribersOf(transaction, [...new Set(owners.values())]);
  if (subscribers.length === 0) return;
  const byOwner = Map.groupBy(subscribers, ({ owner }) => owner);
  const messages = events.flatMap((event) => {
    const listening = byOwner.get(owners.get(event.address.key) ?? "") ?? [];
    const published = listening.length > 0 ? publisher.publicEventOf(event) : undefined;
    if (published === undefined) return [];
    return listening.filter(({ types }) => types.includes(published.type))
      .map(({ id }) => messageTo(id, event, published, uuidOf));
  });
  await tell(transaction, messages);
}

async function subscribersOf(
  transaction: QueryExecutorProvider,
  owners: readonly string[],
): Promise<readonly Subscriber[]> {
  if (owners.length === 0) return [];
  const { rows } = await sql<Subscriber>`
    select id, owner_id as owner, types from webhook_endpoint
    where owner_id = any(${owners}::text[]) and status = 'enabled'
    order by id`.execute(transaction);
  return rows;
}

/** Its id is the same whenever this event is told to this endpoint, also when it is replayed. */
export function messageTo(
  endpointId: string,
  { address, version, at, correlationId, causationId, principalId }: FeedEvent,
  published: PublicEvent,
  uuidOf: FanOutOptions["uuidOf"],
): Told {
  return {
    messageId: uuidOf(`webhook\n${endpointId}\n${address.kind}/${address.key}\n${version}`),
    to: { kind: lane, key: endpointId },
    schema: 1,
    command: published,
    correlationId,
    causationId,
    principal: { id: principalId, roles: [] },
    at,
  };
}

/** The endpoints of one owner, by id. */
export async function listEndpoints(
  db: Kysely<WebhookTables>,
  ownerId: string,
  afterId: string,
  limit: number,
) {
  return await db.selectFrom("webhook_endpoint")
    .select([
      "id",
      "owner_id as ownerId",
      "url",
      "types",
      "description",
      "status",
      "disabled_because as disabledBecause",
      "created_at as createdAt",
      "version",
    ])
    .where("owner_id", "=", ownerId)
    .where("id", ">", afterId)
    .orderBy("id")
    .limit(limit)
    .execute();
}

/** Up to that many. */
export async function countEndpoints(
  db: Kysely<WebhookTables>,
  ownerId: string,
  most: number,
): Promise<number> {
  const { rows } = await sql`
    select from webhook_endpoint where owner_id = ${ownerId} limit ${most}`.execute(db);
  return rows.length;
}
