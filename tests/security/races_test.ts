/** Many at once for one thing: nobody gets what is not there, nobody gets what is another's. */
import assert from "node:assert/strict";
import {
  type Answer,
  Api,
  assertProblem,
  type Client,
  draft,
  plan,
  published,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const AT_ONCE = 100;
const RACE = 10_000;
/** Requests of that race under way at a time. */
const RACERS = 50;

function times<Result>(count: number, make: (n: number) => Result): Result[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

function statusesOf(answers: readonly Answer[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

Deno.test("of a hundred at once for the last seat one has it, and the others are told that it is gone", async () => {
  await using api = new Api(database);
  await using other = api.anotherNode();
  const organizer = api.as("otto", "organizer");
  const event = await published(organizer, { capacity: 1, waitlistCapacity: 0 });
  const answers = await Promise.all(
    times(
      AT_ONCE,
      (n) => (n % 2 === 0 ? api : other).as(`guest-${n}`).post(`${event}/registrations`, {}),
    ),
  );
  assert.deepEqual(statusesOf(answers), { 201: 1, 409: AT_ONCE - 1 });
  for (const answer of answers) {
    if (answer.status === 409) assertProblem(answer, 409, "/problems/live-event/sold-out");
  }
  const { body } = await organizer.get(event, { "cache-control": "no-cache" });
  assert.equal(body.confirmed, 1, JSON.stringify(body));
});

Deno.test("a hundred at once under one key have one effect and hear of nothing else", async () => {
  await using api = new Api(database);
  await using other = api.anotherNode();
  const event = await published(api.as("otto", "organizer"), { capacity: AT_ONCE });
  const key = { "idempotency-key": "once" };
  const answers = await Promise.all(
    times(
      AT_ONCE,
      (n) => (n % 2 === 0 ? api : other).as("greta").post(`${event}/registrations`, {}, key),
    ),
  );
  const done = answers.filter(({ status }) => status === 201);
  assert(done.length >= 1);
  assert.equal(new Set(done.map(({ body }) => body.registrationId)).size, 1);
  for (const answer of answers.filter((answer) => !done.includes(answer))) {
    assertProblem(answer, 409, "/problems/idempotency-key-in-progress");
  }
  const { body } = await api.as("otto").get(event, { "cache-control": "no-cache" });
  assert.equal(body.confirmed, 1, JSON.stringify(body));
});

Deno.test("a key of one caller is no key of another: each has an effect of their own", async () => {
  await using api = new Api(database);
  const key = { "idempotency-key": "the-same-for-all" };
  const answers = await Promise.all(
    times(AT_ONCE, (n) => api.as(`otto-${n}`, "organizer").post("/events", plan(), key)),
  );
  assert.deepEqual(statusesOf(answers), { 201: AT_ONCE });
  assert.equal(new Set(answers.map(({ body }) => body.id)).size, AT_ONCE);
});

interface Owner {
  readonly client: Client;
  readonly canary: string;
}

Deno.test("10,000 requests of two people for the same URLs: each answer is its caller's", async () => {
  await using api = new Api(database);
  const event = await published(api.as("otto", "organizer"), { capacity: RACE });
  const owners = await Promise.all(["mia", "noa"].map(async (name): Promise<Owner> => {
    const client = api.as(name, "trader", "organizer");
    const answer = await client.post(`${event}/registrations`, {});
    const amount = name === "mia" ? "1111.11" : "2222.22";
    const deposit = { amount, currency: "USD" };
    assert.equal((await client.post("/accounts/deposits", deposit)).status, 200);
    return { client, canary: `${answer.body.registrationId}|${amount}` };
  }));
  const canaries = owners.map(({ canary }) => canary.split("|") as [string, string]);
  const [registration, cash] = [0, 1];
  // The same address, the same version, the same query: only who asks is another.
  const urls = [[`${event}/registrations/me`, registration], ["/accounts/me", cash]] as const;
  let asked = 0;
  const ask = async () => {
    for (let n = asked++; n < RACE; n = asked++) {
      const who = n % 2;
      const [url, which] = urls[(n >> 1) % urls.length]!;
      const { status, text } = await owners[who]!.client.get(url);
      assert.equal(status, 200, text);
      assert(text.includes(canaries[who]![which]!), text);
      assert(!text.includes(canaries[1 - who]![which]!), text);
    }
  };
  await Promise.all(times(RACERS, ask));
});

Deno.test("what one has just read is not shown to another, whatever their headers say", async () => {
  await using api = new Api(database);
  const mia = api.as("mia", "organizer");
  const secret = `canary-${crypto.randomUUID()}`;
  const hidden = await draft(mia, { title: secret });
  const warm = await mia.get(hidden);
  assert.equal(warm.body.title, secret);
  const etag = warm.headers.get("etag")!;
  const noa = api.as("noa", "organizer");
  const poisons: readonly Record<string, string>[] = [
    {},
    { "if-none-match": etag },
    { "if-none-match": "*" },
    { "x-forwarded-host": "troupe.example" },
    { "x-original-url": `/api/v1${hidden}` },
    { "x-rewrite-url": `/api/v1${hidden}` },
    { "x-http-method-override": "GET" },
    { "x-user-id": mia.id },
    { "x-forwarded-user": mia.id },
    { "cookie": `token=${mia.id}` },
    { "cache-control": "only-if-cached" },
    { "range": "bytes=0-" },
  ];
  for (const headers of poisons) {
    for (const path of [hidden, `${hidden}/history`]) {
      const answer = await noa.get(path, headers);
      assertProblem(answer, 404, "/problems/live-event/not-found");
      assert(!answer.text.includes(secret));
    }
    const { text } = await noa.get("/events", headers);
    assert(!text.includes(secret));
  }
  assert.equal((await mia.get(hidden)).body.title, secret, "and it is still there for her");
});
