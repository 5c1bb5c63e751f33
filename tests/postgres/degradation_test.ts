/** A node whose server is stopped: what it keeps up, what it refuses, and how it comes back. */
import assert from "node:assert/strict";
import { openDatabase } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { Api, assertProblem, draft, published, registered } from "../support/api.ts";
import { OwnPostgres } from "../support/own_postgres.ts";

Deno.test("with the server stopped it is read-only, and with the server started as before", async () => {
  await using server = await OwnPostgres.start();
  await using database = await openDatabase({ url: server.url });
  await migrateToLatest(database.maintenance, migrations);
  await using api = new Api(database);
  const [olga, ben] = [api.as("olga", "organizer"), api.as("ben")];
  const event = await published(olga);
  await registered(ben, event);

  const modes: string[] = [];
  const modeIs = (wanted: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    api.onObserved((seen) => seen.type === "mode" && seen.mode === wanted && resolve());
    return promise;
  };
  api.onObserved((seen) => seen.type === "mode" && void modes.push(seen.mode));
  const isReadOnly = modeIs("read-only");
  await server.stop("fast");
  // Nobody needs to ask: what works in the background notices.
  await isReadOnly;

  const calls = api.store.calls.commit;
  for (let time = 0; time < 100; time++) {
    const refused = await ben.post(`${event}/registrations`, {});
    assert.equal(refused.status, 503);
    assert(Number(refused.headers.get("retry-after")) >= 1);
    assert.equal(refused.headers.get("service-mode"), "read-only");
  }
  assert.equal(api.store.calls.commit, calls, "no command got as far as the store");
  const read = await ben.get(event);
  assert.equal(read.status, 200);
  assert.match(read.headers.get("age")!, /^[0-9]+$/);
  assert.equal(read.headers.get("cache-status"), `Troupe; hit; ttl=-${read.headers.get("age")}`);
  assert.equal((await ben.get(`${event}/registrations/me`)).body.status, "confirmed");
  assertProblem(
    await ben.get(event, { "cache-control": "no-cache" }),
    503,
    "/problems/unavailable",
  );
  const elsewhere = `/events/${crypto.randomUUID()}`;
  assertProblem(await ben.get(elsewhere), 503, "/problems/unavailable");
  assert.equal((await ben.get("/events")).status, 503);
  const ready = await ben.get("/health/ready");
  assert.deepEqual(
    [ready.status, ready.body.mode, ready.body.because],
    [503, "read-only", ["database-away"]],
  );

  const isNormal = modeIs("normal");
  await server.resume();
  await isNormal;
  await registered(api.as("cleo"), event);
  await draft(olga);
  const fresh = await ben.get(event);
  assert.deepEqual([fresh.status, fresh.headers.get("age")], [200, null]);
  assert.equal((await ben.get("/health/ready")).status, 200);
  assert.deepEqual(modes, ["read-only", "normal"]);
  assert.deepEqual(api.bugs, []);
});
