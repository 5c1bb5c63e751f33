/** Projections and their rebuilds on a Postgres server. */
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { rebuildContract } from "../contracts/rebuild_contract.ts";
import { openServerDatabase } from "../support/database.ts";

rebuildContract("server Postgres", (test) => async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  await test(database);
});
