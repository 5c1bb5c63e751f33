/** Who has a seat, who waits, and who comes next. */
import assert from "node:assert/strict";
import {
  Api,
  assertProblem,
  type Client,
  draft,
  itemsOf,
  published,
  registered,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function standing(person: Client, event: string): Promise<string> {
  const { status, body } = await person.get(`${event}/registrations/me`);
  if (status === 404) return "none";
  return body.status === "confirmed" ? "confirmed" : `waitlisted ${body.position}`;
}

Deno.test("whoever comes while there are seats is confirmed", async () => {
  await using api = new Api(database);
  const ben = api.as("ben");
  const event = await published(api.as("alice", "organizer"));
  const { status, headers, body } = await ben.post(`${event}/registrations`, {});
  assert.equal(status, 201);
  assert.match(body.registrationId, UUID);
  assert.deepEqual(body, {
    registrationId: body.registrationId,
    status: "confirmed",
    version: 3,
  });
  assert.match(headers.get("consistency-token")!, /^t[0-9]+$/);
  const { registrationId } = body;
  const mine = await ben.get(`${event}/registrations/me`);
  assert.deepEqual(mine.body, { registrationId, userId: ben.id, status: "confirmed" });
  assert.equal(mine.headers.get("etag"), '"3"');
});

Deno.test("a registration needs no body", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"));
  const { status, body } = await api.as("ben").post(`${event}/registrations`);
  assert.deepEqual([status, body.status], [201, "confirmed"]);
});

Deno.test("whoever comes later waits, and hears at which place", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"), { capacity: 1 });
  await registered(api.as("ann"), event);
  const ben = await api.as("ben").post(`${event}/registrations`, {});
  const { registrationId } = ben.body;
  assert.deepEqual(ben.body, { registrationId, status: "waitlisted", position: 1, version: 4 });
  const cho = await api.as("cho").post(`${event}/registrations`, {});
  assert.equal(cho.body.position, 2);
  const { body } = await api.as("dan").get(event);
  assert.deepEqual([body.confirmed, body.waitlisted], [1, 2]);
});

Deno.test("a full event with a full waitlist takes nobody", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 1, waitlistCapacity: 1 });
  for (const name of ["ann", "ben"]) await registered(api.as(name), event);
  const type = "/problems/live-event/sold-out";
  assertProblem(await api.as("cho").post(`${event}/registrations`, {}), 409, type);
  const seatsOnly = await published(alice, { capacity: 1, waitlistCapacity: 0 });
  await registered(api.as("ann"), seatsOnly);
  assertProblem(await api.as("ben").post(`${seatsOnly}/registrations`, {}), 409, type);
});

Deno.test("nobody registers twice, unless having left", async () => {
  await using api = new Api(database);
  const ben = api.as("ben");
  const event = await published(api.as("alice", "organizer"));
  const registration = await registered(ben, event);
  const again = await ben.post(`${event}/registrations`, {});
  assertProblem(again, 409, "/problems/live-event/already-registered");
  await ben.delete(`${event}/registrations/${registration}`);
  assert.notEqual(await registered(ben, event), registration);
});

Deno.test("an organizer registers whom it likes, and nobody else does", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const [ann, ben] = [api.as("ann"), api.as("ben")];
  const event = await published(alice);
  const { status } = await alice.post(`${event}/registrations`, { userId: ann.id });
  assert.equal(status, 201);
  assert.equal(await standing(ann, event), "confirmed");
  assert.equal(await standing(alice, event), "none");

  const type = "/problems/live-event/not-organizer";
  for (const other of [ann, api.as("carol", "organizer")]) {
    assertProblem(
      await other.post(`${event}/registrations`, { userId: ben.id }),
      403,
      type,
    );
  }
  assert.equal((await ben.post(`${event}/registrations`, { userId: ben.id })).status, 201);
  const byAdmin = await api.as("root", "admin").post(`${event}/registrations`, { userId: "cho" });
  assert.equal(byAdmin.status, 201);
});

Deno.test("a draft takes no registrations, not even its organizer's", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice);
  const answer = await alice.post(`${event}/registrations`, {});
  assertProblem(answer, 409, "/problems/live-event/not-published");
});

Deno.test("an event that has begun is neither joined nor left", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const startsAt = new Date(Date.now() + 3_600_000).toISOString();
  const event = await published(alice, { startsAt });
  const registration = await registered(alice, event);
  api.advance(3_000_000);
  assert.equal((await api.as("ann").post(`${event}/registrations`, {})).status, 201);
  api.advance(600_000);
  const type = "/problems/live-event/already-started";
  const late = api.as("ben", "late");
  assertProblem(await late.post(`${event}/registrations`, {}), 409, type);
  const token = await api.token({ sub: alice.id });
  const path = `${event}/registrations/${registration}`;
  assertProblem(await api.bearing(token).delete(path), 409, type);
});

Deno.test("a freed seat goes to whoever has waited longest", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"), { capacity: 1 });
  const [ann, ben, cho] = [api.as("ann"), api.as("ben"), api.as("cho")];
  const registration = await registered(ann, event);
  for (const person of [ben, cho]) await registered(person, event);
  const answer = await ann.delete(`${event}/registrations/${registration}`);
  assert.equal(answer.status, 204);
  assert.equal(answer.text, "");
  assert.equal(answer.headers.get("etag"), '"7"');
  assert.match(answer.headers.get("consistency-token")!, /^t[0-9]+$/);
  assert.equal(await standing(ann, event), "none");
  assert.equal(await standing(ben, event), "confirmed");
  assert.equal(await standing(cho, event), "waitlisted 1");
});

Deno.test("who waits moves up as others ahead leave", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"), { capacity: 1 });
  const [ann, ben, cho, dan] = ["ann", "ben", "cho", "dan"].map((name) => api.as(name));
  await registered(ann!, event);
  const registration = await registered(ben!, event);
  for (const person of [cho!, dan!]) await registered(person, event);
  assert.equal(await standing(dan!, event), "waitlisted 3");
  await ben!.delete(`${event}/registrations/${registration}`);
  assert.equal(await standing(ann!, event), "confirmed");
  assert.equal(await standing(cho!, event), "waitlisted 1");
  assert.equal(await standing(dan!, event), "waitlisted 2");
});

Deno.test("nobody but the organizer and admins ends somebody else's registration", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const [ann, ben] = [api.as("ann"), api.as("ben")];
  const anns = `${event}/registrations/${await registered(ann, event)}`;
  const bens = `${event}/registrations/${await registered(ben, event)}`;
  const type = "/problems/live-event/registration-not-found";
  assertProblem(await ben.delete(anns), 404, type);
  assertProblem(await api.as("carol", "organizer").delete(anns), 404, type);
  assert.equal(await standing(ann, event), "confirmed");
  assert.equal((await alice.delete(anns)).status, 204);
  assert.equal((await api.as("root", "admin").delete(bens)).status, 204);
});

Deno.test("a registration ends once, and only where it was made", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const [here, there] = [await published(alice), await published(alice)];
  const registration = await registered(alice, here);
  const type = "/problems/live-event/registration-not-found";
  assertProblem(await alice.delete(`${there}/registrations/${registration}`), 404, type);
  assert.equal((await alice.delete(`${here}/registrations/${registration}`)).status, 204);
  assertProblem(await alice.delete(`${here}/registrations/${registration}`), 404, type);
  assertProblem(await alice.get(`${here}/registrations/me`), 404, type);
});

Deno.test("a cancelled event may be left, and its seats go to nobody", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 1 });
  const [ann, ben] = [api.as("ann"), api.as("ben")];
  const registration = await registered(ann, event);
  await registered(ben, event);
  await alice.post(`${event}/cancel`);
  assert.equal((await ann.delete(`${event}/registrations/${registration}`)).status, 204);
  assert.equal(await standing(ben, event), "waitlisted 1");
});

Deno.test("the organizer sees who is registered, in the order of arrival", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 2 });
  const people = ["ann", "ben", "cho", "dan", "eve"].map((name) => api.as(name));
  const ids: string[] = [];
  for (const person of people) ids.push(await registered(person, event));
  const written = await people[1]!.delete(`${event}/registrations/${ids[1]}`);

  const { status, body } = await alice.get(`${event}/registrations`, since(written));
  assert.equal(status, 200);
  assert.equal(body.nextCursor, undefined);
  assert(
    body.items.every(({ registeredAt }: { registeredAt: string }) =>
      Math.abs(Date.parse(registeredAt) - Date.now()) < 60_000
    ),
  );
  const shown = body.items.map((item: Record<string, unknown>) => {
    const { registeredAt: _, ...rest } = item;
    return rest;
  });
  const statuses = ["confirmed", "withdrawn", "confirmed", "waitlisted", "waitlisted"];
  assert.deepEqual(
    shown,
    people.map(({ id }, n) => ({ registrationId: ids[n], userId: id, status: statuses[n] })),
  );
});

Deno.test("registrations are listed by status, in pages without gap or double", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 5 });
  const people = Array.from({ length: 12 }, (_, n) => api.as(`person-${n}`));
  const ids: string[] = [];
  for (const person of people) ids.push(await registered(person, event));
  const written = await alice.delete(`${event}/registrations/${ids[11]}`);
  const listed = async (query: string) => {
    const items = await itemsOf(alice, `${event}/registrations${query}`, since(written));
    return items.map(({ registrationId }) => registrationId);
  };
  assert.deepEqual(await listed("?status=confirmed"), ids.slice(0, 5));
  assert.deepEqual(await listed("?status=waitlisted&limit=4"), ids.slice(5, 11));
  assert.deepEqual(await listed("?status=withdrawn"), [ids[11]]);
  for (const limit of [1, 3, 6, 12, 200]) {
    assert.deepEqual(await listed(`?limit=${limit}`), ids, `limit ${limit}`);
  }
});

Deno.test("a walk through the pages is not disturbed by those who come and go", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 2 });
  const ids: string[] = [];
  for (const n of [0, 1, 2, 3]) ids.push(await registered(api.as(`person-${n}`), event));
  const token = since(await alice.get(event));
  const first = await alice.get(`${event}/registrations?limit=2`, token);
  const left = await alice.delete(`${event}/registrations/${ids[0]}`);
  const late = await registered(api.as("latecomer"), event);
  const next = `${event}/registrations?limit=200&cursor=${first.body.nextCursor}`;
  const rest = await alice.get(next, since(await alice.get(event, since(left))));
  const walked = [...first.body.items, ...rest.body.items];
  assert.deepEqual(walked.map(({ registrationId }) => registrationId), [...ids, late]);
});

Deno.test("people see their own registrations, the newest first, with what became of each", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const ben = api.as("ben");
  const seats = [2, 1, 1];
  const events: string[] = [];
  for (const [n, capacity] of seats.entries()) {
    events.push(await published(alice, { title: `Event ${n}`, capacity }));
  }
  await registered(api.as("ann"), events[1]!);
  const ids: string[] = [];
  for (const event of events) ids.push(await registered(ben, event));
  await ben.delete(`${events[0]}/registrations/${ids[0]}`);
  const written = await alice.post(`${events[2]}/cancel`);

  const items = await itemsOf(ben, "/me/registrations?limit=2", since(written));
  const shown = items.map(({ registeredAt, ...rest }) => {
    assert(Math.abs(Date.parse(registeredAt) - Date.now()) < 60_000);
    return rest;
  });
  const startsAt = "2040-06-01T18:00:00.000Z";
  const registration = (n: number, status: string, eventStatus: string) => ({
    registrationId: ids[n],
    eventId: events[n]!.slice("/events/".length),
    status,
    title: `Event ${n}`,
    startsAt,
    eventStatus,
  });
  assert.deepEqual(shown, [
    registration(2, "confirmed", "cancelled"),
    registration(1, "waitlisted", "published"),
    registration(0, "withdrawn", "published"),
  ]);
  assert.deepEqual((await api.as("stranger").get("/me/registrations")).body, { items: [] });
});
