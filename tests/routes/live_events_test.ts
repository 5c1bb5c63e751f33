/** One event at a time: what its organizer does with it, and what others see of it. */
import assert from "node:assert/strict";
import {
  Api,
  assertProblem,
  draft,
  eventually,
  plan,
  published,
  registered,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const NOBODYS = "/events/01900000-0000-7000-8000-000000000000";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

Deno.test("an organizer schedules an event and is told where it is", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const details = plan({ description: "Études", venue: "Hall 2", waitlistCapacity: 5 });
  const { status, headers, body } = await alice.post("/events", details);
  assert.equal(status, 201);
  assert.match(body.id, UUID);
  assert.deepEqual(body, {
    id: body.id,
    ...details,
    status: "draft",
    organizerId: alice.id,
    confirmed: 0,
    waitlisted: 0,
    offered: 0,
    version: 1,
  });
  assert.equal(headers.get("location"), `/api/v1/events/${body.id}`);
  assert.equal(headers.get("etag"), '"1"');
  assert.match(headers.get("consistency-token")!, /^t[0-9]+$/);
  assert.equal(headers.get("content-type"), "application/json");
  const found = await alice.get(headers.get("location")!);
  assert.deepEqual(found.body, body);
  assert.equal(found.headers.get("etag"), '"1"');
});

Deno.test("times are kept in UTC, to the millisecond", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const times = { startsAt: "2040-06-01T20:00:00.1239+02:00", endsAt: "2040-06-01T20:00:01Z" };
  const { body } = await alice.post("/events", plan(times));
  assert.equal(body.startsAt, "2040-06-01T18:00:00.123Z");
  assert.equal(body.endsAt, "2040-06-01T20:00:01.000Z");
});

Deno.test("every kind of answer names the correlation id, the caller's where it sent one", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const registration = await registered(alice, event);
  const id = "0190a5c0-7b1e-7000-8000-0000000000c0";
  const headers = { "x-correlation-id": id };
  const answers = [
    await alice.post("/events", plan(), headers),
    await alice.patch(event, { title: "Matinée" }, headers),
    await alice.get(event, headers),
    await alice.get(`${event}?version=1`, headers),
    await alice.get(`${event}/history`, headers),
    await alice.get("/events", headers),
    await alice.get(`${event}/registrations`, headers),
    await alice.get(`${event}/registrations/me`, headers),
    await alice.get("/me/registrations", headers),
    await alice.delete(`${event}/registrations/${registration}`, headers),
    await alice.post(`${event}/registrations`, {}, headers),
    await alice.post(`${event}/cancel`, undefined, headers),
    await alice.post(`${event}/cancel`, undefined, headers),
    await alice.get("/nowhere", headers),
    await api.bearing(undefined).get(event, headers),
  ];
  const statuses = answers.map(({ status }) => status);
  assert.deepEqual(
    statuses,
    [201, 200, 200, 200, 200, 200, 200, 200, 200, 204, 201, 200, 409, 404, 401],
  );
  assert.deepEqual(
    answers.map(({ headers }) => headers.get("x-correlation-id")),
    statuses.map(() => id),
  );
  assert.match((await alice.get(event)).headers.get("x-correlation-id")!, UUID);
});

Deno.test("a draft exists for its organizer and for admins alone", async () => {
  await using api = new Api(database);
  const event = await draft(api.as("alice", "organizer"));
  assert.equal((await api.as("alice").get(event)).status, 200);
  assert.equal((await api.as("root", "admin").get(event)).status, 200);
  for (const stranger of [api.as("bob"), api.as("carol", "organizer")]) {
    const type = "/problems/live-event/not-found";
    assertProblem(await stranger.get(event), 404, type);
    assertProblem(await stranger.get(`${event}/registrations/me`), 404, type);
    assertProblem(await stranger.get(`${event}/registrations`), 404, type);
    assertProblem(await stranger.get(`${event}/history`), 404, type);
    assertProblem(await stranger.get(`${event}?version=1`), 404, type);
    assertProblem(await stranger.patch(event, { capacity: 9 }), 404, type);
    assertProblem(await stranger.post(`${event}/publish`), 404, type);
    assertProblem(await stranger.post(`${event}/cancel`), 404, type);
    assertProblem(await stranger.post(`${event}/registrations`, {}), 404, type);
  }
});

Deno.test("what was never scheduled is found by nobody", async () => {
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const type = "/problems/live-event/not-found";
  assertProblem(await admin.get(NOBODYS), 404, type);
  assertProblem(await admin.get(`${NOBODYS}/history`), 404, type);
  assertProblem(await admin.get(`${NOBODYS}/registrations`), 404, type);
  assertProblem(await admin.patch(NOBODYS, { capacity: 9 }), 404, type);
  assertProblem(await admin.post(`${NOBODYS}/registrations`, {}), 404, type);
});

Deno.test("an event is found by its id in capitals too", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const registration = await registered(alice, event);
  const inCapitals = `/events/${event.slice("/events/".length).toUpperCase()}`;
  assert.equal((await alice.get(inCapitals)).body?.title, "Recital");
  const { status } = await alice.delete(
    `${inCapitals}/registrations/${registration.toUpperCase()}`,
  );
  assert.equal(status, 204);
});

Deno.test("a revision changes what it names and leaves the rest", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice, { venue: "Hall 2" });
  const before = (await alice.get(event)).body;
  const { status, headers, body } = await alice.patch(event, { title: "Matinée", capacity: 5 });
  assert.equal(status, 200);
  assert.equal(headers.get("etag"), '"2"');
  assert.match(headers.get("consistency-token")!, /^t[0-9]+$/);
  assert.deepEqual(body, { ...before, title: "Matinée", capacity: 5, version: 2 });
  assert.deepEqual((await alice.get(event)).body, body);
});

Deno.test("a revision that changes nothing leaves the version as it is", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice);
  for (const changes of [{}, { title: "Recital" }, { startsAt: "2040-06-01T20:00:00+02:00" }]) {
    const { status, headers } = await alice.patch(event, changes);
    assert.deepEqual([status, headers.get("etag")], [200, '"1"']);
  }
});

Deno.test("If-Match lets through whoever read the version in force", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice);
  const etag = (await alice.get(event)).headers.get("etag")!;
  const first = await alice.patch(event, { capacity: 3 }, { "if-match": etag });
  assert.deepEqual([first.status, first.headers.get("etag")], [200, '"2"']);

  const late = await alice.patch(event, { capacity: 4 }, { "if-match": etag });
  assertProblem(late, 412, "/problems/version-mismatch");
  assert.equal(late.headers.get("etag"), '"2"');
  assert.equal((await alice.get(event)).body.capacity, 3);

  const any = await alice.patch(event, { capacity: 4 }, { "if-match": "*" });
  assert.equal(any.status, 200);
});

Deno.test("If-Match guards every command of an event", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const registration = await registered(alice, event);
  const stale = { "if-match": '"1"' };
  const type = "/problems/version-mismatch";
  assertProblem(await alice.post(`${event}/cancel`, undefined, stale), 412, type);
  assertProblem(await alice.post(`${event}/publish`, undefined, stale), 412, type);
  assertProblem(await alice.post(`${event}/registrations`, {}, stale), 412, type);
  const withdrawal = await alice.delete(`${event}/registrations/${registration}`, stale);
  assertProblem(withdrawal, 412, type);
  assert.equal(withdrawal.headers.get("etag"), '"3"');
  assert.equal((await alice.get(event)).body.version, 3);
});

Deno.test("of many revisions of one version, one wins", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice);
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      (_, n) => alice.patch(event, { title: `Title ${n}` }, { "if-match": '"1"' }),
    ),
  );
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [200, ...Array(19).fill(412)]);
});

Deno.test("more capacity promotes those who have waited longest", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 1 });
  const people = ["ann", "ben", "cho", "dan"].map((name) => api.as(name));
  for (const person of people) await registered(person, event);
  const { body } = await alice.patch(event, { capacity: 3 });
  assert.deepEqual([body.confirmed, body.waitlisted, body.version], [3, 1, 9]);
  const standings = [];
  for (const person of people) {
    const { body: { status, position } } = await person.get(`${event}/registrations/me`);
    standings.push([status, position]);
  }
  assert.deepEqual(standings, [
    ["confirmed", undefined],
    ["confirmed", undefined],
    ["confirmed", undefined],
    ["waitlisted", 1],
  ]);
});

Deno.test("capacity below those confirmed is refused, down to them it is not", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 5 });
  for (const name of ["ann", "ben"]) await registered(api.as(name), event);
  const refused = await alice.patch(event, { capacity: 1 });
  assertProblem(refused, 409, "/problems/live-event/capacity-below-confirmed");
  assert.equal((await alice.patch(event, { capacity: 2 })).body.capacity, 2);
});

Deno.test("an event is published once", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice);
  const { status, headers, body } = await alice.post(`${event}/publish`);
  assert.deepEqual([status, headers.get("etag"), body.status], [200, '"2"', "published"]);
  assert.equal((await api.as("bob").get(event)).status, 200);
  const again = await alice.post(`${event}/publish`, {});
  assertProblem(again, 409, "/problems/live-event/already-published");
});

Deno.test("a cancelled event stays to be seen, and takes nothing any more", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const { status, body } = await alice.post(`${event}/cancel`);
  assert.deepEqual([status, body.status, body.version], [200, "cancelled", 3]);
  assert.equal((await api.as("bob").get(event)).body.status, "cancelled");
  const type = "/problems/live-event/cancelled";
  assertProblem(await alice.post(`${event}/cancel`), 409, type);
  assertProblem(await alice.post(`${event}/publish`), 409, type);
  assertProblem(await alice.patch(event, { capacity: 9 }), 409, type);
  assertProblem(await api.as("bob").post(`${event}/registrations`, {}), 409, type);
});

Deno.test("only its organizer and admins change an event", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"));
  for (const other of [api.as("bob"), api.as("carol", "organizer")]) {
    const type = "/problems/live-event/not-organizer";
    assertProblem(await other.patch(event, { capacity: 9 }), 403, type);
    assertProblem(await other.post(`${event}/publish`), 403, type);
    assertProblem(await other.post(`${event}/cancel`), 403, type);
    assertProblem(await other.get(`${event}/registrations`), 403, type);
    assertProblem(await other.get(`${event}/history`), 403, type);
    assertProblem(await other.get(`${event}?version=1`), 403, type);
  }
  const admin = api.as("root", "admin");
  assert.equal((await admin.patch(event, { capacity: 9 })).status, 200);
  assert.equal((await admin.post(`${event}/cancel`)).status, 200);
});

Deno.test("to schedule an event takes the role of organizer or admin", async () => {
  await using api = new Api(database);
  for (const roles of [[], ["organiser"], ["organizers", "admins"]]) {
    assertProblem(
      await api.as("bob", ...roles).post("/events", plan()),
      403,
      "/problems/forbidden",
    );
  }
  assert.equal((await api.as("root", "admin").post("/events", plan())).status, 201);
});

Deno.test("an event cannot be moved into the past, nor end before it starts", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice);
  const past = await alice.patch(event, { startsAt: "2001-01-01T00:00:00Z" });
  assertProblem(past, 422, "/problems/live-event/starts-in-past");
  const reversed = await alice.patch(event, { endsAt: "2040-06-01T17:00:00Z" });
  assertProblem(reversed, 422, "/problems/live-event/ends-before-start");
});

Deno.test("events of the years 1 to 9999 are all that there are", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const last = "9999-12-31T23:59:59.999Z";
  assert.equal((await alice.post("/events", plan({ endsAt: last }))).body.endsAt, last);
  for (const endsAt of ["9999-12-31T23:59:59-00:01", "+275760-09-13T00:00:00Z"]) {
    const answer = await alice.post("/events", plan({ endsAt }));
    assertProblem(answer, 400, "/problems/invalid-request");
    assert.deepEqual(answer.body.errors[0].path, ["endsAt"]);
  }
});

Deno.test("an event is completed when it ends, and then lists as such", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const soon = (ms: number) => new Date(Date.now() + ms).toISOString();
  const event = await published(alice, { startsAt: soon(300), endsAt: soon(301) });
  assert.equal((await alice.get(event)).body.status, "published");
  await eventually(() => api.observed.some(({ type }) => type === "delivered"));
  const answer = await alice.get(event);
  assert.equal(answer.body.status, "completed");
  const list = await alice.get(`/events?status=completed&organizerId=${alice.id}`, since(answer));
  assert.deepEqual(list.body.items.map(({ id }: { id: string }) => id), [answer.body.id]);
  const { body } = await alice.get(`${event}/history`);
  const [, publication, completion] = body.items;
  assert.equal(completion.type, "Completed");
  assert.equal(completion.correlationId, publication.correlationId, "one story");
  assertProblem(await alice.post(`${event}/cancel`), 409, "/problems/live-event/completed");
});
