/** Seats that are offered for a time, and reminders: with their timers, through the relay. */
import assert from "node:assert/strict";
import {
  Api,
  assertProblem,
  type Client,
  draft,
  eventually,
  itemsOf,
  published,
  registered,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const MINUTE_MS = 60_000;
const OFFER_MINUTES = 30;
const OFFER_MS = OFFER_MINUTES * MINUTE_MS;
const HOUR_MS = 60 * MINUTE_MS;

interface Person {
  readonly client: Client;
  readonly registration: string;
  /** Of the registration. */
  readonly path: string;
}

/** One seat, which ann has, and three who wait for it. */
class Crowd {
  readonly api: Api;
  readonly event: string;
  readonly people: Readonly<Record<"ann" | "ben" | "cho" | "dan", Person>>;

  private constructor(api: Api, event: string, people: Crowd["people"]) {
    this.api = api;
    this.event = event;
    this.people = people;
  }

  static async of(api: Api, changes: object = {}): Promise<Crowd> {
    const alice = api.as("alice", "organizer");
    const event = await published(alice, { capacity: 1, offerMinutes: OFFER_MINUTES, ...changes });
    const joined = async (name: string): Promise<Person> => {
      const client = api.as(name);
      const registration = await registered(client, event);
      return { client, registration, path: `${event}/registrations/${registration}` };
    };
    const ann = await joined("ann");
    const ben = await joined("ben");
    const cho = await joined("cho");
    const dan = await joined("dan");
    return new Crowd(api, event, { ann, ben, cho, dan });
  }

  /** With a token of now: hours pass here. */
  get alice(): Client {
    return this.api.as("alice", "organizer");
  }

  /** What happened to registrations since all had come, and to whom. */
  async story(): Promise<readonly string[]> {
    const names = new Map(
      Object.entries(this.people).map(([name, { registration }]) => [registration, name]),
    );
    const items = await itemsOf(this.alice, `${this.event}/history`);
    return items.slice(6).map(({ type, data }) =>
      [type, names.get(data.registrationId)].filter((word) => word !== undefined).join(" ")
    );
  }

  async standing({ client }: Person): Promise<string> {
    const { status, body } = await client.get(`${this.event}/registrations/me`);
    return status === 404 ? "none" : body.status;
  }

  /** Until the relay has brought so many timers in all. */
  async timers(count: number): Promise<void> {
    const key = this.event.slice("/events/".length);
    const brought = () =>
      this.api.observed
        .flatMap((event) => event.type === "delivered" && event.address.key === key ? [event] : [])
        .reduce((sum, { messages }) => sum + messages, 0);
    await eventually(() => brought() >= count);
    assert.equal(brought(), count);
  }
}

async function crowded(changes: object = {}) {
  const api = new Api(database);
  return {
    crowd: await Crowd.of(api, changes),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

Deno.test("a freed seat is offered, passes on when nobody answers, and is taken by who does", async () => {
  await using resources = await crowded();
  const { crowd } = resources;
  const { ann, ben, cho, dan } = crowd.people;
  const before = Date.now();
  await ann.client.delete(ann.path);
  const offer = (await ben.client.get(`${crowd.event}/registrations/me`)).body;
  const { offerExpiresAt, ...rest } = offer;
  assert.deepEqual(rest, {
    registrationId: ben.registration,
    userId: ben.client.id,
    status: "offered",
  });
  const keptMs = Date.parse(offerExpiresAt) - before;
  assert(keptMs >= OFFER_MS && keptMs < OFFER_MS + MINUTE_MS);

  await crowd.api.elapse(OFFER_MS);
  await crowd.timers(1);
  assert.equal(await crowd.standing(ben), "none");
  assert.equal(await crowd.standing(cho), "offered");
  const { status, headers, body } = await cho.client.post(`${cho.path}/accept`);
  assert.equal(status, 200);
  assert.deepEqual(body, {
    registrationId: cho.registration,
    status: "confirmed",
    version: 11,
  });
  assert.equal(headers.get("etag"), '"11"');
  assert.match(headers.get("consistency-token")!, /^t[0-9]+$/);
  assert.equal(await crowd.standing(cho), "confirmed");
  assert.equal(await crowd.standing(dan), "waitlisted");

  // The timer of what she has accepted comes nevertheless.
  await crowd.api.elapse(OFFER_MS);
  await crowd.timers(2);
  assert.deepEqual(await crowd.story(), [
    "Withdrawn ann",
    "Offered ben",
    "Lapsed ben",
    "Offered cho",
    "Accepted cho",
  ]);
  assert.notEqual(await registered(ben.client, crowd.event), ben.registration);
});

Deno.test("while a seat is offered, who comes has to wait", async () => {
  await using resources = await crowded({ waitlistCapacity: 3 });
  const { crowd: { api, event, alice, people: { ann } } } = resources;
  await ann.client.delete(ann.path);
  const eve = await api.as("eve").post(`${event}/registrations`);
  assert.deepEqual([eve.body.status, eve.body.position], ["waitlisted", 3]);
  const fay = await api.as("fay").post(`${event}/registrations`);
  assertProblem(fay, 409, "/problems/live-event/sold-out");
  const { body } = await alice.get(event);
  assert.deepEqual([body.confirmed, body.offered, body.waitlisted], [0, 1, 3]);
});

Deno.test("whoever declines passes the offer on at once", async () => {
  await using resources = await crowded();
  const { crowd } = resources;
  const { ann, ben, cho } = crowd.people;
  await ann.client.delete(ann.path);
  assert.equal((await ben.client.delete(ben.path)).status, 204);
  assert.equal(await crowd.standing(ben), "none");
  assert.equal(await crowd.standing(cho), "offered");
  assert.deepEqual(await crowd.story(), [
    "Withdrawn ann",
    "Offered ben",
    "Withdrawn ben",
    "Offered cho",
  ]);
});

Deno.test("nobody accepts what is offered to somebody else, or to nobody", async () => {
  await using resources = await crowded();
  const { crowd } = resources;
  const { api, alice } = crowd;
  const { ann, ben, cho } = crowd.people;
  await ann.client.delete(ann.path);
  const notYours = "/problems/live-event/not-yours";
  const notFound = "/problems/live-event/registration-not-found";
  for (const other of [alice, api.as("root", "admin")]) {
    assertProblem(await other.post(`${ben.path}/accept`), 403, notYours);
  }
  for (const other of [cho.client, api.as("eve")]) {
    assertProblem(await other.post(`${ben.path}/accept`), 404, notFound);
  }
  const { client } = ben;
  const elsewhere = await published(alice);
  const path = `${elsewhere}/registrations/${ben.registration}/accept`;
  assertProblem(await client.post(path), 404, notFound);
  assertProblem(await ann.client.post(`${ann.path}/accept`), 404, notFound);
  const hidden = `${await draft(alice)}/registrations/${ben.registration}/accept`;
  assertProblem(await client.post(hidden), 404, "/problems/live-event/not-found");

  const notOffered = "/problems/live-event/not-offered";
  assertProblem(await cho.client.post(`${cho.path}/accept`), 409, notOffered);
  const stale = await client.post(`${ben.path}/accept`, {}, { "if-match": '"1"' });
  assertProblem(stale, 412, "/problems/version-mismatch");
  assert.equal(await crowd.standing(ben), "offered");
  assert.equal((await client.post(`${ben.path}/accept`, {})).status, 200);
  assertProblem(await client.post(`${ben.path}/accept`), 409, notOffered);
});

Deno.test("an offer cannot be accepted after its time, nor once the event is called off", async () => {
  await using resources = await crowded();
  const { crowd } = resources;
  const { ann, ben, cho } = crowd.people;
  await ann.client.delete(ann.path);
  // Only the clock on the wall moves on: the timer is late.
  crowd.api.advance(OFFER_MS);
  const late = await ben.client.post(`${ben.path}/accept`);
  assertProblem(late, 409, "/problems/live-event/offer-lapsed");
  await ben.client.delete(ben.path);
  await crowd.alice.post(`${crowd.event}/cancel`);
  const off = await cho.client.post(`${cho.path}/accept`);
  assertProblem(off, 409, "/problems/live-event/cancelled");
});

Deno.test("seats that are offered cannot be taken away; more are offered as well", async () => {
  await using resources = await crowded({ capacity: 2 });
  const { crowd } = resources;
  const { ann, cho, dan } = crowd.people;
  await ann.client.delete(ann.path);
  const fewer = await crowd.alice.patch(crowd.event, { capacity: 1 });
  assertProblem(fewer, 409, "/problems/live-event/capacity-below-offered");
  const { body } = await crowd.alice.patch(crowd.event, { capacity: 3, offerMinutes: 10_080 });
  assert.deepEqual([body.confirmed, body.offered, body.waitlisted], [1, 2, 0]);
  assert.equal(body.offerMinutes, 10_080);
  assert.deepEqual([await crowd.standing(cho), await crowd.standing(dan)], ["offered", "offered"]);
});

Deno.test("offers end with the start of the event, and its seats are offered no further", async () => {
  await using resources = await crowded();
  const { crowd } = resources;
  const { ann, ben } = crowd.people;
  await ann.client.delete(ann.path);
  const startsAt = new Date(Date.now() + 400).toISOString();
  assert.equal((await crowd.alice.patch(crowd.event, { startsAt })).status, 200);
  const { body } = await ben.client.get(`${crowd.event}/registrations/me`);
  assert.equal(body.offerExpiresAt, startsAt);
  await crowd.timers(2);
  assert.deepEqual(await crowd.story(), [
    "Withdrawn ann",
    "Offered ben",
    "Revised",
    "OfferShortened ben",
    // The start is nearer than a day, and nobody knew.
    "Reminded",
    "Lapsed ben",
  ]);
});

Deno.test("the lists show offers and what became of them as the event itself does", async () => {
  await using resources = await crowded();
  const { crowd } = resources;
  const { api, alice, event } = crowd;
  const { ann, ben, cho, dan } = crowd.people;
  const listed = async (status: string, token: Parameters<typeof since>[0]) => {
    const items = await itemsOf(alice, `${event}/registrations?status=${status}`, since(token));
    return items.map(({ userId, offerExpiresAt }) => [userId, offerExpiresAt]);
  };
  const own = async ({ client }: Person, token: Parameters<typeof since>[0]) => {
    const [{ status, offerExpiresAt }] = await itemsOf(client, "/me/registrations", since(token));
    return [status, offerExpiresAt];
  };
  const offered = await ann.client.delete(ann.path);
  const { offerExpiresAt } = (await ben.client.get(`${event}/registrations/me`)).body;
  assert.deepEqual(await listed("offered", offered), [[ben.client.id, offerExpiresAt]]);
  assert.deepEqual(await own(ben, offered), ["offered", offerExpiresAt]);
  assert.deepEqual(await own(dan, offered), ["waitlisted", undefined]);

  await api.elapse(OFFER_MS);
  await crowd.timers(1);
  const accepted = await cho.client.post(`${cho.path}/accept`);
  assert.deepEqual(await listed("offered", accepted), []);
  assert.deepEqual(await listed("lapsed", accepted), [[ben.client.id, undefined]]);
  assert.deepEqual(await listed("confirmed", accepted), [[cho.client.id, undefined]]);
  assert.deepEqual(await own(cho, accepted), ["confirmed", undefined]);
  const last = await cho.client.delete(cho.path);
  const query = `/events?organizerId=${alice.id}`;
  const [item] = await itemsOf(alice, query, since(last));
  assert.deepEqual(item, (await alice.get(event)).body);
  assert.deepEqual([item.offered, item.offerMinutes], [1, OFFER_MINUTES]);
});

Deno.test("an event without offers promotes at once, and speaks of none", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: 1 });
  const ann = await registered(api.as("ann"), event);
  const ben = api.as("ben");
  await registered(ben, event);
  await api.as("ann").delete(`${event}/registrations/${ann}`);
  assert.equal((await ben.get(`${event}/registrations/me`)).body.status, "confirmed");
  const { body } = await alice.get(event);
  assert.deepEqual([body.offered, "offerMinutes" in body], [0, false]);
});

Deno.test("people are reminded a day before the start, once, and anew if it is moved", async () => {
  await using resources = await crowded({
    startsAt: new Date(Date.now() + 48 * HOUR_MS).toISOString(),
    endsAt: new Date(Date.now() + 100 * HOUR_MS).toISOString(),
  });
  const { crowd } = resources;
  await crowd.api.elapse(24 * HOUR_MS);
  await crowd.timers(1);
  assert.deepEqual(await crowd.story(), ["Reminded"]);

  const startsAt = new Date(Date.now() + 50 * HOUR_MS).toISOString();
  assert.equal((await crowd.alice.patch(crowd.event, { startsAt })).status, 200);
  await crowd.api.elapse(2 * HOUR_MS);
  await crowd.timers(2);
  const items = await itemsOf(crowd.alice, `${crowd.event}/history`);
  const reminders = items.filter(({ type }) => type === "Reminded");
  assert.deepEqual(reminders.map(({ data }) => data.startsAt), [items[0].data.startsAt, startsAt]);
});
