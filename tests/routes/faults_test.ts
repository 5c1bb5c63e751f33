/** What callers hear while the service cannot do its work, and what they do not. */
import assert from "node:assert/strict";
import type { Database } from "../../lib/postgres/database.ts";
import {
  type Answer,
  Api,
  assertProblem,
  type Client,
  draft,
  eventually,
  plan,
  published,
  registered,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile({ acquireTimeoutMs: 1_000 });

const UNAVAILABLE = "/problems/unavailable";

Deno.test("a full mailbox turns people away, and those in it are served", async () => {
  await using api = new Api(database, { limits: { mailboxCapacity: 2 } });
  const event = await published(api.as("alice", "organizer"), { capacity: 9 });
  const other = await published(api.as("alice", "organizer"));
  const join = (name: string) => api.as(name).post(`${event}/registrations`, {});
  const gate = api.hold("commit");
  const first = join("first");
  await eventually(() => gate.held === 1);
  const rest = ["ann", "ben", "cho", "dan", "eve"].map(join);
  const answers: Answer[] = [];
  for (const answer of rest) void answer.then((settled) => answers.push(settled));
  await eventually(() => answers.length === 3);
  for (const answer of answers) {
    assertProblem(answer, 503, UNAVAILABLE);
    assert.equal(answer.headers.get("retry-after"), "1");
  }
  assert.equal((await api.as("fay").get(other)).status, 200, "elsewhere is room");
  gate.release();
  await Promise.all(rest);
  assert.deepEqual(answers.map(({ status }) => status), [503, 503, 503, 201, 201]);
  assert.equal((await first).status, 201);
});

/** While held, the database answers nobody: its one session is taken. */
async function away(database: Database): Promise<{ back(): Promise<void> }> {
  const taken = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const holding = database.db.transaction().execute(async () => {
    taken.resolve();
    await released.promise;
  });
  await taken.promise;
  return {
    async back() {
      released.resolve();
      await holding;
    },
  };
}

async function assertUnavailable(client: Client, method: string, path: string, body?: object) {
  const content = body === undefined ? undefined : JSON.stringify(body);
  const answer = await client.send(method, path, content, { "content-type": "application/json" });
  assertProblem(answer, 503, UNAVAILABLE);
  assert.equal(answer.headers.get("retry-after"), "1");
}

Deno.test("while the database is away, what needs it says when to come back", async () => {
  await using api = new Api(database, { limits: { giveUpMs: 60 } });
  const alice = api.as("alice", "organizer");
  const known = await published(alice);
  const registration = await registered(alice, known);
  await using other = api.anotherNode();
  const unknown = await draft(other.as("alice", "organizer"));

  const outage = await away(database);
  try {
    await Promise.all([
      assertUnavailable(alice, "POST", "/events", plan()),
      assertUnavailable(alice, "PATCH", known, { capacity: 5 }),
      assertUnavailable(alice, "POST", `${known}/cancel`),
      assertUnavailable(api.as("ben"), "POST", `${known}/registrations`, {}),
      assertUnavailable(alice, "DELETE", `${known}/registrations/${registration}`),
      assertUnavailable(alice, "POST", `${unknown}/publish`),
      assertUnavailable(alice, "GET", unknown),
      assertUnavailable(alice, "GET", "/events"),
      assertUnavailable(alice, "GET", "/me/registrations"),
      assertUnavailable(alice, "GET", `${known}/registrations`),
      assertUnavailable(alice, "GET", `${known}/history`),
      assertUnavailable(alice, "GET", `${known}?version=1`),
    ]);
    const activated = await alice.get(known);
    assert.deepEqual([activated.status, activated.body.version], [200, 3]);
    const anyone = api.bearing(undefined);
    assert.equal((await anyone.get("/health/live")).status, 200);
    const ready = await anyone.get("/health/ready");
    assert.deepEqual([ready.status, ready.body.status], [503, "unavailable"]);
  } finally {
    await outage.back();
  }

  const { body } = await alice.get(known, { "cache-control": "no-cache" });
  assert.deepEqual([body.status, body.version], ["published", 3]);
  assert.equal((await api.as("ben").post(`${known}/registrations`, {})).status, 201);
  assert.equal((await alice.post(`${unknown}/publish`)).status, 200);
  assert.equal((await alice.get("/events")).status, 200);
  assert.equal((await api.bearing(undefined).get("/health/ready")).status, 200);
  assert.deepEqual(api.bugs, []);
});

Deno.test("a short outage is waited out", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"));
  api.store.failNext("commit", "not-applied", "not-applied");
  assert.equal((await api.as("ben").post(`${event}/registrations`, {})).status, 201);
});

Deno.test("a system that is stopping takes no commands", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  await api.system[Symbol.asyncDispose]();
  await assertUnavailable(alice, "POST", `${event}/cancel`);
});

Deno.test("a bug is reported whole, and its caller hears of nothing but an id", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const bug = new TypeError("Cannot read secret of undefined at /srv/lib/postgres/secret.ts:7");
  const requests = [
    ["commit", () => alice.post(`${event}/cancel`)],
    ["readStream", () => alice.get(`${event}/history`)],
  ] as const;
  for (const [operation, send] of requests) {
    api.store.failNext(operation, bug);
    const answer = await send();
    assertProblem(answer, 500, "about:blank");
    assert.deepEqual(answer.body, {
      type: "about:blank",
      instance: answer.path,
      status: 500,
      title: "Internal Server Error",
    });
    const { error, request } = api.bugs.pop()!;
    assert.equal(error, bug);
    assert.equal(request.correlationId, answer.headers.get("x-correlation-id"));
    assert.equal(request.path, answer.path);
    assert.equal((await send()).status, 200, "the next request finds it mended");
  }
  assert.deepEqual(api.bugs, []);
});

Deno.test("health needs no token", async () => {
  await using api = new Api(database);
  const anyone = api.bearing(undefined);
  assert.deepEqual((await anyone.get("/health/live")).body, { status: "live" });
  const { status, workers } = (await anyone.get("/health/ready")).body;
  assert.equal(status, "ready");
  for (const { name, state } of workers) assert.equal(state, "running", name);
  assert.equal((await anyone.send("HEAD", "/health/live")).status, 200);
  assertProblem(await anyone.get("/health/else"), 404, "about:blank");
  assertProblem(await anyone.send("POST", "/health/live"), 405, "about:blank");
});
