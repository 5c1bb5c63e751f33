/** A server that is killed in the rush, on a database server. */
import { survivesCrashes } from "../processes/crashing_rush.ts";
import { createServerDatabase } from "../support/database.ts";

Deno.test("killed in the rush, a server has lost and doubled nothing", async () => {
  await using database = await createServerDatabase();
  await survivesCrashes({ DATABASE_URL: database.url }, { requests: 3_000, crashes: 5 });
});
