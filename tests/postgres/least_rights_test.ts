/** Which rights in the database the service needs: those of whoever owns a schema, and no others. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { publishedEvent, send } from "../support/cluster.ts";
import { createServerDatabase, serverUrl } from "../support/database.ts";
import { ServerProcess } from "../support/server_process.ts";

async function execute(database: Database, ...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(database.db);
}

/** A role that may do nothing but log in, on a database of its own, gone at the end. */
async function ownDatabase(): Promise<{ readonly url: string } & AsyncDisposable> {
  await using making = new AsyncDisposableStack();
  const role = `troupe_test_${crypto.randomUUID().slice(0, 8)}`;
  const admin = making.use(await openDatabase({ url: serverUrl(), allowUnsafe: true }));
  await execute(
    admin,
    `create role ${role} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls`,
  );
  making.defer(() => execute(admin, `drop role ${role}`));
  const server = making.use(await createServerDatabase());
  const name = new URL(server.url).pathname.slice(1);
  await execute(admin, `alter database ${name} owner to ${role}`);
  const url = new URL(server.url);
  url.username = role;
  const made = making.move();
  return { url: url.href, [Symbol.asyncDispose]: () => made.disposeAsync() };
}

Deno.test("a role that owns its database, and has no power over the server, is enough", async () => {
  await using database = await ownDatabase();
  {
    await using server = await ServerProcess.start({ DATABASE_URL: database.url });
    const event = await publishedEvent(server, { capacity: 1 });
    const { status } = await send(server, "GET", `/events/${event}`);
    assert.equal(status, 200);
    assert.deepEqual(server.log.filter(({ level }) => level === "error"), []);
  }
  await using own = await openDatabase({ url: database.url });
  const beyond = [
    "create role troupe_test_planted superuser",
    "create database troupe_test_planted",
    "copy (select 1) to program 'id'",
    "select pg_read_file('/etc/passwd')",
    "select lo_import('/etc/passwd')",
    "select current_setting('data_directory')",
    "select rolpassword from pg_authid",
    "create extension file_fdw",
    "set session authorization postgres",
  ];
  for (const statement of beyond) {
    await assert.rejects(execute(own, statement), /permission denied|must be|denied/i, statement);
  }
});
