import assert from "node:assert/strict";
import { DatabaseUnusable, openDatabase } from "../../../lib/postgres/database.ts";
import { unsafeSettings } from "../../../lib/postgres/durability.ts";
import { parseServerUrl } from "../../../lib/postgres/server.ts";

Deno.test("the URL of a server says who, where, what and how", () => {
  const { address, name, ...credentials } = parseServerUrl(
    "postgres://ann%40x:p%2Fw@db.example:6543/tickets?sslmode=verify-full",
  );
  assert.deepEqual(address, { host: "db.example", port: 6543 });
  assert.equal(name, "db.example:6543/tickets");
  assert.deepEqual(credentials, {
    user: "ann@x",
    password: "p/w",
    database: "tickets",
    ssl: "verify-full",
  });
});

Deno.test("what the URL of a server leaves out is as usual", () => {
  const { address, user, database, ssl } = parseServerUrl("postgresql://ann@localhost");
  assert.deepEqual(address, { host: "localhost", port: 5432 });
  assert.deepEqual({ user, database, ssl }, { user: "ann", database: "ann", ssl: false });
});

Deno.test("the URL of a server may lead to a Unix socket or to an IPv6 address", () => {
  const socket = parseServerUrl("postgres://ann@localhost/tickets?host=/run/postgresql");
  assert.deepEqual(socket.address, { path: "/run/postgresql/.s.PGSQL.5432" });
  const loopback = parseServerUrl("postgres://ann@[::1]:5433/tickets");
  assert.deepEqual(loopback.address, { host: "::1", port: 5433 });
});

for (
  const url of [
    "mysql://ann:very-secret@localhost/tickets",
    "postgres://ann:very-secret@localhost/tickets?sslmode=perhaps",
    "postgres://ann:very-secret@localhost/tickets?target=standby",
    "postgres://ann:very-secret@localhost:port/tickets",
  ]
) {
  Deno.test(`${url} is refused, and the password is not repeated`, async () => {
    await assert.rejects(openDatabase({ url }), (error) => {
      assert(error instanceof DatabaseUnusable);
      assert.doesNotMatch(error.message, /very-secret/);
      return true;
    });
  });
}

Deno.test("settings that lose confirmed work are named", () => {
  const safe = { fsync: "on", full_page_writes: "on", synchronous_commit: "local" };
  assert.deepEqual(unsafeSettings({ ...safe, data_checksums: "off" }), []);
  const unsafe = { fsync: "off", full_page_writes: "on", synchronous_commit: "off" };
  assert.deepEqual(unsafeSettings(unsafe), ["fsync=off", "synchronous_commit=off"]);
});
