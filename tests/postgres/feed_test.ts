/** The feed under writers that commit late, out of order, and in each other's way. */
import assert from "node:assert/strict";
import { type CompiledQuery, type Kysely, sql } from "kysely";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore, readFeed } from "../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { Tables } from "../../lib/postgres/tables.ts";
import {
  type CommitOutcome,
  type FeedEvent,
  feedStart,
  type Store,
} from "../../lib/runtime/store.ts";
import { migrations } from "../../migrations/all.ts";
import { commitOf, newEvent, newKind } from "../contracts/store_contract.ts";
import { createServerDatabase, openServerDatabase } from "../support/database.ts";
import { pagesOf, recording } from "../support/query_plans.ts";

async function openMigrated(): Promise<Database> {
  await using opening = new AsyncDisposableStack();
  const database = opening.use(await openServerDatabase());
  await migrateToLatest(database.maintenance, migrations);
  opening.move();
  return database;
}

function nameOf({ address, version }: Pick<FeedEvent, "address" | "version">): string {
  return `${address.key}${version}`;
}

/** Follows the feed in small pages, and holds it to what each page promised. */
class FeedReader {
  readonly seen: FeedEvent[] = [];
  readonly #store: Store;
  readonly #kind: string;
  readonly #limit: number;
  #through = 0n;

  constructor(store: Store, kind: string, limit: number) {
    this.#store = store;
    this.#kind = kind;
    this.#limit = limit;
  }

  get names(): string[] {
    return this.seen.map(nameOf);
  }

  /** Reads what is there, in pages. */
  async readOn(): Promise<void> {
    while (await this.#readPage());
  }

  /**
   * Reads until the feed is complete through that transaction: whatever runs elsewhere on the server
   * holds it back as well.
   */
  async readThrough(transaction: string): Promise<void> {
    while (this.#through < BigInt(transaction)) await this.#readPage();
  }

  async #readPage(): Promise<boolean> {
    const limit = this.#limit;
    const after = this.seen.at(-1)?.cursor ?? feedStart;
    const page = await this.#store.readFeed({ after, kind: this.#kind, limit });
    for (const event of page.events) {
      const isLate = BigInt(event.cursor.transaction) <= this.#through;
      assert(!isLate, `${nameOf(event)} appears where the feed was complete`);
    }
    this.seen.push(...page.events);
    this.#through = BigInt(page.through);
    return page.events.length === limit;
  }
}

/** A transaction after all that have begun. */
async function latest(db: Kysely<Tables>): Promise<string> {
  const { rows } = await sql<{ id: string }>`select pg_current_xact_id()::text as id`.execute(db);
  return rows[0]!.id;
}

/** What the feed would be if it went by the order in which positions were drawn. */
class NaiveReader {
  readonly names: string[] = [];
  readonly #db: Kysely<Tables>;
  #position = 0;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async readOn(): Promise<void> {
    const { rows } = await sql<{ key: string; version: number; position: number }>`
      select key, version, position from event where position > ${this.#position}
      order by position`.execute(this.#db);
    this.names.push(...rows.map(({ key, version }) => `${key}${version}`));
    this.#position = rows.at(-1)?.position ?? this.#position;
  }
}

interface OpenCommit {
  /** Commits, or rolls back, and resolves once that is done. */
  end(how: "commit" | "rollback"): Promise<void>;
}

class RolledBack extends Error {}

/** Sends two events of `key` through the real statement, in a transaction that stays open. */
async function holdCommit(
  db: Kysely<Tables>,
  kind: string,
  key: string,
  after: { readonly revision: number; readonly version: number } = { revision: 0, version: 0 },
): Promise<OpenCommit> {
  const sent = Promise.withResolvers<void>();
  const decided = Promise.withResolvers<"commit" | "rollback">();
  const ended = db.transaction().execute(async (transaction) => {
    const store = new PostgresEventStore({ db: transaction, committer: transaction });
    const events = [newEvent("First"), newEvent("Second")];
    const [outcome] = await store.commit([commitOf(kind, key, { ...after, events })]);
    assert.equal(outcome?.is, "ok");
    sent.resolve();
    if (await decided.promise === "rollback") throw new RolledBack();
  }).catch((error) => {
    if (!(error instanceof RolledBack)) throw error;
  });
  ended.catch(sent.reject);
  await sent.promise;
  const end = async (how: "commit" | "rollback") => {
    decided.resolve(how);
    await ended;
  };
  return { end };
}

Deno.test("the feed skips nothing that commits late, where a reader by position does", async () => {
  await using database = await openMigrated();
  const { db } = database;
  const kind = newKind();
  const reader = new FeedReader(new PostgresEventStore(database), kind, 3);
  const naive = new NaiveReader(db);
  const readOn = async () => {
    await reader.readOn();
    await naive.readOn();
  };

  // The places in which five transactions end, the first one being the one that began first.
  const orders = [[4, 3, 2, 1, 0], [1, 0, 3, 2, 4], [2, 4, 0, 1, 3], [0, 1, 2, 3, 4]];
  const written: string[] = [];
  for (const [round, order] of orders.entries()) {
    const open: OpenCommit[] = [];
    for (const writer of order.keys()) {
      open.push(await holdCommit(db, kind, `r${round}w${writer}v`));
      await readOn();
    }
    for (const writer of order) {
      const how = round === 2 && writer === 4 ? "rollback" : "commit";
      if (how === "commit") written.push(`r${round}w${writer}v1`, `r${round}w${writer}v2`);
      await open[writer]!.end(how);
      await readOn();
    }
  }

  await reader.readThrough(await latest(db));
  assert.deepEqual(reader.names.toSorted(), written.toSorted(), "each event is met exactly once");
  const skipped = written.filter((name) => !naive.names.includes(name));
  assert(skipped.length > 0, "the trap is real: a reader by position skips events");
});

Deno.test("while a writer is under way, the feed stops before it and shows what came earlier", async () => {
  await using database = await openMigrated();
  const kind = newKind();
  const store = new PostgresEventStore(database);
  const reader = new FeedReader(store, kind, 10);
  await store.commit([commitOf(kind, "before", { events: [newEvent("E")] })]);
  const before = await latest(database.db);
  const late = await holdCommit(database.db, kind, "late");
  await store.commit([commitOf(kind, "after", { events: [newEvent("E")] })]);
  await reader.readThrough(before);
  await reader.readOn();
  assert.deepEqual(reader.names, ["before1"]);
  await late.end("commit");
  await reader.readThrough(await latest(database.db));
  assert.deepEqual(reader.names, ["before1", "late1", "late2", "after1"]);
});

async function exclusively(store: Store, kind: string, key: string): Promise<CommitOutcome> {
  return await store.commitExclusively({ kind, key }, 0, ({ revision, version }) => {
    return commitOf(kind, key, { revision, version, events: [newEvent("Exclusive")] });
  });
}

/** Resolves once `count` sessions of the database stand before a lock. */
async function waiting(db: Kysely<Tables>, count: number): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
    if (rows[0]!.count >= count) return;
  }
}

Deno.test("turns that waited for a row come behind the one that held it, in their order", async () => {
  await using database = await openMigrated();
  const kind = newKind();
  const store = new PostgresEventStore(database);
  const reader = new FeedReader(store, kind, 10);
  for (let round = 0; round < 20; round++) {
    const key = `r${round}v`;
    const [first] = await store.commit([commitOf(kind, key, { events: [newEvent("First")] })]);
    assert.equal(first?.is, "ok");
    const held = await holdCommit(database.db, kind, key, { revision: 1, version: 1 });
    const turns = Array.from({ length: 5 }, () => exclusively(store, kind, key));
    await waiting(database.maintenance, 5);
    await held.end("commit");
    for (const { is } of await Promise.all(turns)) assert.equal(is, "ok");
    await reader.readThrough(await latest(database.db));
    const names = reader.names.filter((name) => name.startsWith(key));
    assert.deepEqual(names, [1, 2, 3, 4, 5, 6, 7, 8].map((version) => `${key}${version}`));
  }
});

Deno.test("nodes that press on the same actors leave a feed in each actor's order", async () => {
  await using server = await createServerDatabase();
  await using open = new AsyncDisposableStack();
  const databases = await Promise.all(
    Array.from({ length: 4 }, () => openDatabase({ url: server.url, poolMax: 4 })),
  );
  for (const database of databases) open.use(database);
  await migrateToLatest(databases[0]!.maintenance, migrations);
  const kind = newKind();
  const stores = databases.map((database) => new PostgresEventStore(database));
  const keys = ["a", "b"];
  await stores[0]!.commit(keys.map((key) => commitOf(kind, key, { events: [newEvent("First")] })));

  const reader = new FeedReader(stores[0]!, kind, 7);
  let isOver = false;
  const following = (async () => {
    while (!isOver) await reader.readOn();
    await reader.readThrough(await latest(databases[0]!.db));
  })();
  let written = keys.length;
  const node = async (store: Store) => {
    for (let turn = 0; turn < 60; turn++) {
      const key = keys[turn % keys.length]!;
      let after = { revision: 0, version: 0 };
      const exclusive = await store.commitExclusively({ kind, key }, 0, (caughtUp) => {
        const { revision, version } = caughtUp;
        after = { revision: revision + 1, version: version + 1 };
        return commitOf(kind, key, { revision, version, events: [newEvent("Exclusive")] });
      });
      if (exclusive.is !== "ok") continue;
      written++;
      // As a node does that believes itself alone again.
      const next = commitOf(kind, key, { ...after, events: [newEvent("Plain")] });
      const [plain] = await store.commit([next]);
      if (plain?.is === "ok") written++;
    }
  };
  const writing = Promise.all(stores.map(node)).finally(() => isOver = true);
  await Promise.all([writing, following]);

  assert.equal(reader.seen.length, written);
  for (const key of keys) {
    const versions = reader.seen.filter(({ address }) => address.key === key)
      .map(({ version }) => version);
    assert.deepEqual(versions, versions.map((_, index) => index + 1), `the versions of ${key}`);
  }
});

Deno.test("a turn whose transaction was overtaken is a conflict and leaves nothing", async () => {
  await using database = await openMigrated();
  const kind = newKind();
  const address = { kind, key: "a" };
  const store = new PostgresEventStore(database);
  await store.commit([commitOf(kind, "a", { events: [newEvent("First")] })]);

  /** Draws the id of the transaction first, and then lets another one have the row. */
  const overtaken = async (transaction: Kysely<Tables>) => {
    await sql`select pg_current_xact_id()`.execute(transaction);
    const events = [newEvent("Second")];
    await store.commit([commitOf(kind, "a", { revision: 1, version: 1, events })]);
  };
  const db = new Proxy(database.db, {
    get: (target, name) =>
      name === "transaction"
        ? () => ({
          execute: (run: (transaction: Kysely<Tables>) => Promise<unknown>) =>
            target.transaction().execute(async (transaction) => {
              await overtaken(transaction);
              return await run(transaction);
            }),
        })
        : Reflect.get(target, name),
  });
  const late = new PostgresEventStore({ db, committer: database.committer });
  assert.deepEqual(await exclusively(late, kind, "a"), { is: "conflict" });
  assert.deepEqual((await store.readStream(address)).map(({ type }) => type), ["First", "Second"]);
  assert.equal((await exclusively(store, kind, "a")).is, "ok");
});

Deno.test("a page is read along the feed, also of a table that was never analyzed", async () => {
  await using database = await openMigrated();
  const { db } = database;
  await sql`alter table event set (autovacuum_enabled = false)`.execute(db);
  await sql`
    insert into event (kind, key, version, type, schema, data, correlation_id, causation_id,
      principal, at, transaction)
    select 'told', n % 10, n, 'Said', 1, jsonb_build_object('text', repeat('x', 100)),
      gen_random_uuid(), gen_random_uuid(), 'ann', now(), (n / 10)::text::xid8
    from generate_series(1, 50000) n`.execute(db);
  const statements: CompiledQuery[] = [];
  const query = { after: feedStart, limit: 200, kind: "told", types: ["Said"] };
  const { events } = await readFeed(recording(db, statements), query);
  assert.equal(events.length, 200);
  const { pages } = await pagesOf(db, statements.at(-1)!);
  assert(pages < 100, `${pages} pages for 200 events`);
});
