/** The store contract on a Postgres server. */
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { newKind, storeContract } from "../contracts/store_contract.ts";
import { openServerDatabase } from "../support/database.ts";

storeContract("server Postgres", (test) => async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  await test(new PostgresEventStore(database), newKind());
});
