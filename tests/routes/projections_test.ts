/** What administrators see of the projections, and having one made anew. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { Api, assertProblem, itemsOf, published, registered, since } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const NAME = "live_event_listing";
const REBUILD = `/projections/${NAME}/rebuild`;

Deno.test("projections are for administrators alone, and nobody else has one rebuilt", async () => {
  await using api = new Api(database);
  const requests = [["GET", "/projections"], ["GET", `/projections/${NAME}`], ["POST", REBUILD]];
  for (const [method, path] of requests) {
    for (const caller of [api.as("olga", "organizer"), api.as("ben")]) {
      assertProblem(await caller.send(method!, path!), 403, "/problems/forbidden");
    }
    assertProblem(
      await api.bearing(undefined).send(method!, path!),
      401,
      "/problems/unauthenticated",
    );
  }
  const { body } = await api.as("ada", "admin").get(`/projections/${NAME}`);
  assert.equal(body.rebuild, undefined);
});

Deno.test("a rebuild heals the lists, while they and their tokens go on working", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const ada = api.as("ada", "admin");
  const event = await published(alice, { capacity: 3 });
  for (const name of ["ann", "ben", "cho"]) await registered(api.as(name), event);
  const before = await alice.get(event);
  const list = `/events?organizerId=${alice.id}`;
  const own = await itemsOf(alice, list, since(before));
  await sql`update live_event set title = 'Nonsense', confirmed = 99`.execute(database.db);
  await sql`delete from registration where user_id like 'ben-%'`.execute(database.db);

  const begun = await ada.post(REBUILD);
  assert.equal(begun.status, 202, begun.text);
  assert.equal(begun.headers.get("location"), `/api/v1/projections/${NAME}`);
  assert.equal(begun.body.rebuild.principalId, ada.id);
  const finished = async () => {
    for (;;) {
      const { body } = await ada.get(begun.headers.get("location")!);
      if (body.rebuild.state !== "running") return body;
      const dee = api.as(`dee-${crypto.randomUUID()}`);
      const joined = await dee.post(`${event}/registrations`, {});
      assert.equal(joined.status, 201, joined.text);
      const mine = await dee.get("/me/registrations", since(joined));
      assert.equal(mine.body.items[0]?.registrationId, joined.body.registrationId, mine.text);
    }
  };
  const { rebuild } = await finished();
  assert.equal(rebuild.state, "done", JSON.stringify(rebuild));
  assert(rebuild.events >= 5);
  assert(Date.parse(rebuild.endedAt) >= Date.parse(rebuild.startedAt));

  const now = await alice.get(event);
  const [healed] = await itemsOf(alice, list, since(now));
  assert.equal(healed.title, own[0].title);
  assert.equal(healed.confirmed, 3);
  const people = await itemsOf(alice, `${event}/registrations?limit=50`, since(now));
  assert(people.some(({ userId }: { userId: string }) => userId.startsWith("ben-")));
  const { rows } = await sql<{ principal: string }>`
    select principal from audit where subject = ${`projection/${NAME}`}`.execute(database.db);
  assert.equal(rows.at(-1)?.principal, ada.id);
});

Deno.test("how far each projection is can be seen", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  await alice.get("/events", since(await alice.get(event)));
  const { status, body } = await api.as("ada", "admin").get("/projections");
  assert.equal(status, 200);
  const names = body.items.map(({ name }: { name: string }) => name);
  assert.deepEqual(names.toSorted(), [
    "flow_listing",
    NAME,
    "market_tape",
    "order_listing",
    "schedule_list",
    "trading_alerts",
    "transfers",
    "user_listing",
  ]);
  const { through, lagMs } = body.items.find(({ name }: { name: string }) => name === NAME);
  assert.match(through, /^[1-9][0-9]*$/);
  assert.equal(lagMs, 0);
});

Deno.test("while one is being rebuilt, another is refused", async () => {
  await using api = new Api(database);
  await using other = api.anotherNode();
  await sql`
    insert into projection_rebuild (projection, token, lease_until, state, principal, started_at,
      transaction, position, through, events, structure)
    values (${NAME}, 7, now() + interval '1 hour', 'running', 'someone', now(), '0', 0, '0', 0, '')
    on conflict (projection) do update set state = excluded.state,
      lease_until = excluded.lease_until`.execute(database.db);
  assertProblem(
    await other.as("ada", "admin").post(REBUILD),
    409,
    "/problems/rebuild-running",
  );
  await sql`update projection_rebuild set lease_until = now()`.execute(database.db);
  const ada = api.as("ada", "admin");
  const { body } = await ada.get(`/projections/${NAME}`);
  assert.equal(body.rebuild.state, "interrupted", "nobody is at it any more");
  assert.equal((await ada.post(REBUILD)).status, 202);
});

Deno.test("what is no projection, or no request for one, is refused clearly", async () => {
  await using api = new Api(database);
  const ada = api.as("ada", "admin");
  for (const name of ["nothing", "live_event", "%00", "a%2Fb", "constructor"]) {
    for (const [method, path] of [["GET", ""], ["POST", "/rebuild"]]) {
      const { status } = await ada.send(method!, `/projections/${name}${path}`);
      assert(status === 404 || status === 400, `${name}: ${status}`);
    }
  }
  const invalid = "/problems/invalid-request";
  assertProblem(await ada.post(REBUILD, { name: NAME }), 400, invalid);
  assertProblem(await ada.get("/projections?limit=1"), 400, invalid);
  assert.deepEqual(api.bugs, []);
});
