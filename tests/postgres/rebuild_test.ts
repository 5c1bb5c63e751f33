/** Projections and their rebuilds on a Postgres server. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { projection } from "../../actors/live_event/projection.ts";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { PostgresProjectionStore } from "../../lib/postgres/projection_store.ts";
import { PostgresRebuildStore } from "../../lib/postgres/rebuild_store.ts";
import { migrations } from "../../migrations/all.ts";
import { rebuildContract } from "../contracts/rebuild_contract.ts";
import { commitOf, newEvent } from "../contracts/store_contract.ts";
import { openServerDatabase, serverDatabaseOfThisFile } from "../support/database.ts";

const url = await serverDatabaseOfThisFile();

rebuildContract("server Postgres", (test) => async () => {
  await using database = await openDatabase({ url });
  await test(database);
});

Deno.test("a query that is in the way of the exchange is waited for, and none is sacrificed", async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  const store = new PostgresRebuildStore(database);
  const attempt = { token: 7, leaseMs: 60_000 };
  await store.begin(projection, attempt, { id: "ada" });
  await store.advance(projection, attempt, 10);
  const held = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  // It has the second table already, and wants the first while the exchange has that: a circle.
  const querying = database.db.transaction().execute(async (transaction) => {
    await sql`select * from registration`.execute(transaction);
    held.resolve();
    await done.promise;
    return await sql`select * from live_event`.execute(transaction);
  });
  await held.promise;
  assert.equal((await store.swap(projection, attempt, 10)).is, "busy");
  // It gives way by itself after a while, which on a busy machine may be sooner than it is seen.
  let isOver = false;
  const swapping = store.swap(projection, attempt, 10).finally(() => isOver = true);
  await waiting(database, () => isOver);
  done.resolve();
  assert.deepEqual((await querying).rows, []);
  assert.match((await swapping).is, /^(busy|swapped)$/);
  assert.equal((await store.swap(projection, attempt, 10)).is, "swapped");
});

Deno.test("while the projection in use has a page in hand, the exchange waits or gives way", async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  const rebuilds = new PostgresRebuildStore(database);
  const attempt = { token: 7, leaseMs: 60_000 };
  await rebuilds.begin(projection, attempt, { id: "ada" });
  const events = new PostgresEventStore(database);
  const event = {
    ...newEvent("Scheduled", {
      title: "Recital",
      organizerId: "olga",
      startsAt: "2040-06-01T18:00:00.000Z",
      endsAt: "2040-06-01T20:00:00.000Z",
      capacity: 2,
    }),
  };
  await events.commit([commitOf("live_event", "a", { events: [event] })]);
  const read = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  // It has read its page, and has not touched a table yet.
  const slow = {
    ...projection,
    async apply(...page: Parameters<typeof projection.apply>) {
      read.resolve();
      await goOn.promise;
      await projection.apply(...page);
    },
  };
  const live = new PostgresProjectionStore(database.db);
  const advancing = (async () => {
    // What runs elsewhere on the server may hold the feed back.
    while ((await live.advance(slow, 10))?.events !== 1);
  })();
  await read.promise;
  assert.equal((await rebuilds.swap(projection, attempt, 10)).is, "busy");
  goOn.resolve();
  await advancing;
  assert.equal((await rebuilds.swap(projection, attempt, 10)).is, "swapped");
  const { rows } = await sql`select id from live_event`.execute(database.db);
  assert.deepEqual(rows, [{ id: "a" }]);
  assert.equal((await live.advance(projection, 10))?.events, 0, "and it is not applied again");
});

/** Resolves once a session stands before a lock, or there is none that might. */
async function waiting({ db }: Database, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
    if (rows[0]!.count > 0) return;
  }
}
