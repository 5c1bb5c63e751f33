/** What happened to an event, who did it, and how it stood at any time. */
import assert from "node:assert/strict";
import { Api, assertProblem, draft, itemsOf, plan, published, registered } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

Deno.test("the history tells what happened, when, and on whose behalf", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const [ann, ben] = [api.as("ann"), api.as("ben")];
  const event = await published(alice, { capacity: 1 });
  const anns = await registered(ann, event);
  const bens = await registered(ben, event);
  await ann.delete(`${event}/registrations/${anns}`);
  await alice.patch(event, { venue: "Hall 2" });
  await alice.post(`${event}/cancel`);

  const { status, body } = await alice.get(`${event}/history`);
  assert.equal(status, 200);
  const told = body.items.map((item: Record<string, unknown>) => {
    const { at, correlationId, causationId, ...rest } = item;
    assert(Math.abs(Date.parse(at as string) - Date.now()) < 60_000);
    assert.match(correlationId as string, UUID);
    assert.match(causationId as string, UUID);
    return rest;
  });
  const person = (registrationId: string, { id: userId }: { id: string }) => {
    return { registrationId, userId };
  };
  assert.deepEqual(told, [
    {
      version: 1,
      type: "Scheduled",
      data: { ...plan({ capacity: 1 }), organizerId: alice.id },
      principalId: alice.id,
    },
    { version: 2, type: "Published", data: {}, principalId: alice.id },
    { version: 3, type: "Registered", data: person(anns, ann), principalId: ann.id },
    {
      version: 4,
      type: "Waitlisted",
      data: { ...person(bens, ben), position: 1 },
      principalId: ben.id,
    },
    {
      version: 5,
      type: "Withdrawn",
      data: { ...person(anns, ann), status: "confirmed" },
      principalId: ann.id,
    },
    { version: 6, type: "Promoted", data: person(bens, ben), principalId: ann.id },
    { version: 7, type: "Revised", data: { venue: "Hall 2" }, principalId: alice.id },
    { version: 8, type: "Cancelled", data: {}, principalId: alice.id },
  ]);
});

Deno.test("what one request led to shares its correlation id and its cause", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 1 });
  for (const name of ["ann", "ben", "cho"]) await registered(api.as(name), event);
  const correlationId = "0190a5c0-7b1e-4000-8000-0000000000ff";
  await alice.patch(event, { capacity: 3 }, { "x-correlation-id": correlationId });
  const { headers } = await alice.post(`${event}/cancel`);

  const { body: { items } } = await alice.get(`${event}/history`);
  const led = items.filter((item: Record<string, unknown>) => item.correlationId === correlationId);
  assert.deepEqual(led.map(({ type }: { type: string }) => type), [
    "Revised",
    "Promoted",
    "Promoted",
  ]);
  const causes = new Set(led.map(({ causationId }: { causationId: string }) => causationId));
  assert.equal(causes.size, 1);
  assert(!causes.has(correlationId), "the cause is the message, whatever it is part of");
  const last = items.at(-1);
  assert.equal(last.correlationId, headers.get("x-correlation-id"));
  assert.equal(last.causationId, last.correlationId);
});

Deno.test("the history comes in pages without gap or double", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 3 });
  for (let n = 0; n < 9; n++) await registered(api.as(`person-${n}`), event);
  for (const limit of [1, 4, 11, 200]) {
    const items = await itemsOf(alice, `${event}/history?limit=${limit}`);
    assert.deepEqual(items.map(({ version }) => version), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  }
});

Deno.test("an event is shown as it was at each version", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const ann = api.as("ann");
  const event = await draft(alice, { capacity: 1 });
  const seen = [(await alice.get(event)).body];
  const note = async () => seen.push((await alice.get(event)).body);
  await alice.post(`${event}/publish`);
  await note();
  const registration = await registered(ann, event);
  await note();
  await registered(api.as("ben"), event);
  await note();
  await alice.patch(event, { title: "Matinée" });
  await note();
  await ann.delete(`${event}/registrations/${registration}`);
  await alice.post(`${event}/cancel`);

  for (const [n, body] of seen.entries()) {
    const past = await alice.get(`${event}?version=${n + 1}`);
    assert.equal(past.status, 200);
    assert.equal(past.headers.get("etag"), `"${n + 1}"`);
    assert.deepEqual(past.body, body);
  }
  assert.equal((await alice.get(`${event}?version=8`)).body.status, "cancelled");
  const between = (await alice.get(`${event}?version=6`)).body;
  assert.deepEqual([between.confirmed, between.waitlisted], [0, 1]);
});

Deno.test("a version that never was is not found", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  for (const version of ["3", "999999999999999"]) {
    const answer = await alice.get(`${event}?version=${version}`);
    assertProblem(answer, 404, "/problems/live-event/version-not-found");
  }
  for (const version of ["0", "-1", "1.5", "01", "1e3", "9999999999999999", "latest", ""]) {
    const answer = await alice.get(`${event}?version=${version}`);
    assertProblem(answer, 400, "/problems/invalid-request");
  }
});

Deno.test("the past is for the organizer and admins alone", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"));
  await registered(api.as("ann"), event);
  const type = "/problems/live-event/not-organizer";
  for (const other of [api.as("ann"), api.as("carol", "organizer")]) {
    assertProblem(await other.get(`${event}/history`), 403, type);
    assertProblem(await other.get(`${event}?version=2`), 403, type);
  }
  const admin = api.as("root", "admin");
  assert.equal((await admin.get(`${event}/history`)).body.items.length, 3);
  assert.equal((await admin.get(`${event}?version=2`)).body.version, 2);
});
