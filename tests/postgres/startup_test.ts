/** How the service starts on a database server, and when it refuses to. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { openDatabase } from "../../lib/postgres/database.ts";
import { publishedEvent, send } from "../support/cluster.ts";
import { createServerDatabase } from "../support/database.ts";
import { type Ending, ServerProcess } from "../support/server_process.ts";

async function execute(url: string, statement: string): Promise<void> {
  await using database = await openDatabase({ url, allowUnsafe: true });
  await sql.raw(statement).execute(database.db);
}

function assertRefused({ code, stderr }: Ending, reason: RegExp): void {
  assert.notEqual(code, 0);
  assert.equal(stderr.length, 1, stderr.join("\n"));
  assert.match(stderr[0]!, reason);
}

Deno.test("four servers that start at once on an empty database migrate it once", async () => {
  await using database = await createServerDatabase();
  const variables = { DATABASE_URL: database.url, DATABASE_POOL_MAX: "4" };
  await using started = new AsyncDisposableStack();
  const servers = await Promise.all([1, 2, 3, 4].map(() => ServerProcess.start(variables)));
  for (const server of servers) started.use(server);

  const applied = await Promise.all(servers.map(async (server) => {
    return (await server.logged("database open")).migrationsApplied as string[];
  }));
  const [all, ...none] = applied.toSorted((a, b) => b.length - a.length);
  assert(all!.length > 0);
  assert.deepEqual(none, [[], [], []], "one has applied them all");
  const eventId = await publishedEvent(servers[0]!, { capacity: 1 });
  for (const server of servers) {
    const { status } = await send(server, "GET", `/events/${eventId}`);
    assert.equal(status, 200);
  }
});

Deno.test("migrating twice at once, and once more, changes nothing after the first time", async () => {
  await using database = await createServerDatabase();
  const variables = { DATABASE_URL: database.url };
  const run = () => ServerProcess.run(variables, "migrate");
  const endings = [...await Promise.all([run(), run()]), await run()];
  for (const { code, stderr } of endings) assert.deepEqual([code, stderr], [0, []]);
  const idle = endings.filter(({ stdout }) => stdout.join() === "nothing to apply");
  assert.equal(idle.length, 2);
});

Deno.test("a server that may lose what it has confirmed is refused, unless that is allowed", async () => {
  await using database = await createServerDatabase();
  // Of the settings that matter, this is the one that a single database can have.
  const name = new URL(database.url).pathname.slice(1);
  await execute(database.url, `alter database ${name} set synchronous_commit = off`);
  const variables = { DATABASE_URL: database.url };
  assertRefused(await ServerProcess.run(variables), /synchronous_commit=off/);
  assertRefused(await ServerProcess.run(variables, "migrate"), /synchronous_commit=off/);

  await using server = await ServerProcess.start({ ...variables, DATABASE_ALLOW_UNSAFE: "true" });
  const { level } = await server.logged(
    "this store survives a crash of the process, but not a loss of power",
  );
  assert.equal(level, "warn");
  const response = await fetch(`${server.url}/health/ready`);
  assert.equal((await response.json()).durability.survivesPowerLoss, false);
});

Deno.test("a database that does not exist is refused in one line", async () => {
  await using database = await createServerDatabase();
  const url = new URL(database.url);
  url.pathname = "/troupe_test_nowhere";
  assertRefused(await ServerProcess.run({ DATABASE_URL: url.href }), /troupe_test_nowhere/);
});

Deno.test("a database from a newer release is refused in one line, and left as it is", async () => {
  await using database = await createServerDatabase();
  const variables = { DATABASE_URL: database.url };
  assert.equal((await ServerProcess.run(variables, "migrate")).code, 0);
  await execute(
    database.url,
    "insert into kysely_migration (name, timestamp) values ('9999_tomorrow', 'now')",
  );
  assertRefused(await ServerProcess.run(variables), /9999_tomorrow/);
});
