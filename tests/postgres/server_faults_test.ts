/** What goes wrong between this process and a server, for real. */
import assert from "node:assert/strict";
import { type Kysely, sql } from "kysely";
import { TransientFault } from "../../lib/fault.ts";
import {
  type Database,
  DatabaseUnusable,
  openDatabase,
  type ServerOptions,
} from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { eventually, hasOutcome, one } from "../lib/postgres/database_contract.ts";
import { createServerDatabase, openServerDatabase, serverUrl } from "../support/database.ts";
import { NetworkProxy } from "../support/network_proxy.ts";

interface Fixture extends AsyncDisposable {
  readonly proxy: NetworkProxy;
  /** Through the proxy. */
  readonly database: Database;
  /** Beside it. */
  readonly observer: Database;
}

async function behindProxy(options: Partial<ServerOptions> = {}): Promise<Fixture> {
  await using opening = new AsyncDisposableStack();
  const { url } = opening.use(await createServerDatabase());
  const observer = opening.use(await openDatabase({ url }));
  await sql`create table seat (id int primary key)`.execute(observer.db);
  const proxy = opening.use(await NetworkProxy.before(url));
  const database = opening.use(await openDatabase({ url: proxy.url, ...options }));
  const resources = opening.move();
  return { proxy, database, observer, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function seats({ db }: Database): Promise<number[]> {
  const { rows } = await sql<{ id: number }>`select id from seat order by id`.execute(db);
  return rows.map(({ id }) => id);
}

const take = (id: number) => sql`insert into seat (id) values (${id})`;

Deno.test("a dead network fails the query in time, and the next goes around it", async () => {
  await using fixture = await behindProxy({ queryTimeoutMs: 300 });
  const { proxy, database: { db } } = fixture;
  proxy.treat(() => "swallow");
  await assert.rejects(take(1).execute(db), hasOutcome("unknown"));
  proxy.heal();
  assert.equal(await one(db, sql`1`), 1);
});

Deno.test("a server that cannot be reached meanwhile is reached again later", async () => {
  await using fixture = await behindProxy({ queryTimeoutMs: 300, poolMax: 2 });
  const { proxy, database: { db } } = fixture;
  proxy.treat(() => "cut");
  const attempts = Array.from({ length: 20 }, () => one(db, sql`1`));
  for (const { status } of await Promise.allSettled(attempts)) assert.equal(status, "rejected");
  await assert.rejects(one(db, sql`1`), TransientFault);
  proxy.heal();
  assert.equal(await one(db, sql`1`), 1);
});

Deno.test("a connection lost after COMMIT was sent leaves the outcome unknown", async () => {
  await using fixture = await behindProxy({ queryTimeoutMs: 2_000 });
  const { proxy, database: { db } } = fixture;
  const committing = db.transaction().execute(async (transaction) => {
    await take(1).execute(transaction);
    // The server hears of the commit; the client never hears of the server.
    proxy.treat((bytes, direction) => direction === "to-server" ? bytes : "cut");
  });
  await assert.rejects(committing, hasOutcome("unknown"));
  assert.deepEqual(await seats(fixture.observer), [1], "and this time it has happened");
});

Deno.test("a connection lost before COMMIT has applied nothing", async () => {
  await using fixture = await behindProxy();
  const { proxy, database: { db } } = fixture;
  const committing = db.transaction().execute(async (transaction) => {
    await take(1).execute(transaction);
    proxy.treat(() => "cut");
    await take(2).execute(transaction);
  });
  await assert.rejects(committing, hasOutcome("not-applied"));
  proxy.heal();
  assert.deepEqual(await seats(fixture.database), []);
});

Deno.test("a transaction whose connection was lost does not go on on another", async () => {
  await using fixture = await behindProxy();
  const { proxy, database: { db } } = fixture;
  const committing = db.transaction().execute(async (transaction) => {
    proxy.treat(() => "cut");
    await take(1).execute(transaction).catch(() => {});
    proxy.heal();
    await assert.rejects(take(2).execute(transaction), hasOutcome("not-applied"));
  });
  await assert.rejects(committing, hasOutcome("not-applied"));
  assert.deepEqual(await seats(fixture.database), []);
});

Deno.test("a COMMIT that is never answered is unknown in time", async () => {
  await using fixture = await behindProxy({ queryTimeoutMs: 300 });
  const { proxy, database: { db } } = fixture;
  const committing = db.transaction().execute(async (transaction) => {
    await take(1).execute(transaction);
    proxy.treat(() => "swallow");
  });
  await assert.rejects(committing, hasOutcome("unknown"));
});

Deno.test("a commit that no standby confirmed is unknown, though Postgres says done", async () => {
  await using fixture = await behindProxy();
  const { proxy, database: { db } } = fixture;
  await one(db, sql`1`);
  proxy.treat((bytes, direction) => direction === "to-server" ? bytes : notice(bytes));
  await assert.rejects(take(1).execute(db), hasOutcome("unknown"));
  proxy.heal();
  assert.equal(await one(db, sql`1`), 1);
});

/** What a server says, before its answer, when its wait for the standby was cut short. */
function notice(answer: Uint8Array): Uint8Array {
  const fields = "SWARNING\0VWARNING\0C01000\0Mcanceling wait\0RSyncRepWaitForLSN\0\0";
  const message = new Uint8Array(5 + fields.length + answer.length);
  message[0] = 0x4e;
  new DataView(message.buffer).setUint32(1, 4 + fields.length);
  message.set(new TextEncoder().encode(fields), 5);
  message.set(answer, 5 + fields.length);
  return message;
}

Deno.test("a backend terminated within a statement that commits by itself is unknown", async () => {
  await using fixture = await behindProxy();
  const { database: { db }, observer } = fixture;
  const interrupted = assert.rejects(
    sql`select pg_sleep(30)`.execute(db),
    hasOutcome("unknown"),
  );
  await terminate(observer.db, "select pg_sleep(30)");
  await interrupted;
  assert.equal(await one(db, sql`1`), 1);
});

Deno.test("a backend terminated within a transaction has applied nothing", async () => {
  await using fixture = await behindProxy();
  const { database: { db }, observer } = fixture;
  const running = db.transaction().execute(async (transaction) => {
    await take(1).execute(transaction);
    await sql`select pg_sleep(30)`.execute(transaction);
  });
  const interrupted = assert.rejects(running, hasOutcome("not-applied"));
  await terminate(observer.db, "select pg_sleep(30)");
  await interrupted;
  assert.deepEqual(await seats(observer), []);
});

/** Ends the backend that runs `statement`, as soon as it does. */
async function terminate(db: Database["db"], statement: string): Promise<void> {
  await poll(async () => {
    const { rows } = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and state = 'active' and query = ${statement}`.execute(db);
    return rows.length > 0;
  });
}

async function poll(isDone: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!await isDone()) {
    assert(performance.now() < deadline, "it never came to that");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("of two transactions in a deadlock, one is rolled back and told so", async () => {
  await using fixture = await behindProxy();
  const { db } = fixture.observer;
  for (const id of [1, 2]) await take(id).execute(db);
  const bothHold = barrier(2);
  const locking = (first: number, second: number) =>
    db.transaction().execute(async (transaction) => {
      await sql`select from seat where id = ${first} for update`.execute(transaction);
      await bothHold();
      await sql`select from seat where id = ${second} for update`.execute(transaction);
    });
  const results = await Promise.allSettled([locking(1, 2), locking(2, 1)]);
  const failed = results.filter((result) => result.status === "rejected");
  assert.equal(failed.length, 1);
  assert(hasOutcome("not-applied")(failed[0]!.reason));
  assert.equal((failed[0]!.reason.cause as { code: string }).code, "40P01");
});

function barrier(parties: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  return async () => {
    if (--parties === 0) resolve();
    await promise;
  };
}

Deno.test("a statement that the server itself cuts short is not applied", async () => {
  await using database = await openServerDatabase({ statementTimeoutMs: 100 });
  const slow = sql`select pg_sleep(5)`.execute(database.db);
  await assert.rejects(slow, hasOutcome("not-applied"));
});

Deno.test("a cancelled query ends on the server too, and costs nobody else anything", async () => {
  await using fixture = await behindProxy({ statementTimeoutMs: 60_000, queryTimeoutMs: 60_000 });
  const { database: { db }, observer } = fixture;
  const controller = new AbortController();
  const cancelled = sql`select pg_sleep(30)`.execute(db, {
    signal: controller.signal,
    inflightQueryAbortStrategy: "cancel query",
  });
  const neighbours = Array.from({ length: 20 }, (_, n) => one(db, sql`${n}::int`));
  await poll(() => runs(observer.db, "select pg_sleep(30)"));
  controller.abort(new RangeError("the caller has left"));
  await assert.rejects(cancelled, RangeError);
  assert.deepEqual(await Promise.all(neighbours), [...neighbours.keys()]);
  await poll(async () => !await runs(observer.db, "select pg_sleep(30)"));
});

async function runs(db: Database["db"], statement: string): Promise<boolean> {
  return await one(
    db,
    sql`exists (select from pg_stat_activity where state = 'active' and query = ${statement}
      and datname = current_database())`,
  ) as boolean;
}

Deno.test("closing does not wait for a server that has fallen silent", async () => {
  await using fixture = await behindProxy({ queryTimeoutMs: 60_000 });
  const { proxy, observer } = fixture;
  const database = await openDatabase({ url: proxy.url, queryTimeoutMs: 60_000 });
  proxy.treat(() => "swallow");
  const stuck = assert.rejects(take(1).execute(database.db), hasOutcome("unknown"));
  const begun = performance.now();
  await database[Symbol.asyncDispose]();
  assert(performance.now() - begun < 8_000);
  await stuck;
  proxy.heal();
  assert.equal(await one(observer.db, sql`1`), 1);
});

Deno.test("while transactions hold every connection, others are turned away in time", async () => {
  await using database = await openServerDatabase({ acquireTimeoutMs: 100 });
  const { db } = database;
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const allHold = barrier(9);
  const holding = Array.from({ length: 8 }, () =>
    db.transaction().execute(async () => {
      void allHold();
      await released;
    }));
  await allHold();
  await assert.rejects(one(db, sql`1`), hasOutcome("not-applied"));
  await assert.rejects(db.transaction().execute(async () => {}), hasOutcome("not-applied"));
  const patient = one(db, sql`2`);
  release();
  await Promise.all(holding);
  assert.equal(await patient, 2);
});

Deno.test("only commits are planned without sequential scans", async () => {
  await using database = await openServerDatabase();
  assert.equal(await one(database.committer, sql`current_setting('enable_seqscan')`), "off");
  assert.equal(await one(database.db, sql`current_setting('enable_seqscan')`), "on");
  assert.equal(await one(database.db, sql`current_setting('statement_timeout')`), "5s");
  assert.equal(await one(database.maintenance, sql`current_setting('statement_timeout')`), "0");
});

Deno.test("behind a transaction pooler nothing depends on the session", async () => {
  await using server = await createServerDatabase();
  await using database = await openDatabase({ url: server.url, isTransactionPooled: true });
  const { db } = database;
  assert.equal(await one(db, sql`${1}::int`), 1);
  assert.equal(await one(db, sql`(select count(*) from pg_prepared_statements)`), 0);
  assert.equal(await one(db, sql`current_setting('statement_timeout')`), "0");
});

Deno.test("of four that migrate at once, one does and three find it done", async () => {
  await using server = await createServerDatabase();
  // deno-lint-ignore no-explicit-any -- as Kysely declares migrations
  const up = async (db: Kysely<any>) => {
    await sql`create table seat (id int primary key)`.execute(db);
    await sql`select pg_sleep(0.2)`.execute(db);
  };
  await using stack = new AsyncDisposableStack();
  const databases = await Promise.all([1, 2, 3, 4].map(async () => {
    return stack.use(await openDatabase({ url: server.url }));
  }));
  const applied = await Promise.all(
    databases.map(({ maintenance }) => migrateToLatest(maintenance, { "0001_seat": { up } })),
  );
  assert.deepEqual(applied.flat(), ["0001_seat"]);
  assert.deepEqual(await seats(databases[0]!), []);
});

Deno.test("a database that does not exist is a mistake, named without the password", async () => {
  const url = new URL(serverUrl());
  url.pathname = "/troupe_test_nowhere";
  url.password = "very-secret";
  await assert.rejects(openDatabase({ url: url.href }), (error) => {
    assert(error instanceof DatabaseUnusable);
    assert.match(error.message, /troupe_test_nowhere.*does not exist/);
    assert.doesNotMatch(error.message, /very-secret/);
    return true;
  });
});

Deno.test("a role that may not connect is a mistake", async () => {
  const url = new URL(serverUrl());
  url.username = "troupe_test_nobody";
  await assert.rejects(openDatabase({ url: url.href }), DatabaseUnusable);
});

Deno.test("a server that is not there yet may be there later", async () => {
  // Port 1 is nobody's.
  const opening = openDatabase({ url: "postgres://postgres@127.0.0.1:1/postgres" });
  await assert.rejects(opening, hasOutcome("not-applied"));
});

Deno.test("a role without connections left may have some later", async () => {
  await using server = await createServerDatabase();
  await using admin = await openDatabase({ url: server.url });
  const role = `troupe_test_${crypto.randomUUID().slice(0, 8)}`;
  await sql.raw(`create role ${role} login connection limit 1`).execute(admin.db);
  try {
    const url = new URL(server.url);
    url.username = role;
    await using first = await openDatabase({ url: url.href });
    await assert.rejects(openDatabase({ url: url.href }), hasOutcome("not-applied"));
    assert.equal(await one(first.db, sql`1`), 1);
  } finally {
    await eventually(async () => void await sql.raw(`drop role ${role}`).execute(admin.db));
  }
});
