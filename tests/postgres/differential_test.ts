/** Memory, the simulated Postgres and a real one agree on whatever is asked of them. */
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { agree, inMemory, inPostgres, simulated } from "../simulation/differential/comparing.ts";
import { openServerDatabase } from "../support/database.ts";

const LISTS = 200;

Deno.test("stores in memory, simulated and on a server agree on the same operations", async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  await agree([inPostgres("server", database), inMemory, simulated], { numRuns: LISTS });
});
