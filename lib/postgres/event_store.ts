/**
 * The store of the runtime in Postgres, embedded or a server.
 *
 * @module
 */
import { CompiledQuery, type Kysely, type RawBuilder, sql } from "kysely";
import { PoisonFault } from "../fault.ts";
import type { Address } from "../runtime/envelope.ts";
import {
  type Commit,
  type CommitOutcome,
  type FeedCursor,
  type FeedPage,
  type FeedQuery,
  isWriting,
  type Loaded,
  type LoadRequest,
  type RememberedReply,
  type Snapshot,
  type Store,
  type StoredEvent,
} from "../runtime/store.ts";
import { asRead } from "./faults.ts";
import { messageRequest } from "./outbox.ts";
import { type BatchNeeds, commitStatement, loadStatement } from "./statements.ts";
import type { Tables } from "./tables.ts";

interface CommitRow {
  readonly n: number;
  readonly outcome: "ok" | "conflict" | "duplicate" | "consumed";
  readonly replies: readonly RememberedReply[] | null;
  readonly gone: readonly number[] | null;
  readonly transaction: string | null;
}

type EventTuple = readonly [
  version: number,
  type: string,
  schema: number,
  data: unknown,
  correlationId: string,
  causationId: string,
  principalId: string,
  at: number,
];

interface LoadRow {
  readonly n: number;
  readonly version: number | null;
  readonly revision: number | null;
  readonly transaction: string | null;
  readonly snapshot_version: number | null;
  readonly snapshot_schema: number | null;
  readonly snapshot_state: unknown;
  readonly events: readonly EventTuple[] | null;
}

export interface EventStorePools {
  /** Loads, reads, and turns under a row lock. */
  readonly db: Kysely<Tables>;
  /** Commits alone, so that nothing slow ever stands before them. */
  readonly committer: Kysely<Tables>;
}

export class PostgresEventStore implements Store {
  readonly #db: Kysely<Tables>;
  readonly #committer: Kysely<Tables>;

  constructor({ db, committer }: EventStorePools) {
    this.#db = db;
    this.#committer = committer;
  }

  async load(requests: readonly LoadRequest[]): Promise<readonly Loaded[]> {
    return await asRead(load(this.#db, requests));
  }

  async commit(batch: readonly Commit[]): Promise<readonly CommitOutcome[]> {
    return await commit(this.#committer, batch);
  }

  async commitExclusively(
    address: Address,
    afterVersion: number,
    decide: (caughtUp: Loaded) => Commit,
  ): Promise<CommitOutcome> {
    try {
      return await this.#db.transaction().execute(async (transaction) => {
        await lockActor(transaction, address);
        const [caughtUp] = await load(transaction, [{ address, afterVersion }]);
        const [outcome] = await commit(transaction, [decide(caughtUp!)]);
        if (isOvertaken(outcome!, caughtUp!)) throw new Overtaken();
        return outcome!;
      });
    } catch (error) {
      if (error instanceof Overtaken) return { is: "conflict" };
      throw error;
    }
  }

  async saveSnapshots(
    snapshots: readonly { readonly address: Address; readonly snapshot: Snapshot }[],
  ): Promise<void> {
    const rows = snapshots.map(({ address: { kind, key }, snapshot }) => {
      return { kind, key, ...snapshot };
    });
    await sql`
      insert into snapshot (kind, key, version, schema, state)
      select r.kind, r.key, r.version, r.schema, r.state
      from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r(
        kind text, key text, version bigint, schema smallint, state jsonb)
      order by r.kind, r.key
      on conflict (kind, key) do update
      set version = excluded.version, schema = excluded.schema, state = excluded.state
      where snapshot.version < excluded.version`.execute(this.#db);
  }

  async forgetReplies(givenBefore: number, limit: number): Promise<number> {
    const result = await sql`
      delete from reply where ctid = any(array(
        select ctid from reply where at < ${new Date(givenBefore)} limit ${limit}
      ))`.execute(this.#db);
    return Number(result.numAffectedRows);
  }

  async readStream(
    address: Address,
    { after = 0, through, limit }: {
      readonly after?: number;
      readonly through?: number;
      readonly limit?: number;
    } = {},
  ): Promise<readonly StoredEvent[]> {
    const rows = this.#db.selectFrom("event").selectAll()
      .where("kind", "=", address.kind).where("key", "=", address.key)
      .where("version", ">", after)
      .$if(through !== undefined, (query) => query.where("version", "<=", through!))
      .orderBy("version")
      .$if(limit !== undefined, (query) => query.limit(limit!))
      .execute();
    return (await asRead(rows)).map(storedEvent);
  }

  async readFeed(query: FeedQuery): Promise<FeedPage> {
    return await asRead(readFeed(this.#db, query));
  }
}

/**
 * Takes the actor's row, so that the transaction draws its id after all who held the row before.
 *
 * Feeds go by that id. Without the queue in front, Postgres would let those who wait for the row draw
 * their ids first and then overtake each other: with four writers every third event of an actor
 * came out of its order. To wait for an advisory lock needs no id.
 */
async function lockActor(
  transaction: Kysely<Tables>,
  { kind, key }: Address,
): Promise<void> {
  await sql`
    with queue as materialized (
      select pg_advisory_xact_lock(hashtextextended(${`actor/${kind}/${key}`}, 0)) as turn
    )
    select actor.revision, queue.turn from queue cross join actor
    where actor.kind = ${kind} and actor.key = ${key}
    for update of actor`.execute(transaction);
}

/**
 * Whoever commits without the queue may still slip in between the moment in which this transaction
 * drew its id and that in which it got the row.
 */
function isOvertaken(outcome: CommitOutcome, { transaction }: Loaded): boolean {
  return outcome.is === "ok" && BigInt(outcome.transaction) < BigInt(transaction);
}

/** Rolls back what feeds would meet before the events that it was decided on. */
class Overtaken extends Error {}

async function load(
  db: Kysely<Tables>,
  requests: readonly LoadRequest[],
): Promise<readonly Loaded[]> {
  const asked = requests.map(({ address: { kind, key }, afterVersion }, n) => {
    return { n, kind, key, after: afterVersion };
  });
  const { rows } = await db.executeQuery<LoadRow>(
    CompiledQuery.raw(loadStatement, [JSON.stringify(asked)]),
  );
  const answers = new Array<Loaded>(requests.length);
  for (const row of rows) answers[row.n] = loaded(row);
  return answers;
}

function loaded(row: LoadRow): Loaded {
  return {
    revision: row.revision ?? 0,
    version: row.version ?? 0,
    transaction: row.transaction ?? "0",
    ...(row.snapshot_version !== null && {
      snapshot: {
        version: row.snapshot_version,
        schema: row.snapshot_schema!,
        state: row.snapshot_state,
      },
    }),
    events: (row.events ?? []).map((
      [version, type, schema, data, correlationId, causationId, principalId, at],
    ) => ({ version, type, schema, data, correlationId, causationId, principalId, at })),
  };
}

/** Gives the batch the order of its locks, and the outcomes the order of the batch. */
async function commit(
  db: Kysely<Tables>,
  batch: readonly Commit[],
): Promise<readonly CommitOutcome[]> {
  const ordered = batch.map((commit, n) => ({ n, commit }))
    .sort((a, b) => inOrder(a.commit.address, b.commit.address));
  const asked = ordered.map(({ n, commit }) => commitRequest(n, commit));
  const { rows } = await db.executeQuery<CommitRow>(
    CompiledQuery.raw(commitStatement(needsOf(batch)), [asJson(asked)]),
  );
  const outcomes = new Array<CommitOutcome>(batch.length);
  for (const row of rows) outcomes[row.n] = commitOutcome(row);
  return outcomes;
}

function needsOf(batch: readonly Commit[]): BatchNeeds {
  return {
    creates: batch.some((commit) => commit.revision === 0 && isWriting(commit)),
    remembers: batch.some(({ replies }) => replies.length > 0),
    verifies: batch.some((commit) => !isWriting(commit)),
    tells: batch.some(({ messages }) => messages !== undefined),
    consumes: batch.some(({ consumed }) => consumed !== undefined),
    tellsOnce: batch.some(({ messages = [] }) =>
      messages.some(({ job }) => job?.uniqueKey !== undefined)
    ),
  };
}

/** Content that is no JSON, such as a bigint, spoils its own commit and not its whole batch. */
function asJson(asked: unknown): string {
  try {
    return JSON.stringify(asked);
  } catch (cause) {
    throw new PoisonFault("Cannot store what is no JSON", { cause });
  }
}

function inOrder(a: Address, b: Address): number {
  if (a.kind !== b.kind) return a.kind < b.kind ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}

function commitRequest(n: number, commit: Commit) {
  const { address, revision, version, at, events, replies, messages, consumed } = commit;
  return {
    n,
    kind: address.kind,
    key: address.key,
    revision,
    version,
    at: new Date(at),
    events: events.map((event) => ({
      type: event.type,
      schema: event.schema,
      data: event.data,
      correlation: event.correlationId,
      causation: event.causationId,
      principal: event.principalId,
    })),
    replies: replies.map((reply) => ({
      principal: reply.principalId,
      key: reply.key,
      hash: reply.requestHash,
      outcome: reply.outcome,
    })),
    // Left out where there are none: most turns neither tell nor were told anything.
    messages: messages?.map(messageRequest),
    consumed,
  };
}

function commitOutcome({ outcome, replies, gone, transaction }: CommitRow): CommitOutcome {
  switch (outcome) {
    case "ok":
      return { is: "ok", transaction: transaction ?? "0" };
    case "duplicate":
      return { is: "duplicate", replies: replies ?? [] };
    case "consumed":
      return { is: "consumed", gone: gone ?? [] };
    case "conflict":
      return { is: "conflict" };
  }
}

/**
 * A page of everything recorded, in the order of `(transaction, position)`, up to the oldest
 * transaction still running: whatever commits from now on comes behind it.
 */
export async function readFeed(
  db: Kysely<Tables>,
  query: FeedQuery & { readonly until?: FeedCursor },
): Promise<FeedPage> {
  const { after, until, limit, from, to } = query;
  // One statement: the horizon and the events must be of the same snapshot.
  const { rows } = await sql<FeedRow>`
    select horizon.through::text as through, e.*
    from (select pg_snapshot_xmin(pg_current_snapshot()) as through) horizon
    left join lateral (
      select event.kind, event.key, event.version, event.type, event.schema, event.data,
        event.correlation_id, event.causation_id, event.principal, event.at,
        event.transaction::text as transaction, event.position
      from event
      where (event.transaction, event.position)
          > (${after.transaction}::text::xid8, ${after.position}::bigint)
        and event.transaction < horizon.through
        ${
    until === undefined ? sql`` : sql`and (event.transaction, event.position)
          <= (${until.transaction}::text::xid8, ${until.position}::text::bigint)`
  }
        ${areWanted(query)}
        ${from === undefined ? sql`` : sql`and event.at >= ${new Date(from)}`}
        ${to === undefined ? sql`` : sql`and event.at < ${new Date(to)}`}
      order by event.transaction, event.position
      limit ${limit}
    ) e on true`.execute(db);
  const found = rows.filter(({ version }) => version !== null);
  const horizon = BigInt(rows[0]!.through) - 1n;
  // The last transaction of a full page may go on behind it; those before are complete.
  const through = found.length < limit ? horizon : BigInt(found.at(-1)!.transaction) - 1n;
  return {
    events: found.map((row) => ({
      ...storedEvent(row),
      address: { kind: row.kind, key: row.key },
      cursor: { transaction: row.transaction, position: String(row.position) },
    })),
    through: String(through),
  };
}

/**
 * Compared in a form that no index has and that Postgres takes for likely. Through the index of the
 * addresses it would read every event of the kind for each page (85 ms of 46,000 events, where 6 ms
 * do), and so it would, to sort them, all that is recorded behind the cursor, where it thinks that
 * hardly any of them are wanted: as it does in a table that was never analyzed.
 */
function areWanted({ kind, types, hasIndex = false }: FeedQuery): RawBuilder<unknown> {
  const kinds = kind === undefined ? undefined : [kind].flat();
  const conditions = [
    ...(kinds === undefined ? [] : [sql`event.kind = any(${kinds}::text[])`]),
    ...(types === undefined ? [] : [sql`event.type = any(${types}::text[])`]),
  ];
  if (conditions.length === 0) return sql``;
  const inWordsOfIndex = hasIndex && kinds !== undefined
    ? sql`and ${sql.raw(wordsOf(kinds, types))}`
    : sql``;
  return sql`and coalesce(${sql.join(conditions, sql` and `)}, false) ${inWordsOfIndex}`;
}

/** Postgres takes a partial index for what is asked in literals, as the index is. */
function wordsOf(kinds: readonly string[], types: FeedQuery["types"]): string {
  const isOneOf = (column: string, values: readonly string[]) => {
    const [first, ...others] = values.map((value) => `'${value.replaceAll("'", "''")}'`);
    return others.length === 0
      ? `event.${column} = ${first}`
      : `event.${column} in (${[first, ...others].join(", ")})`;
  };
  const ofKinds = isOneOf("kind", kinds);
  return types === undefined ? ofKinds : `${ofKinds} and ${isOneOf("type", types)}`;
}

interface EventRow {
  readonly version: number | bigint | string;
  readonly type: string;
  readonly schema: number;
  readonly data: unknown;
  readonly correlation_id: string;
  readonly causation_id: string;
  readonly principal: string;
  readonly at: Date;
}

interface FeedRow extends EventRow {
  readonly through: string;
  readonly kind: string;
  readonly key: string;
  readonly transaction: string;
  readonly position: number | bigint | string;
}

function storedEvent(row: EventRow): StoredEvent {
  return {
    version: Number(row.version),
    type: row.type,
    schema: row.schema,
    data: row.data,
    correlationId: row.correlation_id,
    causationId: row.causation_id,
    principalId: row.principal,
    at: row.at.getTime(),
  };
}
