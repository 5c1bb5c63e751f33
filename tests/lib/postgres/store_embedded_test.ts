/** The contracts of store and outbox on the embedded database, in memory. */
import type { Database } from "../../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../../lib/postgres/migrate.ts";
import { migrations } from "../../../migrations/all.ts";
import { jobQueueContract } from "../../contracts/job_queue_contract.ts";
import { outboxContract } from "../../contracts/outbox_contract.ts";
import { newKind, storeContract } from "../../contracts/store_contract.ts";
import { openMemoryDatabase } from "../../support/database.ts";
import { postIn } from "../../support/post.ts";

// To start the engine takes longer than all these tests, so they share one.
let database: Database;

Deno.test.beforeAll(async () => {
  // A time limit's timer outlives its statement, and would count as a leak of some test.
  database = await openMemoryDatabase({ queryTimeoutMs: 3_600_000 });
  await migrateToLatest(database.maintenance, migrations);
  await database.ping();
});

Deno.test.afterAll(async () => {
  await database[Symbol.asyncDispose]();
});

storeContract("embedded Postgres", (test) => async () => {
  await test(new PostgresEventStore(database), newKind());
});

outboxContract("embedded Postgres", (test) => async () => {
  await test(postIn(database), newKind());
});

jobQueueContract("embedded Postgres", (test) => async () => {
  await test(postIn(database), newKind());
});
