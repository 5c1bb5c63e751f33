/** Webhooks from the request that asks for them to the request that is sent. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { Webhook } from "standardwebhooks";
import { publicEventTypes } from "../../actors/live_event/public_events.ts";
import { ENDPOINTS_MAX } from "../../routes/webhook_problems.ts";
import {
  Api,
  type ApiOptions,
  assertProblem,
  type Client,
  itemsOf,
  published,
  registered,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { Sink } from "../support/sink.ts";

const database = await databaseOfThisFile();
/** One in which nobody ever has an endpoint. */
const unheard = await databaseOfThisFile();

const NOWHERE = "00000000-0000-7000-8000-000000000000";

function serviceWith({ beside, ...options }: ApiOptions & { beside?: Api } = {}): Api {
  const withWebhooks: ApiOptions = {
    ...options,
    webhooks: {
      allowedHosts: ["sink.test"],
      resolve: (name) => Promise.resolve(name === "sink.test" ? ["127.0.0.1"] : ["1.1.1.1"]),
      deadlineMs: 2_000,
      pausesMs: [20, 20],
      ...options.webhooks,
    },
  };
  return beside?.anotherNode(withWebhooks) ?? new Api(database, withWebhooks);
}

/** The view of a new endpoint, with its secret. */
async function endpoint(owner: Client, url: string, changes: object = {}) {
  const wanted = { url, types: publicEventTypes, ...changes };
  const { status, body, text } = await owner.post("/webhooks", wanted);
  assert.equal(status, 201, text);
  return body;
}

/** Waits for what other processes of the machine have to do as well: a socket, a projection. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!await isSo()) {
    if (performance.now() > end) throw new Error("It never came to be so");
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
  }
}

async function deliveryOf(owner: Client, id: string) {
  return (await owner.get(`/webhooks/${id}`)).body.delivery;
}

Deno.test("what happens to one's events is told, signed and in order", async () => {
  await using api = serviceWith();
  await using sink = new Sink();
  const owner = api.as("olga", "organizer");
  const { id, secret } = await endpoint(owner, sink.url("/all"));
  const event = await published(owner);
  const person = api.as("ben");
  const registrationId = await registered(person, event);
  await until(() => sink.received.length === 3);
  assert.deepEqual(sink.types("/all"), [
    "live_event.scheduled",
    "live_event.published",
    "live_event.registered",
  ]);
  const [scheduled, , registration] = sink.received;
  const verified = new Webhook(secret).verify(
    registration!.body,
    Object.fromEntries(registration!.headers),
  ) as { data: Record<string, unknown>; timestamp: string };
  const eventId = event.split("/").at(-1);
  assert.deepEqual(verified.data, { eventId, version: 3, registrationId, userId: person.id });
  assert.equal(new Date(verified.timestamp).toISOString(), verified.timestamp);
  assert.doesNotMatch(scheduled!.body, /Recital/, "texts that somebody wrote are left out");
  // A message leaves the outbox after its receiver has answered.
  await until(async () => {
    const { waiting, lastSuccessAt } = await deliveryOf(owner, id);
    return waiting === 0 && lastSuccessAt !== undefined;
  });
  assert.equal((await deliveryOf(owner, id)).breaker, "closed");
});

Deno.test("an endpoint is told of the types that it wants, and of nobody else's events", async () => {
  await using api = serviceWith();
  await using sink = new Sink();
  const [olga, oskar] = [api.as("olga", "organizer"), api.as("oskar", "organizer")];
  await endpoint(olga, sink.url("/olga"), { types: ["live_event.published"] });
  await endpoint(oskar, sink.url("/oskar"), { types: ["live_event.scheduled"] });
  await published(olga);
  await published(oskar);
  await until(() => sink.received.length >= 2);
  await published(olga);
  await until(() => sink.at("/olga").length === 2);
  assert.deepEqual(sink.types("/olga"), ["live_event.published", "live_event.published"]);
  assert.deepEqual(sink.types("/oskar"), ["live_event.scheduled"]);
});

Deno.test("nothing is told of what happened before there was the endpoint, all of what came after", async () => {
  await using api = serviceWith();
  await using sink = new Sink();
  const owner = api.as("olga", "organizer");
  const event = await published(owner);
  for (let n = 0; n < 5; n++) await registered(api.as(`early ${n}`), event);
  await endpoint(owner, sink.url("/late"));
  for (let n = 0; n < 5; n++) await api.as(`late ${n}`).post(`${event}/registrations`, {});
  await until(() => sink.at("/late").length >= 5);
  const versions = sink.at("/late").map(({ body }) => JSON.parse(body).data.version);
  assert.deepEqual(versions, [8, 9, 10, 11, 12]);
});

Deno.test("where nobody listens, events are passed over unread", async () => {
  await using api = new Api(unheard);
  const owner = api.as("olga", "organizer");
  const event = await published(owner, { capacity: 100 });
  for (let n = 0; n < 20; n++) await registered(api.as(`person ${n}`), event);
  const head = async () => {
    const { rows } = await sql<{ behind: number }>`
      select count(*)::int as behind from event e join checkpoint c on c.projection = 'webhooks'
      where (e.transaction, e.position) > (c.transaction, c.position)`.execute(unheard.db);
    return rows[0]?.behind ?? NaN;
  };
  await until(async () => await head() === 0);
  const read = api.observed.filter((seen) =>
    seen.type === "projected" && seen.projection === "webhooks"
  );
  assert.deepEqual(read, []);
});

Deno.test("a rotated secret and the one before it both sign, until a day has passed", async () => {
  await using api = serviceWith();
  await using sink = new Sink();
  const owner = api.as("olga", "organizer");
  const { id, secret: first } = await endpoint(owner, sink.url("/"));
  const rotated = await owner.post(`/webhooks/${id}/secret`);
  assert.equal(rotated.status, 200);
  assert.equal(rotated.headers.get("cache-control"), "private, no-store");
  const { secret: second } = rotated.body;
  assert.notEqual(first, second);
  const heard = async (count: number) => {
    assert.equal((await owner.post(`/webhooks/${id}/test`)).status, 202);
    await until(() => sink.received.length === count);
    return sink.received.at(-1)!;
  };
  const holds = (secret: string, { body, headers }: Awaited<ReturnType<typeof heard>>) => {
    try {
      return new Webhook(secret).verify(body, Object.fromEntries(headers)) !== undefined;
    } catch {
      return false;
    }
  };
  const both = await heard(1);
  assert.deepEqual([holds(first, both), holds(second, both)], [true, true]);
  assert.equal(JSON.parse(both.body).type, "webhook.test");

  const { secret: third } = (await owner.post(`/webhooks/${id}/secret`)).body;
  const two = await heard(2);
  assert.equal(two.headers.get("webhook-signature")!.split(" ").length, 2);
  assert.deepEqual([holds(first, two), holds(second, two), holds(third, two)], [false, true, true]);
});

Deno.test("a secret is shown where it is made, and nowhere else", async () => {
  await using api = serviceWith();
  const owner = api.as("olga", "organizer");
  const made = await owner.post("/webhooks", {
    url: "https://a.example/",
    types: ["live_event.published"],
  });
  const { id, secret } = made.body;
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  assert.equal(made.headers.get("location"), `/api/v1/webhooks/${id}`);
  assert.equal(made.headers.get("cache-control"), "private, no-store");
  const others = [
    await owner.get(`/webhooks/${id}`),
    await owner.patch(`/webhooks/${id}`, { description: "new" }),
    await owner.get("/webhooks", since(made)),
    await owner.post(`/webhooks/${id}/disable`),
  ];
  for (const { status, text } of others) {
    assert.equal(status, 200, text);
    assert.doesNotMatch(text, /whsec_|secret"/, text);
  }
});

Deno.test("an endpoint is listed, changed, disabled, enabled and deleted", async () => {
  await using api = serviceWith();
  const owner = api.as("olga", "organizer");
  const url = "https://a.example/hooks?x=1";
  const made = await endpoint(owner, url, { types: ["live_event.published"], description: "d" });
  const path = `/webhooks/${made.id}`;
  const { secret: _, ...view } = made;
  const { delivery, ...shown } = (await owner.get(path)).body;
  assert.deepEqual(shown, view);
  assert.deepEqual(delivery, { breaker: "closed", failedAttempts: 0, waiting: 0 });
  const patched = await owner.patch(path, { types: ["live_event.cancelled"] }, {
    "If-Match": '"1"',
  });
  assert.deepEqual(patched.body, { ...view, types: ["live_event.cancelled"], version: 2 });
  assertProblem(
    await owner.patch(path, { description: "x" }, { "If-Match": '"1"' }),
    412,
    "/problems/version-mismatch",
  );
  const disabled = await owner.post(`${path}/disable`);
  assert.equal(disabled.body.status, "disabled");
  assert.equal(disabled.body.disabledBecause, "asked");
  assertProblem(await owner.post(`${path}/test`), 409, "/problems/webhook/disabled");
  const [listed] = await itemsOf(owner, "/webhooks", since(disabled));
  assert.deepEqual(listed, disabled.body);
  assert.equal((await owner.post(`${path}/enable`)).body.status, "enabled");
  const deleted = await owner.delete(path);
  assert.equal(deleted.status, 204);
  assert.deepEqual(await itemsOf(owner, "/webhooks", since(deleted)), []);
  assertProblem(await owner.get(path), 404, "/problems/webhook/not-found");
});

Deno.test("another organizer's endpoint does not exist, whatever is done with it", async () => {
  await using api = serviceWith();
  const owner = api.as("olga", "organizer");
  const stranger = api.as("stan", "organizer");
  const made = await owner.post("/webhooks", {
    url: "https://a.example/",
    types: ["live_event.published"],
  });
  const refusals = async (id: string) => {
    const path = `/webhooks/${id}`;
    return [
      await stranger.get(path),
      await stranger.patch(path, { description: "mine" }),
      await stranger.post(`${path}/enable`),
      await stranger.post(`${path}/disable`),
      await stranger.post(`${path}/secret`),
      await stranger.post(`${path}/test`),
      await stranger.delete(path),
    ];
  };
  const [real, imagined] = [await refusals(made.body.id), await refusals(NOWHERE)];
  for (const [n, answer] of real.entries()) {
    assertProblem(answer, 404, "/problems/webhook/not-found");
    const { instance: _, ...said } = answer.body;
    const { instance: __, ...saidOfNothing } = imagined[n]!.body;
    assert.deepEqual(said, saidOfNothing);
  }
  assert.deepEqual(await itemsOf(stranger, "/webhooks", since(made)), []);
  assert.equal((await owner.get(`/webhooks/${made.body.id}`)).body.version, 1, "untouched");
  for (const nobody of [api.as("ben"), api.as("bea", "clerk")]) {
    assertProblem(await nobody.get("/webhooks"), 403, "/problems/forbidden");
  }
  assertProblem(
    await owner.post(`/webhooks/${made.body.id}/replay`, { deadLetters: true }),
    403,
    "/problems/forbidden",
  );
});

Deno.test("what makes no sense is refused by name", async () => {
  await using api = serviceWith();
  const owner = api.as("olga", "organizer");
  const good = { url: "https://a.example/", types: ["live_event.published"] };
  const bad: [unknown, (string | number)[]][] = [
    [{ types: good.types }, ["url"]],
    [{ ...good, url: 7 }, ["url"]],
    [{ ...good, url: "x".repeat(2_001) }, ["url"]],
    [{ ...good, types: [] }, ["types"]],
    [{ ...good, types: ["live_event.exploded"] }, ["types", 0]],
    [{ ...good, types: ["live_event.published", "live_event.published"] }, ["types"]],
    [{ ...good, description: "x".repeat(201) }, ["description"]],
    [{ ...good, secret: "whsec_mine" }, ["secret"]],
    [{ ...good, ownerId: "me" }, ["ownerId"]],
    [{ ...good, status: "enabled" }, ["status"]],
  ];
  for (const [body, path] of bad) {
    const answer = await owner.post("/webhooks", body);
    assertProblem(answer, 400, "/problems/invalid-request");
    assert.deepEqual(answer.body.errors[0].path, path);
  }
  assertProblem(await owner.get("/webhooks/x"), 400, "/problems/invalid-request");
  assertProblem(await owner.get("/webhooks?cursor=x"), 400, "/problems/invalid-request");
  const admin = api.as("root", "admin");
  const { id } = await endpoint(owner, good.url);
  for (
    const body of [
      {},
      { from: "yesterday" },
      { from: "0001-01-01T00:00:00Z" },
      { deadLetters: false },
      { from: "2030-01-01T00:00:00Z", deadLetters: true },
      { from: "2030-01-01T00:00:00Z", cursor: "x" },
    ]
  ) {
    const answer = await admin.post(`/webhooks/${id}/replay`, body);
    assertProblem(answer, 400, "/problems/invalid-request");
  }
});

Deno.test("a forbidden URL is refused by the name of its field, when it is made and when it is changed", async () => {
  await using sink = new Sink();
  await using api = serviceWith({
    webhooks: {
      allowedHosts: [],
      resolve: (name) =>
        name.startsWith("inside") ? Promise.resolve(["127.0.0.1"]) : Promise.resolve(["1.1.1.1"]),
    },
  });
  const owner = api.as("olga", "organizer");
  const { id } = await endpoint(owner, "https://outside.example/");
  const forbidden = [
    `http://127.0.0.1:${sink.port}/`,
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://inside.example/",
    "ftp://outside.example/",
    "not a url",
  ];
  for (const url of forbidden) {
    const answers = [
      await owner.post("/webhooks", { url, types: ["live_event.published"] }),
      await owner.patch(`/webhooks/${id}`, { url }),
    ];
    for (const answer of answers) {
      assertProblem(answer, 422, "/problems/webhook/forbidden-url");
      assert.deepEqual(answer.body.errors.map(({ path }: { path: unknown }) => path), [["url"]]);
    }
  }
  assert.equal(sink.received.length, 0);
});

Deno.test("a repeated request under one key makes one endpoint, and shows its secret again", async () => {
  await using api = serviceWith();
  const owner = api.as("olga", "organizer");
  const wanted = { url: "https://a.example/", types: ["live_event.published"] };
  const key = { "Idempotency-Key": "one" };
  const [first, second] = [
    await owner.post("/webhooks", wanted, key),
    await owner.post("/webhooks", wanted, key),
  ];
  assert.deepEqual(second.body, first.body);
  assert.equal((await itemsOf(owner, "/webhooks", since(first))).length, 1);
});

Deno.test("nobody has more endpoints than they may", async () => {
  await using api = serviceWith();
  const owner = api.as("olga", "organizer");
  const wanted = { url: "https://a.example/", types: ["live_event.published"] };
  for (let n = 0; n < ENDPOINTS_MAX; n++) {
    const made = await owner.post("/webhooks", wanted);
    assert.equal(made.status, 201);
    if (n === ENDPOINTS_MAX - 1) await owner.get("/webhooks", since(made));
  }
  assertProblem(await owner.post("/webhooks", wanted), 409, "/problems/webhook/too-many");
  const pages = await itemsOf(owner, "/webhooks?limit=7");
  assert.equal(new Set(pages.map(({ id }) => id)).size, ENDPOINTS_MAX);
});

Deno.test("a dead endpoint delays no other, and says how it stands", async () => {
  await using api = serviceWith({ webhooks: { pausesMs: [60_000] } });
  await using sink = new Sink();
  const owner = api.as("olga", "organizer");
  sink.answer = ({ path }) => new Response(null, { status: path === "/dead" ? 500 : 204 });
  const dead = await endpoint(owner, sink.url("/dead"));
  await endpoint(owner, sink.url("/alive"));
  const event = await published(owner, { capacity: 50 });
  for (let n = 0; n < 20; n++) await registered(api.as(`person ${n}`), event);
  await until(() => sink.at("/alive").length === 22);
  const versions = sink.at("/alive").map(({ body }) => JSON.parse(body).data.version);
  assert.deepEqual(versions, Array.from({ length: 22 }, (_, n) => n + 1));
  await until(async () => (await deliveryOf(owner, dead.id)).breaker === "open");
  const delivery = await deliveryOf(owner, dead.id);
  assert.equal(delivery.lastFailure, "It answered 500");
  assert.equal(delivery.waiting, 22);
  assert(delivery.failedAttempts >= 1);
  assert(Date.parse(delivery.nextAttemptAt) > Date.now());
  assert.equal(new Set(sink.at("/dead").map(({ headers }) => headers.get("webhook-id"))).size, 1);
});

Deno.test("410 disables the endpoint; what waited ends as letters that say why, and can be replayed", async () => {
  await using api = serviceWith();
  await using sink = new Sink();
  const [owner, admin] = [api.as("olga", "organizer"), api.as("root", "admin")];
  sink.answer = () => new Response(null, { status: 410 });
  const { id } = await endpoint(owner, sink.url("/gone"));
  const event = await published(owner, { capacity: 50 });
  for (let n = 0; n < 3; n++) await registered(api.as(`person ${n}`), event);
  const letters = () => itemsOf(admin, `/dead-letters?kind=webhook&key=${id}`);
  await until(async () => (await letters()).length === 5);
  const view = (await owner.get(`/webhooks/${id}`)).body;
  assert.equal(view.status, "disabled");
  assert.equal(view.disabledBecause, "gone");
  const [first, ...others] = await letters();
  assert.match(first.error, /410/);
  for (const { error } of others) assert.match(error, /disabled: it answered 410|answered 410/);
  assert.equal(sink.received.length, 1, "after that nothing was sent");
  assertProblem(
    await admin.post(`/webhooks/${id}/replay`, { deadLetters: true }),
    409,
    "/problems/webhook/disabled",
  );

  sink.answer = () => new Response("ok");
  await owner.post(`/webhooks/${id}/enable`);
  const replayed = await admin.post(`/webhooks/${id}/replay`, { deadLetters: true });
  assert.deepEqual([replayed.status, replayed.body], [202, { replayed: 5 }]);
  await until(() => sink.received.length === 6);
  const ids = sink.received.slice(1).map(({ headers }) => headers.get("webhook-id"));
  assert.deepEqual(ids, [first, ...others].map((letter) => letter.id));
  const versions = sink.received.slice(1).map(({ body }) => JSON.parse(body).data.version);
  assert.deepEqual(versions, [1, 2, 3, 4, 5]);
  assert.deepEqual(await letters(), []);
});

Deno.test("an admin has events of a time told again, under the ids that they had", async () => {
  await using api = serviceWith();
  await using sink = new Sink();
  const [owner, admin] = [api.as("olga", "organizer"), api.as("root", "admin")];
  const wanted = { types: ["live_event.registered"] };
  const { id } = await endpoint(owner, sink.url("/"), wanted);
  const event = await published(owner, { capacity: 50 });
  for (let n = 0; n < 3; n++) await registered(api.as(`person ${n}`), event);
  const other = api.as("oskar", "organizer");
  await registered(api.as("elsewhere"), await published(other));
  await until(() => sink.received.length === 3);
  const idOf = ({ headers }: { headers: Headers }) => headers.get("webhook-id");
  const ids = sink.received.map(idOf);
  assert.equal(new Set(ids).size, 3);
  await itemsOf(owner, "/events", {
    "Consistency-Token": (await owner.get(event)).headers.get("consistency-token")!,
  });

  const from = new Date(Date.now() - 3_600_000).toISOString();
  const replayed = await admin.post(`/webhooks/${id}/replay`, { from });
  assert.deepEqual([replayed.status, replayed.body], [202, { replayed: 3 }]);
  await until(() => sink.received.length === 6);
  assert.deepEqual(sink.received.slice(3).map(idOf), ids);
  const earlier = await admin.post(`/webhooks/${id}/replay`, {
    from: "2001-01-01T00:00:00Z",
    to: from,
  });
  assert.deepEqual(earlier.body, { replayed: 0 });
  const { rows } = await sql<{ act: string; principal: string }>`
    select act, principal from audit where subject = ${`webhook_endpoint/${id}`} order by id`
    .execute(database.db);
  assert.deepEqual(rows, [
    { act: "webhook replay", principal: admin.id },
    { act: "webhook replay", principal: admin.id },
  ]);
});

Deno.test("what another node has disabled gets nothing more", async () => {
  await using api = serviceWith();
  await using sink = new Sink();
  const owner = api.as("olga", "organizer");
  const { id } = await endpoint(owner, sink.url("/"));
  await owner.post(`/webhooks/${id}/test`);
  await until(() => sink.received.length === 1);
  await using other = serviceWith({ beside: api });
  sink.answer = async () => {
    assert.equal((await other.as("olga", "organizer").post(`/webhooks/${id}/disable`)).status, 200);
    return new Response(null, { status: 500 });
  };
  await owner.post(`/webhooks/${id}/test`);
  const admin = api.as("root", "admin");
  await until(async () =>
    (await itemsOf(admin, `/dead-letters?kind=webhook&key=${id}`)).length === 1
  );
  assert.equal(sink.received.length, 2);
  const [letter] = await itemsOf(admin, `/dead-letters?kind=webhook&key=${id}`);
  assert.equal(letter.error, "DeliveryFailure: The endpoint is disabled by its owner");
});

Deno.test("an endpoint that failed for all attempts is disabled, and all that waited are letters", async () => {
  await using api = serviceWith();
  await using sink = new Sink();
  const [owner, admin] = [api.as("olga", "organizer"), api.as("root", "admin")];
  sink.answer = () => new Response(null, { status: 302, headers: { location: sink.url("/ok") } });
  const { id } = await endpoint(owner, sink.url("/moved"));
  await published(owner);
  const letters = () => itemsOf(admin, `/dead-letters?kind=webhook&key=${id}`);
  await until(async () => (await letters()).length === 2);
  const [first, second] = await letters();
  assert.equal(first.error, "DeliveryFailure: It answered 302: redirects are not followed");
  assert.equal(first.attempts, 3);
  assert.equal(second.error, "DeliveryFailure: The endpoint is disabled: it failed for days");
  assert.equal(sink.at("/moved").length, 3);
  assert.equal(sink.at("/ok").length, 0);
  assert.equal((await owner.get(`/webhooks/${id}`)).body.disabledBecause, "failing");
});

Deno.test("a list shows a write that led to no event, also where nobody listens", async () => {
  await using api = new Api(unheard, {
    consistencyWaitMs: 5_000,
    webhooks: { resolve: () => Promise.resolve(["1.1.1.1"]) },
  });
  const owner = api.as("olga", "organizer");
  const { id } = await endpoint(owner, "https://a.example/");
  await owner.post(`/webhooks/${id}/disable`);
  const again = await owner.post(`/webhooks/${id}/disable`, undefined, { "Idempotency-Key": "k" });
  assert.equal(again.body.version, 2);
  const [listed] = await itemsOf(owner, "/webhooks", since(again));
  assert.equal(listed.status, "disabled");
});
