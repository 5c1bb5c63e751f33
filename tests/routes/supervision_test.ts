/** What administrators see of what was kept away because it failed, and letting it go on. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import type { Cause } from "../../lib/runtime/envelope.ts";
import { defaultRootStrategy } from "../../lib/runtime/supervision.ts";
import {
  type ActorStrategy,
  defaultActorStrategy,
  Quarantined,
} from "../../lib/runtime/supervisor.ts";
import { ACTORS_SHOWN_MAX } from "../../routes/supervision_views.ts";
import { Api, assertProblem } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import * as Counter from "../support/counter.ts";

const database = await databaseOfThisFile();

const NOT_FOUND = "/problems/not-in-quarantine";
const SUPERVISION = "/supervision";

/** A node with counters, which are put into quarantine by their first failure. */
function apiWithCounters(strategy: Partial<ActorStrategy> = {}): Api {
  const api = new Api(database);
  api.system.host(Counter, { restartsMax: 0, ...strategy });
  return api;
}

function cause(): Cause {
  const messageId = crypto.randomUUID();
  return {
    messageId,
    correlationId: messageId,
    causationId: messageId,
    principal: { id: "ana", roles: [] },
    deadline: Infinity,
  };
}

async function ask(api: Api, key: string, command: Counter.Command): Promise<unknown> {
  return await api.system.ask(Counter, key, command, cause(), () => null);
}

async function spoil(api: Api, key: string): Promise<void> {
  await assert.rejects(ask(api, key, { type: "Explode", where: "decide" }), RangeError);
}

function newKey(): string {
  return crypto.randomUUID();
}

async function counters(api: Api) {
  const { status, body, text } = await api.as("root", "admin").get(SUPERVISION);
  assert.equal(status, 200, text);
  return body.supervisors.find(({ kind }: { kind: string }) => kind === "counter");
}

async function audited(subject: string): Promise<readonly string[]> {
  const { rows } = await sql<{ principal: string; act: string }>`
    select principal, act from audit where subject = ${subject} order by id`.execute(database.db);
  return rows.map(({ principal, act }) => `${principal}: ${act}`);
}

/** The store forgets what it had acknowledged. */
async function lose(key: string): Promise<void> {
  await sql`delete from event where kind = 'counter' and key = ${key}`.execute(database.db);
  await sql`delete from actor where kind = 'counter' and key = ${key}`.execute(database.db);
}

Deno.test("supervision is for administrators alone", async () => {
  await using api = apiWithCounters();
  const key = newKey();
  await spoil(api, key);
  const requests = [
    ["GET", SUPERVISION],
    ["POST", `${SUPERVISION}/quarantine/counter/${key}/release`],
    ["POST", `${SUPERVISION}/quarantine/counter/release`],
    ["POST", `${SUPERVISION}/data-loss/acknowledge`],
  ] as const;
  for (const [method, path] of requests) {
    for (const caller of [api.as("olga", "organizer"), api.as("ben")]) {
      assertProblem(await caller.send(method, path), 403, "/problems/forbidden");
    }
    const nobody = await api.bearing(undefined).send(method, path);
    assertProblem(nobody, 401, "/problems/unauthenticated");
  }
  assert.equal((await counters(api)).quarantined, 1);
  assert.deepEqual(await audited(`actor/counter/${key}`), []);
});

Deno.test("the tree shows what each supervisor keeps to, and the state of all workers", async () => {
  await using api = apiWithCounters();
  const { body } = await api.as("root", "admin").get(SUPERVISION);
  assert.deepEqual([body.strategy, body.escalations, body.dataLoss], [
    defaultRootStrategy,
    0,
    undefined,
  ]);
  const supervisors = body.supervisors as readonly { kind: string }[];
  assert.deepEqual(supervisors.map(({ kind }) => kind).toSorted(), [
    "account",
    "counter",
    "flow",
    "live_event",
    "login_name",
    "market",
    "order",
    "portfolio",
    "rebalancing",
    "risk",
    "schedule",
    "user",
    "webhook_endpoint",
  ]);
  assert.deepEqual(supervisors.find(({ kind }) => kind === "flow"), {
    kind: "flow",
    strategy: defaultActorStrategy,
    restarts: 0,
    quarantined: 0,
    actors: [],
  });
  const workers = body.workers as readonly { name: string; state: string }[];
  const names = workers.map(({ name }) => name);
  for (
    const name of [
      "outbox",
      "outbox/outside",
      "jobs",
      "projection/live_event_listing",
      "revocations",
    ]
  ) {
    assert(names.includes(name), name);
  }
  for (const { name, state } of workers) assert.equal(state, "running", name);
});

Deno.test("who is in quarantine is shown with the reason, and goes on once released", async () => {
  await using api = apiWithCounters();
  const key = `a/b ${newKey()}`;
  const before = Date.now();
  await ask(api, key, { type: "Add", amount: 1 });
  await spoil(api, key);
  await assert.rejects(ask(api, key, { type: "Add", amount: 1 }), Quarantined);
  const { actors, quarantined, restarts } = await counters(api);
  const [{ since, until, ...rest }] = actors;
  assert.deepEqual([quarantined, restarts, actors.length], [1, 0, 1]);
  assert.deepEqual(rest, { key, why: "RangeError: decide exploded" });
  assert(Date.parse(since) >= before - 1);
  assert.equal(Date.parse(until) - Date.parse(since), defaultActorStrategy.quarantineMs);

  const root = api.as("root", "admin");
  const release = `${SUPERVISION}/quarantine/counter/${encodeURIComponent(key)}/release`;
  assert.equal((await root.post(release)).status, 204);
  await ask(api, key, { type: "Add", amount: 1 });
  assert.deepEqual(await audited(`actor/counter/${key}`), [`${root.id}: quarantine release`]);
  assert.equal((await counters(api)).quarantined, 0);
  assertProblem(await root.post(release), 404, NOT_FOUND);
  assert.equal((await audited(`actor/counter/${key}`)).length, 1);
});

Deno.test("nothing is released that is not in quarantine here", async () => {
  await using api = apiWithCounters();
  await using other = apiWithCounters();
  const key = newKey();
  await spoil(other, key);
  const root = api.as("root", "admin");
  for (const place of [`counter/${key}`, "counter", "nonsense/a", "nonsense"]) {
    const answer = await root.post(`${SUPERVISION}/quarantine/${place}/release`);
    assertProblem(answer, 404, NOT_FOUND);
  }
  const strange = await root.post(`${SUPERVISION}/quarantine/counter/release`, { force: true });
  assertProblem(strange, 400, "/problems/invalid-request");
  assert.equal((await counters(other)).quarantined, 1);
});

Deno.test("what cannot be written down is not done", async () => {
  await using api = apiWithCounters();
  const key = newKey();
  await spoil(api, key);
  const subject = `actor/counter/${key}`;
  await sql`alter table audit add constraint closed check (subject <> ${sql.lit(subject)})`
    .execute(database.db);
  try {
    const path = `${SUPERVISION}/quarantine/counter/${key}/release`;
    const { status } = await api.as("root", "admin").post(path);
    assert(status >= 500);
  } finally {
    await sql`alter table audit drop constraint closed`.execute(database.db);
  }
  assert.equal((await counters(api)).quarantined, 1);
  api.bugs.length = 0;
});

Deno.test("of very many in quarantine the first are shown, and how many there are", async () => {
  await using api = apiWithCounters({ quarantinedMax: 1_000 });
  const keys = Array.from({ length: ACTORS_SHOWN_MAX + 1 }, newKey);
  for (const key of keys) await spoil(api, key);
  const { actors, quarantined } = await counters(api);
  assert.deepEqual([quarantined, actors.length], [ACTORS_SHOWN_MAX + 1, ACTORS_SHOWN_MAX]);
});

Deno.test("a kind that is stopped is shown, in health as well, and released by hand", async () => {
  await using api = apiWithCounters({ quarantinedMax: 0 });
  const anyone = api.bearing(undefined);
  const key = newKey();
  await spoil(api, key);
  await assert.rejects(ask(api, newKey(), { type: "Add", amount: 1 }), Quarantined);
  assert.equal((await counters(api)).stopped.why, "RangeError: decide exploded");
  assert.deepEqual((await anyone.get("/health/ready")).body.supervision, {
    quarantined: 1,
    stoppedKinds: ["counter"],
    isDataLost: false,
  });
  const root = api.as("root", "admin");
  assert.equal((await root.post(`${SUPERVISION}/quarantine/counter/release`)).status, 204);
  await ask(api, newKey(), { type: "Add", amount: 1 });
  assert.deepEqual((await anyone.get("/health/ready")).body.supervision, {
    quarantined: 1,
    stoppedKinds: [],
    isDataLost: false,
  });
  assert((await audited("kind/counter")).includes(`${root.id}: quarantine release`));
});

Deno.test("lost events are shown, in health as well, until somebody has seen to it", async () => {
  await using api = apiWithCounters();
  const root = api.as("root", "admin");
  const acknowledge = () => root.post(`${SUPERVISION}/data-loss/acknowledge`);
  const isDataLost = async () =>
    (await api.bearing(undefined).get("/health/ready")).body.supervision.isDataLost;
  assertProblem(await acknowledge(), 404, "/problems/no-data-loss");
  const key = newKey();
  await ask(api, key, { type: "Add", amount: 1 });
  await lose(key);
  await assert.rejects(ask(api, key, { type: "Add", amount: 1 }), /lost events/);
  assert.equal(await isDataLost(), true);
  const { dataLoss, escalations } = (await root.get(SUPERVISION)).body;
  assert.deepEqual([escalations, dataLoss.actors], [1, 1]);
  assert.match(dataLoss.error, /is known at 1, stored at 0/);
  assert.equal((await acknowledge()).status, 204);
  assert.equal(await isDataLost(), false);
  assert.equal((await root.get(SUPERVISION)).body.dataLoss, undefined);
  assertProblem(await acknowledge(), 404, "/problems/no-data-loss");
  assert((await audited("node/data-loss")).includes(`${root.id}: data-loss acknowledge`));
  await ask(api, key, { type: "Add", amount: 1 });
});
