/** Memory, the simulated Postgres and a real one agree on whatever is asked of them. */
import { sql } from "kysely";
import { openDatabase } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { agree, inMemory, inPostgres, simulated } from "../simulation/differential/comparing.ts";
import { createServerDatabase } from "../support/database.ts";

const LISTS = 200;

Deno.test("stores in memory, simulated and on a server agree on the same operations", async () => {
  await using server = await createServerDatabase();
  const { url } = server;
  await prepare(url);
  await using database = await openDatabase({ url, allowUnsafe: true });
  await agree([inPostgres("server", database), inMemory, simulated], { numRuns: LISTS });
});

/** What is answered does not depend on the disk; to wait for it takes most of the time. */
async function prepare(url: string): Promise<void> {
  await using database = await openDatabase({ url });
  await migrateToLatest(database.maintenance, migrations);
  const name = sql.table(new URL(url).pathname.slice(1));
  await sql`alter database ${name} set synchronous_commit = off`.execute(database.maintenance);
}
