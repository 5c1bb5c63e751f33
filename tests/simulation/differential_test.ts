/** Memory, the simulated Postgres and the embedded one agree on whatever is asked of them. */
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { openMemoryDatabase } from "../support/database.ts";
import { agree, inMemory, inPostgres, simulated } from "./differential/comparing.ts";

const LISTS = 100;

Deno.test("stores in memory, simulated and embedded agree on the same operations", async () => {
  await using database = await openMemoryDatabase();
  await migrateToLatest(database.maintenance, migrations);
  await agree([inPostgres("embedded", database), inMemory, simulated], { numRuns: LISTS });
});
