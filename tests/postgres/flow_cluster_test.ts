/** A flow of a thousand children over two processes that are killed again and again. */
import assert from "node:assert/strict";
import { type Kysely, sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import * as Flow from "../../lib/jobs/flow/aggregate.ts";
import { CHILDREN_MAX, NODES_MAX, planFlow } from "../../lib/jobs/flow/plan.ts";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { Tables } from "../../lib/postgres/tables.ts";
import { ActorSystem } from "../../lib/runtime/system.ts";
import { readEvent } from "../../lib/runtime/turn.ts";
import { migrations } from "../../migrations/all.ts";
import { createServerDatabase, openServerDatabase } from "../support/database.ts";
import { number, sum } from "../support/flow_jobs.ts";
import { RingProcess } from "../support/ring_process.ts";

const CHILDREN = 1_000;
const NODES = 2;
const KEY = "a-thousand";
const LEASE_MS = 500;
/** What has not moved by then never will. */
const STUCK_MS = 20_000;
/** After so many events a node is killed: all along the way, and while the last job runs. */
const KILLS = [20, 120, 260, 400, 530, 700, 850, 990, CHILDREN + 2];

const catalog = new Map([number, sum].map((job) => [job.type, job]));

/** Starts the flow in a process that does nothing else for it. */
async function startFlow(database: Database, key: string, children: readonly number[]) {
  const nodes = [{ name: "root", type: sum.type, payload: {} }];
  const planning = planFlow([
    ...nodes,
    ...children.map((parent, n) => ({
      name: `${n}`,
      parent: parent < 0 ? "root" : `${parent}`,
      type: number.type,
      payload: { n },
    })),
  ], catalog);
  assert("plan" in planning, JSON.stringify(planning));
  const store = new PostgresEventStore(database);
  await using system = new ActorSystem({ env: systemEnv, store, observe() {} });
  system.host(Flow);
  const id = systemEnv.uuid();
  const cause = {
    messageId: id,
    correlationId: id,
    causationId: id,
    principal: { id: "test", roles: [] },
    deadline: systemEnv.monotonic() + 30_000,
  };
  const command = { type: "Start", nodes: planning.plan } as const;
  const { accepted } = await system.ask(Flow, key, command, cause, () => null);
  assert(accepted);
  return id;
}

async function versionOf(db: Kysely<Tables>): Promise<number> {
  const row = await db.selectFrom("actor").select("version")
    .where("kind", "=", Flow.kind).where("key", "=", KEY).executeTakeFirst();
  return Number(row?.version ?? 0);
}

async function count(db: Kysely<Tables>, table: "outbox" | "dead_letter"): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) from ${sql.table(table)}`
    .execute(db);
  return Number(rows[0]!.count);
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + STUCK_MS;
  while (!await isSo()) {
    if (performance.now() > limit) throw new Error(`Stuck: ${what}`);
    await systemEnv.sleep(10);
  }
}

Deno.test("a thousand children on nodes that are killed: one end, with every result", async () => {
  await using created = await createServerDatabase();
  const { url } = created;
  await using database = await openDatabase({ url, allowUnsafe: true });
  await migrateToLatest(database.maintenance, migrations);
  const children = Array.from({ length: CHILDREN }, () => -1);
  const correlationId = await startFlow(database, KEY, children);

  const variables = {
    DATABASE_URL: url,
    RELAY_LEASE_MS: String(LEASE_MS),
    RELAY_POLL_MS: "20",
  };
  const start = () => RingProcess.start(variables, "tests/support/flow_node.ts");
  await using cluster = new AsyncDisposableStack();
  const nodes = await Promise.all(Array.from({ length: NODES }, start));
  cluster.defer(async () => {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
  });
  const { db } = database;
  for (const [index, events] of KILLS.entries()) {
    await until(`${await versionOf(db)} of ${events}`, async () => await versionOf(db) >= events);
    // The last job is in either's hands: then both go.
    const struck = events > CHILDREN ? [0, 1] : [index % NODES];
    await Promise.all(struck.map(async (place) => {
      await nodes[place]!.crash();
      nodes[place] = await start();
    }));
  }
  const EVENTS = 1 + CHILDREN + 2 + 1;
  await until("its end", async () => await versionOf(db) >= EVENTS);
  await until("all is handled", async () => await count(db, "outbox") === 0);
  await Promise.all(nodes.map((node) => node.end()));
  assert.equal(await count(db, "dead_letter"), 0);
  const { rows } = await sql<{ jobs: number; begun: number }>`
    select count(*) as jobs, sum(attempts) as begun from finished_job`.execute(db);
  assert.equal(rows[0]!.jobs, CHILDREN + 1);
  assert(rows[0]!.begun > CHILDREN + 1, "no kill came amid a job");

  const stored = await new PostgresEventStore(database).readStream({ kind: Flow.kind, key: KEY });
  assert.equal(stored.length, EVENTS);
  assert.deepEqual(new Set(stored.map((event) => event.correlationId)), new Set([correlationId]));
  const events = stored.map((event) => readEvent(Flow, event));
  const results = events.flatMap((event) => event.type === "NodeCompleted" ? [event.result] : []);
  const total = CHILDREN * (CHILDREN - 1) / 2;
  assert.deepEqual(
    new Set(results),
    new Set([...children.keys(), total]),
  );
  assert.deepEqual(events.slice(-3).map(({ type }) => type), [
    "NodeEnqueued",
    "NodeCompleted",
    "FlowCompleted",
  ]);
  assert.deepEqual(events.at(-1), { type: "FlowCompleted", result: total });
});

Deno.test("the widest and largest flow begins with one commit", async () => {
  await using database = await openServerDatabase({});
  await migrateToLatest(database.maintenance, migrations);
  // As many under the root as there may be, and as many under the first of them.
  const children = Array.from({ length: NODES_MAX - 1 }, (_, n) => n < CHILDREN_MAX ? -1 : 0);
  await startFlow(database, KEY, children);
  assert.equal(await versionOf(database.db), 1);
  assert.equal(await count(database.db, "outbox"), NODES_MAX - 2);
});
