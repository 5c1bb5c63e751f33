/** A server that is killed in the rush, on a database server; and the database server under it. */
import { survivesCrashes } from "../processes/crashing_rush.ts";
import { createServerDatabase } from "../support/database.ts";
import { OwnPostgres } from "../support/own_postgres.ts";

Deno.test("killed in the rush, a server has lost and doubled nothing", async () => {
  await using database = await createServerDatabase();
  await survivesCrashes({ DATABASE_URL: database.url }, { requests: 3_000, crashes: 5 });
});

Deno.test("with its database killed and stopped in the rush, a server serves on and is exact", async () => {
  await using database = await OwnPostgres.start();
  await survivesCrashes({ DATABASE_URL: database.url }, {
    requests: 3_000,
    crashes: 2,
    outage: (before) => database.restart(before % 2 === 0 ? "immediate" : "fast", before * 300),
  });
});
