/** When a server is asked no more, and how that ends by itself. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { TransientFault } from "../../lib/fault.ts";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import type { Dependency } from "../../lib/resilience/dependency.ts";
import { eventually, hasOutcome, one } from "../lib/postgres/database_contract.ts";
import { serverUrl } from "../support/database.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import { NetworkProxy } from "../support/network_proxy.ts";

/** Resolves with the next change for the better, or the worse. */
function changeOf(dependency: Dependency): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  dependency.onChange(({ state }) => resolve(state === "closed"));
  return promise;
}

/** Asks, as all do who have work, until the breaker answers in the place of the server. */
async function askUntilRefused(ask: () => Promise<unknown>): Promise<TransientFault> {
  for (;;) {
    try {
      await ask();
    } catch (fault) {
      assert(fault instanceof TransientFault, String(fault));
      if (fault.isRefusal) return fault;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Of its one session; a pool may still give out the one that was cut. */
async function pidOf({ db }: Database): Promise<unknown> {
  let pid: unknown;
  await eventually(async () => void (pid = await one(db, sql`pg_backend_pid()`)));
  return pid;
}

const ping = (database: Database) => () => database.ping();

Deno.test("a server that is stopped is not asked any more, and once it is back, it is", async () => {
  await using server = await OwnPostgres.start();
  await using database = await openDatabase({ url: server.url });
  const { server: breaker } = database.breakers;
  const lost = changeOf(breaker);
  await server.stop("fast");
  const refusal = await askUntilRefused(ping(database));
  assert.equal(await lost, false);
  assert.equal(refusal.outcome, "not-applied");
  for (const way of [database.committer, database.relay, database.jobs, database.maintenance]) {
    await assert.rejects(one(way, sql`1`), (fault) => (fault as TransientFault).isRefusal);
  }
  const back = changeOf(breaker);
  await server.resume();
  assert.equal(await back, true, "without anyone asking");
  await database.ping();
});

Deno.test("a session that is cut amid a hundred statements says nothing of the server", async () => {
  const options = { url: serverUrl(), allowUnsafe: true };
  await using database = await openDatabase({ ...options, poolMax: 1 });
  await using observer = await openDatabase(options);
  const { server: breaker } = database.breakers;
  for (let round = 0; round < 5; round++) {
    const pid = await pidOf(database);
    const asked = Array.from({ length: 100 }, () => one(database.db, sql`pg_sleep(0.01)`));
    const answers = Promise.allSettled(asked);
    await sql`select pg_terminate_backend(${pid}::int)`.execute(observer.db);
    const cut = (await answers).filter(({ status }) => status === "rejected");
    assert(cut.length > 10, `only ${cut.length} were cut`);
    assert.equal(breaker.standing().failures, 0);
  }
  assert(breaker.isAvailable);
});

Deno.test("a network that swallows everything opens the breaker, and nobody waits on", async () => {
  await using proxy = await NetworkProxy.before(serverUrl());
  const limits = { queryTimeoutMs: 60_000, connectTimeoutMs: 400 };
  await using database = await openDatabase({ url: proxy.url, allowUnsafe: true, ...limits });
  const { server: breaker } = database.breakers;
  await database.ping();
  proxy.treat(() => "swallow");
  const waiting = assert.rejects(
    sql`select 1`.execute(database.db),
    (fault) => /does not answer/.test(String(fault)) && hasOutcome("unknown")(fault),
  );
  await askUntilRefused(ping(database));
  await waiting;
  const back = changeOf(breaker);
  proxy.heal();
  assert.equal(await back, true);
  await database.ping();
});

Deno.test("a server that takes no writes is read, and written again once it takes them", async () => {
  await using server = await OwnPostgres.start();
  await using database = await openDatabase({ url: server.url });
  await using operator = await openDatabase({ url: server.url });
  const { writing, server: breaker } = database.breakers;
  const { db, committer } = database;
  await sql`create table seat (id int)`.execute(db);
  const setReadOnly = async (value: string) => {
    await sql.raw(`alter system set default_transaction_read_only = ${value}`).execute(operator.db);
    await sql`select pg_reload_conf()`.execute(operator.db);
  };
  await setReadOnly("on");
  await askUntilRefused(() => sql`insert into seat values (1)`.execute(committer));
  assert(breaker.isAvailable);
  assert(!writing.isAvailable);
  assert.equal(await one(db, sql`(select count(*)::int from seat)`), 0);
  const begun = db.transaction().execute(() => Promise.resolve());
  await assert.rejects(begun, (fault) => (fault as TransientFault).isRefusal);
  await db.transaction().setAccessMode("read only").execute((reading) => one(reading, sql`1`));
  const back = changeOf(writing);
  await setReadOnly("off");
  assert.equal(await back, true);
  await sql`insert into seat values (1)`.execute(committer);
});
