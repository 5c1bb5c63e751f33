/** What people are told of their registrations: through the feed, the queue and the worker. */
import assert from "node:assert/strict";
import {
  Api,
  assertProblem,
  type Client,
  eventuallyEqual,
  itemsOf,
  published,
  registered,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const HOUR_MS = 3_600_000;

async function noticesOf(client: Client): Promise<readonly string[]> {
  return (await itemsOf(client, "/me/notices")).map(({ type }) => type).reverse();
}

Deno.test("who registers is told of the seat, or of the wait, and of a seat that became free", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 1 });
  const [ann, ben, cho] = [api.as("ann"), api.as("ben"), api.as("cho")];
  const registration = await registered(ann, event);
  await registered(ben, event);
  await registered(cho, event);
  await ann.delete(`${event}/registrations/${registration}`);
  await eventuallyEqual(() => noticesOf(ben), ["waitlisted", "promoted"]);
  await eventuallyEqual(() => noticesOf(cho), ["waitlisted"]);
  assert.deepEqual(await noticesOf(ann), ["confirmed"]);
  const [notice] = await itemsOf(cho, "/me/notices");
  assert.equal(notice.eventId, event.split("/").at(-1));
});

Deno.test("a notice bears the correlation id of the request that led to it", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"), {});
  const ann = api.as("ann");
  const correlationId = crypto.randomUUID();
  await ann.post(`${event}/registrations`, undefined, { "x-correlation-id": correlationId });
  await eventuallyEqual(
    async () => (await itemsOf(ann, "/me/notices")).map((notice) => notice.correlationId),
    [correlationId],
  );
});

Deno.test("an offer is told of with its end, and when it lapses", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 1, offerMinutes: 30 });
  const [ann, ben] = [api.as("ann"), api.as("ben")];
  const registration = await registered(ann, event);
  await registered(ben, event);
  await ann.delete(`${event}/registrations/${registration}`);
  await eventuallyEqual(() => noticesOf(ben), ["waitlisted", "offered"]);
  const [offer] = await itemsOf(ben, "/me/notices");
  assert(Date.parse(offer.expiresAt) > Date.parse(offer.at));
  await api.elapse(31 * 60_000);
  await eventuallyEqual(() => noticesOf(ben), ["waitlisted", "offered", "offer_lapsed"]);
});

Deno.test("the end of it all is told to everyone, a reminder to those who have a seat", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const now = Date.now();
  const event = await published(alice, {
    capacity: 1,
    startsAt: new Date(now + 30 * HOUR_MS).toISOString(),
    endsAt: new Date(now + 32 * HOUR_MS).toISOString(),
  });
  const [ann, ben] = [api.as("ann"), api.as("ben")];
  await registered(ann, event);
  await registered(ben, event);
  await api.elapse(6 * HOUR_MS + 1_000);
  await eventuallyEqual(() => noticesOf(api.as("ann")), ["confirmed", "reminder"]);
  await api.as("alice", "organizer").post(`${event}/cancel`);
  await eventuallyEqual(() => noticesOf(api.as("ann")), ["confirmed", "reminder", "cancelled"]);
  await eventuallyEqual(() => noticesOf(api.as("ben")), ["waitlisted", "cancelled"]);
});

Deno.test("whoever is told twice has been told once", async () => {
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const ann = api.as("ann");
  const notices = [{
    userId: ann.id,
    eventId: crypto.randomUUID(),
    type: "confirmed",
    at: "2030-01-01T12:00:00.000Z",
    correlationId: crypto.randomUUID(),
  }];
  const order = { type: "live_event.deliver_notices", payload: { notices } };
  const ids = await Promise.all(
    [1, 2].map(async () => (await admin.post("/jobs", order)).body.id as string),
  );
  for (const id of ids) {
    // Nothing is left of it once it is done.
    await eventuallyEqual(async () => (await admin.get(`/jobs/${id}`)).status, 404);
  }
  assert.deepEqual(await noticesOf(ann), ["confirmed"]);
});

Deno.test("notices come in pages, the newest first, and to their own person alone", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const ann = api.as("ann");
  const events: string[] = [];
  for (let n = 0; n < 5; n++) {
    const event = await published(alice, {});
    await registered(ann, event);
    events.unshift(event.split("/").at(-1)!);
  }
  await eventuallyEqual(
    async () => (await itemsOf(ann, "/me/notices?limit=2")).map(({ eventId }) => eventId),
    events,
  );
  assert.deepEqual(await noticesOf(alice), []);
  assertProblem(await ann.get("/me/notices?cursor=nonsense"), 400, "/problems/invalid-request");
});
