/** Finding events: filters, words, pages, and who sees which. */
import assert from "node:assert/strict";
import {
  Api,
  type Client,
  draft,
  itemsOf,
  plan,
  published,
  registered,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

/** The titles that `client` finds, of events of `organizer` alone. */
async function titles(
  client: Client,
  organizer: Client,
  query: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const asked = new URLSearchParams({ organizerId: organizer.id, ...query });
  const token = since(await organizer.get(shown.get(organizer)!));
  const items = await itemsOf(client, `/events?${asked}`, token);
  return items.map(({ title }) => title);
}

/** The last event that each organizer has written to. */
const shown = new WeakMap<Client, string>();

async function give(organizer: Client, changes: object): Promise<string> {
  const event = await published(organizer, changes);
  shown.set(organizer, event);
  return event;
}

async function keep(organizer: Client, changes: object): Promise<string> {
  const event = await draft(organizer, changes);
  shown.set(organizer, event);
  return event;
}

function on(day: number) {
  const date = `2041-01-${String(day).padStart(2, "0")}`;
  return { startsAt: `${date}T18:00:00.000Z`, endsAt: `${date}T20:00:00.000Z` };
}

Deno.test("a listed event looks like the event itself", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const details = { description: "Études", venue: "Hall 2", waitlistCapacity: 5, capacity: 1 };
  const full = await give(alice, details);
  for (const name of ["ann", "ben", "cho"]) await registered(api.as(name), full);
  const bare = await keep(alice, { title: "Bare", ...on(1) });
  await alice.patch(full, { venue: "Hall 3" });
  const [first, second] = [await alice.get(full), await alice.get(bare)];
  const items = await itemsOf(alice, `/events?organizerId=${alice.id}`, since(first));
  assert.deepEqual(items, [first.body, second.body]);
});

Deno.test("events are listed by their start", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  for (const day of [3, 1, 2]) await give(alice, { title: `Day ${day}`, ...on(day) });
  assert.deepEqual(await titles(api.as("ben"), alice), ["Day 1", "Day 2", "Day 3"]);
});

Deno.test("a revised event is found where it is now", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const first = await give(alice, { title: "Old name", ...on(1) });
  await give(alice, { title: "Other", ...on(2) });
  await alice.patch(first, { title: "New name", ...on(3) });
  shown.set(alice, first);
  assert.deepEqual(await titles(alice, alice), ["Other", "New name"]);
  assert.deepEqual(await titles(alice, alice, { q: "old" }), []);
  assert.deepEqual(await titles(alice, alice, { q: "new" }), ["New name"]);
});

Deno.test("events are found by status", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  await keep(alice, { title: "Draft" });
  const cancelled = await give(alice, { title: "Cancelled" });
  await alice.post(`${cancelled}/cancel`);
  await give(alice, { title: "Published" });
  assert.deepEqual(await titles(alice, alice, { status: "draft" }), ["Draft"]);
  assert.deepEqual(await titles(alice, alice, { status: "published" }), ["Published"]);
  assert.deepEqual(await titles(alice, alice, { status: "cancelled" }), ["Cancelled"]);
});

Deno.test("events are found from a time on, up to another", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  for (const day of [1, 2, 3, 4]) await give(alice, { title: `Day ${day}`, ...on(day) });
  const found = (query: Readonly<Record<string, string>>) => titles(alice, alice, query);
  const second = "2041-01-02T18:00:00Z";
  const fourth = "2041-01-04T18:00:00.000Z";
  assert.deepEqual(await found({ from: second }), ["Day 2", "Day 3", "Day 4"]);
  assert.deepEqual(await found({ to: fourth }), ["Day 1", "Day 2", "Day 3"]);
  assert.deepEqual(await found({ from: second, to: fourth }), ["Day 2", "Day 3"]);
  assert.deepEqual(await found({ from: "2041-01-02T20:00:00+02:00", to: second }), []);
  assert.deepEqual(await found({ from: fourth, to: second }), []);
});

Deno.test("events are found by their organizer", async () => {
  await using api = new Api(database);
  const [alice, carol] = [api.as("alice", "organizer"), api.as("carol", "organizer")];
  await give(alice, { title: "Hers" });
  await give(carol, { title: "The other's" });
  assert.deepEqual(await titles(api.as("ben"), alice), ["Hers"]);
  assert.deepEqual(await titles(api.as("ben"), carol), ["The other's"]);
});

Deno.test("events are found by words in title, description and venue", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  await give(alice, { title: "Jazz night", ...on(1) });
  await give(alice, { title: "Chess", description: "with jazz in the break", ...on(2) });
  await give(alice, { title: "Café Müller", venue: "Jazz-Keller", ...on(3) });
  const found = (q: string) => titles(alice, alice, { q });
  assert.deepEqual(await found("jazz"), ["Jazz night", "Chess", "Café Müller"]);
  assert.deepEqual(await found("JAZZ night"), ["Jazz night"]);
  assert.deepEqual(await found("jazz -chess"), ["Jazz night", "Café Müller"]);
  assert.deepEqual(await found("müller"), ["Café Müller"]);
  assert.deepEqual(await found('"in the break"'), ["Chess"]);
  for (const odd of ["' or 1=1 --", "%", "&|!()<->:*", '"', "\\", " ", "🎟"]) {
    assert.deepEqual(await found(odd), [], odd);
  }
});

Deno.test("filters add up", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  await give(alice, { title: "Jazz early", ...on(1) });
  await give(alice, { title: "Jazz late", ...on(9) });
  await keep(alice, { title: "Jazz draft", ...on(9) });
  await give(alice, { title: "Chess late", ...on(9) });
  const query = { q: "jazz", from: "2041-01-05T00:00:00Z", status: "published", limit: "1" };
  assert.deepEqual(await titles(alice, alice, query), ["Jazz late"]);
});

Deno.test("drafts are listed for their organizer and for admins alone", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  await keep(alice, { title: "Draft", ...on(1) });
  await give(alice, { title: "Published", ...on(2) });
  assert.deepEqual(await titles(alice, alice), ["Draft", "Published"]);
  assert.deepEqual(await titles(api.as("root", "admin"), alice), ["Draft", "Published"]);
  for (const other of [api.as("ben"), api.as("carol", "organizer")]) {
    assert.deepEqual(await titles(other, alice), ["Published"]);
    assert.deepEqual(await titles(other, alice, { status: "draft" }), []);
    assert.deepEqual(await titles(other, alice, { q: "draft" }), []);
  }
});

Deno.test("pages follow one another without gap or double, whatever their size", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const ben = api.as("ben");
  // Many start together, so that a page has to end between them.
  const days = [1, 1, 1, 1, 2, 2, 3, 3, 3, 4, 5];
  const ids = [];
  for (const [n, day] of days.entries()) {
    ids.push(await give(alice, { title: `Event ${n}`, ...on(day) }));
  }
  const token = since(await alice.get(ids.at(-1)!));
  for (const limit of [1, 2, 3, 4, 10, 11, 200]) {
    const path = `/events?organizerId=${alice.id}&limit=${limit}`;
    const items = await itemsOf(ben, path, token);
    assert.deepEqual(items.map(({ id }) => `/events/${id}`), ids, `limit ${limit}`);
  }
  const { body } = await ben.get(`/events?organizerId=${alice.id}&limit=11`, token);
  assert.deepEqual([body.items.length, body.nextCursor], [11, undefined]);
});

Deno.test("a page holds 50 unless asked for more or fewer", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const answers = await Promise.all(
    Array.from({ length: 51 }, (_, n) => alice.post("/events", plan({ title: `Event ${n}` }))),
  );
  const tokens = answers.map(({ headers }) => Number(headers.get("consistency-token")!.slice(1)));
  const headers = { "consistency-token": `t${Math.max(...tokens)}` };
  const { body } = await alice.get(`/events?organizerId=${alice.id}`, headers);
  assert.equal(body.items.length, 50);
  assert.equal(typeof body.nextCursor, "string");
});

Deno.test("an event that moves ahead of a walk is not met again", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  for (const day of [1, 2, 3]) await give(alice, { title: `Day ${day}`, ...on(day) });
  const path = `/events?organizerId=${alice.id}&limit=2`;
  const first = await alice.get(path, since(await alice.get(shown.get(alice)!)));
  const moved = await alice.patch(`/events/${first.body.items[1].id}`, {
    startsAt: "2040-12-31T18:00:00Z",
  });
  const second = await alice.get(`${path}&cursor=${first.body.nextCursor}`, since(moved));
  assert.deepEqual(second.body.items.map(({ title }: { title: string }) => title), ["Day 3"]);
});
