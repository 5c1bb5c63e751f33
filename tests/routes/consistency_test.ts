/** What a reader may rely on: its own writes in lists, and the newest state where it asks for it. */
import assert from "node:assert/strict";
import { Api, assertProblem, draft, plan, published, registered, since } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const FUTURE = { "consistency-token": "t99999999999999999999" };

Deno.test("a list that is sent the token of a write shows that write", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const list = `/events?organizerId=${alice.id}`;
  const created = await alice.post("/events", plan({ capacity: 1 }));
  const event = `/events/${created.body.id}`;
  const listed = async (token: Readonly<Record<string, string>>) =>
    (await alice.get(list, token)).body.items[0];

  assert.equal((await listed(since(created))).version, 1);
  const revised = await alice.patch(event, { title: "Matinée" });
  assert.equal((await listed(since(revised))).title, "Matinée");
  const opened = await alice.post(`${event}/publish`);
  assert.equal((await listed(since(opened))).status, "published");
  const joined = await alice.post(`${event}/registrations`, {});
  assert.equal((await listed(since(joined))).confirmed, 1);
  const path = `${event}/registrations/${joined.body.registrationId}`;
  const left = await alice.delete(path);
  assert.equal((await listed(since(left))).confirmed, 0);
  const ended = await alice.post(`${event}/cancel`);
  assert.equal((await listed(since(ended))).status, "cancelled");
});

Deno.test("the lists of registrations show the write whose token they are sent", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const ben = api.as("ben");
  const event = await published(alice);
  const joined = await ben.post(`${event}/registrations`, {});
  for (const [reader, list] of [[ben, "/me"], [alice, event]] as const) {
    const { body: { items } } = await reader.get(`${list}/registrations`, since(joined));
    assert.equal(items[0].registrationId, joined.body.registrationId);
  }
  const left = await ben.delete(`${event}/registrations/${joined.body.registrationId}`);
  for (const [reader, list] of [[ben, "/me"], [alice, event]] as const) {
    const { body: { items } } = await reader.get(`${list}/registrations`, since(left));
    assert.equal(items[0].status, "withdrawn");
  }
});

Deno.test("a token that came with a read is as good as that of a write", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  await registered(api.as("ben"), event);
  const seen = await alice.get(event);
  const { body } = await alice.get(`/events?organizerId=${alice.id}`, since(seen));
  assert.equal(body.items[0].version, seen.body.version);
});

Deno.test("a list of another node shows the write as well", async () => {
  await using api = new Api(database);
  await using other = api.anotherNode();
  const created = await api.as("alice", "organizer").post("/events", plan());
  const reader = other.as("alice");
  const { body } = await reader.get(`/events?organizerId=${reader.id}`, since(created));
  assert.equal(body.items[0].id, created.body.id);
});

Deno.test("a list waits for a write as long as it may, then says so", async () => {
  await using api = new Api(database, { consistencyWaitMs: 60 });
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  for (const list of ["/events", "/me/registrations", `${event}/registrations`]) {
    const startedAt = performance.now();
    const answer = await alice.get(list, FUTURE);
    assert(performance.now() - startedAt >= 59, list);
    assertProblem(answer, 503, "/problems/not-yet-consistent");
    assert.match(answer.body.detail, /60 ms/);
    assert.equal(answer.headers.get("retry-after"), "1");
    assert.equal((await alice.get(list)).status, 200);
  }
});

Deno.test("a token that the service never gave is refused wherever it is sent", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const lists = ["/events", "/me/registrations", `${event}/registrations`];
  for (const path of [...lists, event, `${event}/registrations/me`]) {
    for (const token of ["", "t", "7", "t-1", "t1.5", `t${"9".repeat(21)}`, "t1 or 1=1", "é"]) {
      const answer = await alice.get(path, { "consistency-token": token });
      assertProblem(answer, 400, "/problems/invalid-request");
      assert.match(answer.body.detail, /Consistency-Token/);
    }
  }
});

Deno.test("a reader that asks for it sees what another node has written", async () => {
  await using api = new Api(database);
  await using other = api.anotherNode();
  const alice = api.as("alice", "organizer");
  const reader = other.as("ben");
  const event = await published(alice, { capacity: 1 });
  await registered(api.as("ann"), event);
  const ben = api.as("ben");
  const registration = await registered(api.as("cho"), event);
  await registered(ben, event);
  const old = await reader.get(event);
  assert.equal((await reader.get(`${event}/registrations/me`)).body.position, 2);

  await api.as("cho").delete(`${event}/registrations/${registration}`);
  const written = await alice.patch(event, { title: "Matinée" });
  assert.deepEqual((await reader.get(event)).body, old.body, "without asking, what it knows");
  const fresh = await reader.get(event, { "cache-control": "max-age=0, No-Cache" });
  assert.deepEqual(fresh.body, written.body);

  await alice.patch(event, { title: "Soirée" });
  const following = await reader.get(event, since(written));
  assert.equal(following.body.title, "Soirée");
  await alice.patch(event, { capacity: 2 });
  const mine = await reader.get(`${event}/registrations/me`, { "cache-control": "no-cache" });
  assert.equal(mine.body.status, "confirmed");
});

Deno.test("who may see the past is known from the newest state", async () => {
  await using api = new Api(database);
  await using other = api.anotherNode();
  const alice = api.as("alice", "organizer");
  const ben = other.as("ben");
  const event = await draft(alice);
  const paths = [`${event}/history`, `${event}?version=1`, `${event}/registrations`];
  for (const path of paths) {
    assertProblem(await ben.get(path), 404, "/problems/live-event/not-found");
  }
  await alice.post(`${event}/publish`);
  assert.equal((await ben.get(event)).status, 404, "without asking, what it knows");
  for (const path of paths) {
    assertProblem(await ben.get(path), 403, "/problems/live-event/not-organizer");
  }
});
