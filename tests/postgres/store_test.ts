/** The contracts of store and outbox on a Postgres server. */
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { jobQueueContract } from "../contracts/job_queue_contract.ts";
import { outboxContract } from "../contracts/outbox_contract.ts";
import { newKind, storeContract } from "../contracts/store_contract.ts";
import { openServerDatabase } from "../support/database.ts";
import { postIn } from "../support/post.ts";

storeContract("server Postgres", (test) => async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  await test(new PostgresEventStore(database), newKind());
});

outboxContract("server Postgres", (test) => async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  await test(postIn(database), newKind());
});

jobQueueContract("server Postgres", (test) => async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  await test(postIn(database), newKind());
});
