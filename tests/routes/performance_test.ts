/** What administrators see of breakers, load and mode; and what callers see of shedding. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { TransientFault } from "../../lib/fault.ts";
import type { Database } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { Dependency } from "../../lib/resilience/dependency.ts";
import { migrations } from "../../migrations/all.ts";
import { type Answer, Api, assertProblem, published } from "../support/api.ts";
import { openMemoryDatabase } from "../support/database.ts";
import type { Gate } from "../support/faulty_store.ts";
import { VirtualEnv } from "../support/virtual_env.ts";
import { faultsIn } from "../security/header_grade.ts";

const RESILIENCE = "/performance/resilience";
const RESET = "/performance/reset-circuit-breakers";

/** A database of a test's own, as sessions are dropped; what is lost is probed when time passes. */
async function openDegradable(env = new VirtualEnv()): Promise<Database> {
  await using opening = new AsyncDisposableStack();
  const database = opening.use(await openMemoryDatabase({ env }));
  await migrateToLatest(database.maintenance, migrations);
  opening.move();
  return database;
}

/** Resolves once it is open, as it stays although the database is there. */
function opened(dependency: Dependency): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  dependency.onChange(({ state }) => state === "open" && resolve());
  for (const _ of [1, 2, 3]) dependency.failed(new TransientFault("as if it were away"), 1_000);
  return promise;
}

Deno.test("administrators see every breaker, the load, and the mode", async () => {
  await using database = await openDegradable();
  await using api = new Api(database);
  const { status, body, headers } = await api.as("root", "admin").get(RESILIENCE);
  assert.equal(status, 200);
  assert.equal(headers.get("service-mode"), "normal");
  const { mode, because, breakers, bulkheads, retries, load } = body;
  assert.deepEqual([mode, because], ["normal", []]);
  const names = breakers.map((
    { name, state, failures }: DependencyView,
  ) => [name, state, failures]);
  assert.deepEqual(names, [["database", "closed", 0], ["database-writing", "closed", 0]]);
  assert.deepEqual(bulkheads, [{ name: "queries", running: 0, waiting: 0, refused: 0 }]);
  assert.deepEqual(Object.keys(retries), ["left", "refused"]);
  assert.deepEqual([load.level, load.refusedShare], [0, 0]);
});

interface DependencyView {
  readonly name: string;
  readonly state: string;
  readonly failures: number;
}

Deno.test("an operator resets a breaker, which is audited", async () => {
  await using database = await openDegradable();
  await using api = new Api(database);
  const { server, writing } = database.breakers;
  const root = api.as("root", "admin");
  await opened(server);
  const { body: open } = await root.get(RESILIENCE);
  assert.deepEqual([open.mode, open.because], ["read-only", ["database-away"]]);
  assert.equal(open.breakers[0].state, "open");
  assert.match(open.breakers[0].error, /as if it were away/);
  const { status, body } = await root.post(RESET, { name: "database" });
  assert.deepEqual([status, body], [200, { reset: ["database"] }]);
  assert(server.isAvailable);

  await opened(server);
  await opened(writing);
  assert.deepEqual((await root.post(RESET)).body, { reset: ["database", "database-writing"] });
  assert(server.isAvailable && writing.isAvailable);
  const { rows } = await sql<{ principal: string; subject: string; detail: unknown }>`
    select principal, subject, detail from audit where act = 'breaker reset' order by id`
    .execute(database.db);
  assert.deepEqual(rows, [
    { principal: root.id, subject: "breaker/database", detail: { reset: ["database"] } },
    {
      principal: root.id,
      subject: "breaker/*",
      detail: { reset: ["database", "database-writing"] },
    },
  ]);
  const seen = api.observed.filter(({ type }) => type === "breaker" || type === "mode");
  assert(seen.length >= 8);
});

Deno.test("a breaker that is not there cannot be reset, nor any by others", async () => {
  await using database = await openDegradable();
  await using api = new Api(database);
  const root = api.as("root", "admin");
  assertProblem(await root.post(RESET, { name: "printer" }), 404, "/problems/breaker-not-found");
  assertProblem(await root.post(RESET, { nome: "x" }), 400, "/problems/invalid-request");
  for (const caller of [api.as("olga", "organizer"), api.as("ben")]) {
    assert.equal((await caller.get(RESILIENCE)).status, 403);
    assert.equal((await caller.post(RESET)).status, 403);
  }
});

/** As `assertProblem`, but for what is said before anything is looked at. */
function assertRefusedAtTheDoor({ status, headers, body }: Answer, mode: string): void {
  assert.equal(status, 503);
  assert.equal(headers.get("content-type"), "application/problem+json");
  assert.equal(body.type, "/problems/unavailable");
  assert(Number(headers.get("retry-after")) >= 1);
  assert.equal(headers.get("service-mode"), mode);
  const header = (name: string) => headers.get(name) ?? undefined;
  assert.deepEqual(faultsIn({ header, isSecure: false, hasBody: true }), []);
}

function refusalOrNever(answer: Answer): Answer {
  if (answer.status !== 503) throw new Error("It was not refused");
  return answer;
}

/** Resolves once somebody stands before the gate. */
async function held(gate: Gate): Promise<void> {
  while (gate.held === 0) await new Promise((resolve) => setImmediate(resolve));
}

Deno.test("while the database is away, commands and lists are refused at the door", async () => {
  const env = new VirtualEnv();
  await using database = await openDegradable(env);
  await using api = new Api(database);
  const olga = api.as("olga", "organizer");
  const event = await published(olga);
  await opened(database.breakers.server);
  const nobody = api.bearing(undefined);
  const answers = await Promise.all([
    nobody.post("/events", {}),
    nobody.post(`${event}/registrations`, {}),
    nobody.get("/events"),
    nobody.get("/me/notices"),
  ]);
  const read = await olga.get(event);
  for (const answer of answers) assertRefusedAtTheDoor(answer, "read-only");
  assert.equal(read.status, 200);
  assert.match(read.headers.get("age")!, /^[0-9]+$/);
  assert.match(read.headers.get("cache-status")!, /^Troupe; hit; ttl=-[0-9]+$/);
  const back = Promise.withResolvers<void>();
  database.breakers.server.onChange(({ state }) => state === "closed" && back.resolve());
  await env.advance(1_500);
  await back.promise;
  const fresh = await olga.get(event);
  assert.deepEqual([fresh.headers.get("age"), fresh.headers.get("service-mode")], [null, "normal"]);
});

Deno.test("while nothing can be written, lists are still answered", async () => {
  await using database = await openDegradable();
  await using api = new Api(database);
  const olga = api.as("olga", "organizer");
  const event = await published(olga);
  await opened(database.breakers.writing);
  const refused = await olga.post(`${event}/cancel`);
  const [read, list] = [await olga.get(event), await olga.get("/events")];
  await api.as("root", "admin").post(RESET);
  assertRefusedAtTheDoor(refused, "read-only");
  assert.deepEqual([read.status, list.status], [200, 200]);
  assert(read.headers.has("age"));
});

Deno.test("a node that is about to end says so, is not ready, and serves on", async () => {
  await using database = await openDegradable();
  await using api = new Api(database);
  api.drain();
  const olga = api.as("olga", "organizer");
  const { status, body, headers } = await olga.get("/health/ready");
  assert.deepEqual([status, body.mode, body.because], [503, "draining", ["draining"]]);
  assert.equal(headers.get("service-mode"), "draining");
  await published(olga);
});

Deno.test("whoever comes when too many are under way is refused, lists before commands", async () => {
  await using database = await openDegradable();
  await using api = new Api(database, { shedding: { least: 8, few: 0 } });
  const olga = api.as("olga", "organizer");
  const event = await published(olga);
  const patch = (n: number) => olga.patch(event, { title: `Recital ${n}` });
  const gate = api.hold("commit");
  const first = Array.from({ length: 4 }, (_, n) => patch(n));
  await held(gate);
  assertRefusedAtTheDoor(await olga.get("/events"), "shedding");
  assert.equal((await olga.get(event)).status, 200);
  const rest = Array.from({ length: 8 }, (_, n) => patch(n));
  const refused = await Promise.any(rest.map((one) => one.then(refusalOrNever)));
  assertRefusedAtTheDoor(refused, "shedding");
  assert.equal((await api.as("root", "admin").get(RESILIENCE)).body.load.inFlight, 9);
  gate.release();
  const answers = await Promise.all([...first, ...rest]);
  const statuses = answers.map(({ status }) => status).toSorted();
  assert.deepEqual(statuses, [...Array(8).fill(200), ...Array(4).fill(503)]);
  assert.equal((await olga.get("/events")).status, 200);
});

Deno.test("under load lists are refused first, then commands, and reads and operators never", async () => {
  // Whatever is done takes too long for it.
  const shedding = { turnTargetMs: 1e-6, listsAfter: 1, commandsAfter: 1, calmAfter: 1, few: 0 };
  await using database = await openDegradable();
  await using api = new Api(database, { shedding });
  const olga = api.as("olga", "organizer");
  const root = api.as("root", "admin");
  const event = await published(olga);
  const press = () => olga.get(event, { "cache-control": "no-cache" });
  const until = async (isSo: () => Promise<boolean>) => {
    while (!await isSo()) await press();
  };
  const statuses = { list: 0, command: 0 };
  await until(async () => (statuses.list = (await olga.get("/events")).status) === 503);
  assertRefusedAtTheDoor(await olga.get("/events"), "shedding");
  await until(async () => {
    statuses.command = (await olga.patch(event, { title: "Louder" })).status;
    return statuses.command === 503;
  });
  assert.equal((await press()).status, 200);
  const { status, body } = await root.get(RESILIENCE);
  assert.equal(status, 200);
  assert.equal(body.mode, "shedding");
  assert(body.load.level === 2 && body.load.refusedShare > 0);

  // Once nothing is asked for but lists, nobody waits.
  while ((await olga.get("/events")).headers.get("service-mode") !== "normal") {
    // What is refused at the door waits for nothing, and the gauge would not get its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await olga.get("/events")).status, 200);
  const shed = new Map<string, number>();
  for (const event of api.observed) {
    if (event.type !== "shed") continue;
    shed.set(event.requestClass, (shed.get(event.requestClass) ?? 0) + event.requests);
  }
  assert(shed.get("list")! > 1 && shed.get("command")! > 0);
});
