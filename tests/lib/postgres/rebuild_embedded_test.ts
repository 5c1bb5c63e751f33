/** Projections and their rebuilds on the embedded database, in memory. */
import type { Database } from "../../../lib/postgres/database.ts";
import { migrateToLatest } from "../../../lib/postgres/migrate.ts";
import { migrations } from "../../../migrations/all.ts";
import { rebuildContract } from "../../contracts/rebuild_contract.ts";
import { openMemoryDatabase } from "../../support/database.ts";

// To start the engine takes longer than most of these tests, so they share one.
let database: Database;

Deno.test.beforeAll(async () => {
  // A time limit's timer outlives its statement, and would count as a leak of some test.
  database = await openMemoryDatabase({
    queryTimeoutMs: 3_600_000,
    acquireTimeoutMs: 60_000,
  });
  await migrateToLatest(database.maintenance, migrations);
  await database.ping();
});

Deno.test.afterAll(async () => {
  await database[Symbol.asyncDispose]();
});

rebuildContract("embedded Postgres", (test) => async () => await test(database));
