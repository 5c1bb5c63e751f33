/** Whoever sends a command again under its key learns what became of it, and changes nothing. */
import assert from "node:assert/strict";
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

const database = await databaseOfThisFile();

const REUSED = "/problems/idempotency-key-reused";
const KEY = { "idempotency-key": "key-1" };

function assertSame(again: Answer, first: Answer): void {
  const face = ({ status, headers, body }: Answer) => {
    return [status, headers.get("etag"), headers.get("location"), body];
  };
  assert.deepEqual(face(again), face(first));
}

/** Without waiting for whatever is held. */
async function answeredAtOnce(answer: Promise<Answer>): Promise<Answer> {
  let isAnswered = false;
  void answer.then(() => isAnswered = true);
  await eventually(() => isAnswered);
  return await answer;
}

async function versionOf(event: string, client: Client): Promise<number> {
  return (await client.get(event, { "cache-control": "no-cache" })).body.version;
}

/** Brings about what a command needs, and says how to send it. */
type Prepare = (alice: Client) => Promise<(api: Api) => Promise<Answer>>;

const commands: Readonly<Record<string, Prepare>> = {
  "POST an event": () =>
    Promise.resolve((api) => api.as("alice", "organizer").post("/events", plan(), KEY)),
  "PATCH an event": async (alice) => {
    const event = await draft(alice);
    return (api) => api.as("alice").patch(event, { capacity: 9 }, KEY);
  },
  "publish an event": async (alice) => {
    const event = await draft(alice);
    return (api) => api.as("alice").post(`${event}/publish`, undefined, KEY);
  },
  "cancel an event": async (alice) => {
    const event = await published(alice);
    return (api) => api.as("alice").post(`${event}/cancel`, {}, KEY);
  },
  "POST a registration": async (alice) => {
    const event = await published(alice);
    return (api) => api.as("ben").post(`${event}/registrations`, {}, KEY);
  },
  "POST a registration that has to wait": async (alice) => {
    const event = await published(alice, { capacity: 1 });
    await registered(alice, event);
    return (api) => api.as("ben").post(`${event}/registrations`, {}, KEY);
  },
  "DELETE a registration": async (alice) => {
    const event = await published(alice);
    const registration = await registered(alice, event);
    return (api) => api.as("alice").delete(`${event}/registrations/${registration}`, KEY);
  },
  "accept an offer": async (alice) => {
    const event = await published(alice, { capacity: 1, offerMinutes: 60 });
    const seat = await alice.post(`${event}/registrations`, { userId: "ann" });
    const registration = await registered(alice, event);
    await alice.delete(`${event}/registrations/${seat.body.registrationId}`);
    const path = `${event}/registrations/${registration}/accept`;
    return (api) => api.as("alice").post(path, undefined, KEY);
  },
};

for (const [name, prepare] of Object.entries(commands)) {
  Deno.test(`${name}: the repeated request gets the first reply`, async () => {
    await using api = new Api(database, { limits: { residentMax: 1 } });
    const alice = api.as("alice", "organizer");
    const send = await prepare(alice);
    const first = await send(api);
    assert(first.status < 300, first.text);
    assertSame(await send(api), first);

    // With room for one actor in memory, this makes it forget.
    await draft(alice);
    assert(api.observed.some(({ type }) => type === "passivated"));
    assertSame(await send(api), first);

    await using other = api.anotherNode();
    const elsewhere = await send(other);
    assertSame(elsewhere, first);
    assert.match(elsewhere.headers.get("consistency-token")!, /^t[1-9]/);
  });
}

Deno.test("a repeated command has no second effect", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const ben = api.as("ben");
  const first = await ben.post(`${event}/registrations`, {}, KEY);
  for (let n = 0; n < 3; n++) await ben.post(`${event}/registrations`, {}, KEY);
  assert.equal(await versionOf(event, alice), first.body.version);
});

Deno.test("without a key, one event is made per request", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const [first, second] = [await draft(alice), await draft(alice)];
  assert.notEqual(first, second);
});

Deno.test("the same key with another request is refused", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const { status, body } = await alice.post("/events", plan(), KEY);
  assert.equal(status, 201);
  assertProblem(await alice.post("/events", plan({ title: "Other" }), KEY), 422, REUSED);

  const event = `/events/${body.id}`;
  await alice.patch(event, { capacity: 5 }, { "idempotency-key": "key-2" });
  const other = { "idempotency-key": "key-2" };
  assertProblem(await alice.patch(event, { capacity: 6 }, other), 422, REUSED);
  assertProblem(await alice.post(`${event}/publish`, undefined, other), 422, REUSED);
  assert.equal((await alice.get(event)).body.capacity, 5);

  await using node = api.anotherNode();
  const elsewhere = node.as("alice", "organizer");
  assertProblem(await elsewhere.patch(event, { capacity: 6 }, other), 422, REUSED);
});

Deno.test("a key means nothing to others, nor at another event", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const carol = api.as("carol", "organizer");
  const created = [
    await alice.post("/events", plan(), KEY),
    await carol.post("/events", plan(), KEY),
  ];
  assert.notEqual(created[0]!.body.id, created[1]!.body.id);

  const events = [await published(alice), await published(alice)];
  const ids = new Set<string>();
  for (const event of events) {
    for (const name of ["ann", "ben"]) {
      const { status, body } = await api.as(name).post(`${event}/registrations`, {}, KEY);
      assert.equal(status, 201);
      ids.add(body.registrationId);
    }
  }
  assert.equal(ids.size, 4);
});

Deno.test("a key is the same bare or in quotes", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"));
  const ben = api.as("ben");
  const first = await ben.post(`${event}/registrations`, {}, { "idempotency-key": "a\\b" });
  const quoted = await ben.post(`${event}/registrations`, {}, { "idempotency-key": '"a\\\\b"' });
  assertSame(quoted, first);
});

Deno.test("a refusal is remembered like a success", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"), { capacity: 1, waitlistCapacity: 0 });
  const [ann, ben] = [api.as("ann"), api.as("ben")];
  const registration = await registered(ann, event);
  const type = "/problems/live-event/sold-out";
  assertProblem(await ben.post(`${event}/registrations`, {}, KEY), 409, type);
  await ann.delete(`${event}/registrations/${registration}`);
  assertProblem(await ben.post(`${event}/registrations`, {}, KEY), 409, type);
  const anew = await ben.post(`${event}/registrations`, {}, { "idempotency-key": "key-2" });
  assert.equal(anew.status, 201);
});

Deno.test("while the first request runs, another under its key is told so", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const sends: (readonly [first: () => Promise<Answer>, other: () => Promise<Answer>])[] = [
    [
      () => alice.post(`${event}/registrations`, {}, KEY),
      () => alice.post(`${event}/registrations`, { userId: alice.id }, KEY),
    ],
    [
      () => alice.post("/events", plan(), KEY),
      () => alice.post("/events", plan({ title: "Other" }), KEY),
    ],
  ];
  for (const [send, sendOther] of sends) {
    const gate = api.hold("commit");
    const first = send();
    await eventually(() => gate.held === 1);
    const type = "/problems/idempotency-key-in-progress";
    assertProblem(await answeredAtOnce(send()), 409, type);
    assertProblem(await answeredAtOnce(sendOther()), 409, type);
    gate.release();
    assert.equal((await first).status, 201);
    assertProblem(await sendOther(), 422, REUSED);
    assertSame(await send(), await first);
  }
});

Deno.test("one key sent to two nodes at once has one effect and one reply", async () => {
  await using api = new Api(database);
  await using other = api.anotherNode();
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  await other.as("alice").get(event);
  const [first, second] = await Promise.all(
    [api, other].map((node) => node.as("ben").post(`${event}/registrations`, {}, KEY)),
  );
  assert.equal(first!.status, 201);
  assertSame(second!, first!);
  assert.equal(await versionOf(event, alice), 3);
});

Deno.test("a request that failed for the time being runs when it comes again", async () => {
  await using api = new Api(database, { limits: { giveUpMs: 0 } });
  const event = await published(api.as("alice", "organizer"));
  const ben = api.as("ben");
  api.store.failNext("commit", "not-applied");
  const send = () => ben.post(`${event}/registrations`, {}, KEY);
  assertProblem(await send(), 503, "/problems/unavailable");
  const done = await send();
  assert.equal(done.status, 201);
  assertSame(await send(), done);
});

Deno.test("a reply that got lost is found again under its key", async () => {
  await using api = new Api(database, { limits: { giveUpMs: 0 } });
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const ben = api.as("ben");
  api.store.failNext("commit", "unknown-after-applying");
  const send = () => ben.post(`${event}/registrations`, {}, KEY);
  const lost = await send();
  assertProblem(lost, 504, "/problems/outcome-unknown");
  assert.equal(lost.headers.get("retry-after"), "1");
  const found = await send();
  assert.deepEqual([found.status, found.body.status, found.body.version], [201, "confirmed", 3]);
  assert.equal(await versionOf(event, alice), 3);
});

Deno.test("what a DELETE carries belongs to the request", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const path = `${event}/registrations/${await registered(alice, event)}`;
  const json = { "content-type": "application/json", ...KEY };
  assertProblem(
    await alice.send("DELETE", path, '{"why":1}', json),
    400,
    "/problems/invalid-request",
  );
  assert.equal((await alice.send("DELETE", path, "{}", json)).status, 204);
  assert.equal((await alice.send("DELETE", path, "{}", json)).status, 204);
  assertProblem(await alice.delete(path, KEY), 422, REUSED);
});

for (
  const key of ["", " ", "a b", "é", '"', '"unfinished', 'unfinished"x y', '"a"b"', "k".repeat(201)]
) {
  Deno.test(`the Idempotency-Key ${JSON.stringify(key.slice(0, 20))} is refused`, async () => {
    await using api = new Api(database);
    const alice = api.as("alice", "organizer");
    const answer = await alice.post("/events", plan(), { "idempotency-key": key });
    assertProblem(answer, 400, "/problems/invalid-request");
    assert.match(answer.body.detail, /Idempotency-Key/);
  });
}
