/** A database that goes back behind what it acknowledged, as a copy that was behind would. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { openDatabase } from "../../lib/postgres/database.ts";
import { defaultRootStrategy } from "../../lib/runtime/supervision.ts";
import { publishedEvent, send } from "../support/cluster.ts";
import { createServerDatabase } from "../support/database.ts";
import { ServerProcess } from "../support/server_process.ts";

Deno.test("a server whose database goes on losing events says so, and ends in order", async () => {
  await using database = await createServerDatabase();
  await using server = await ServerProcess.start({ DATABASE_URL: database.url });
  await using aside = await openDatabase({ url: database.url, allowUnsafe: true });
  for (let losses = 0; losses <= defaultRootStrategy.escalationsMax; losses++) {
    const key = await publishedEvent(server, { capacity: 1 });
    await sql`delete from event where key = ${key}`.execute(aside.db);
    await sql`delete from actor where key = ${key}`.execute(aside.db);
    const { status } = await send(server, "POST", `/events/${key}/cancel`);
    assert.equal(status, 500);
    if (losses > 0) continue;
    assert.equal((await send(server, "POST", `/events/${key}/cancel`)).status, 404);
    const ready = await (await fetch(`${server.url}/health/ready`)).json();
    assert.equal(ready.supervision.isDataLost, true);
    assert.equal((await server.logged("the store lost events")).level, "error");
  }
  const { code, signal } = await server.ended;
  assert.deepEqual([code, signal], [1, null]);
  assert.equal((await server.logged("the node ends itself")).level, "error");
  assert(
    server.log.some(({ message }) => message === "stopped"),
    "and not in the middle of things",
  );
});
