/**
 * A flow of a thousand children over two processes that are killed and frozen again and again, on a
 * database server that is stopped, killed and started meanwhile.
 */
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
import { openServerDatabase } from "../support/database.ts";
import { number, sum } from "../support/flow_jobs.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import {
  assertNothingIsLeft,
  type Fault,
  insist,
  type PlannedFault,
  plannedFaults,
  StrickenCluster,
} from "../support/stricken_cluster.ts";

const CHILDREN = 1_000;
const NODES = 2;
const KEY = "a-thousand";
const LEASE_MS = 500;
/** What has not moved by then never will. */
const STUCK_MS = 20_000;
/** Decides what goes wrong, where, and after how many events. */
const SEED = Number(Deno.env.get("FLOW_SEED") ?? 1);
const FAULTS = Number(Deno.env.get("FLOW_FAULTS") ?? 8);
/** Begun, the children ended, and their parent enqueued: its job is the last. */
const LAST_JOB = CHILDREN + 2;
const EVENTS = LAST_JOB + 2;

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

async function versionOf(db: Kysely<Tables>, key: string): Promise<number> {
  const [row] = await insist(
    db,
    sql<{ version: number }>`
      select version from actor where kind = ${Flow.kind} and key = ${key}`,
    STUCK_MS,
  );
  return Number(row?.version ?? 0);
}

async function count(db: Kysely<Tables>, table: "outbox"): Promise<number> {
  const query = sql<{ count: number }>`select count(*) from ${sql.table(table)}`;
  return Number((await insist(db, query, STUCK_MS))[0]!.count);
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + STUCK_MS;
  while (!await isSo()) {
    if (performance.now() > limit) throw new Error(`Stuck: ${what}`);
    await systemEnv.sleep(10);
  }
}

/** Faults all along the way, and the worst of them while the last job runs. */
function faults(): readonly PlannedFault[] {
  const plan = { seed: SEED, nodes: NODES, leaseMs: LEASE_MS };
  const last: readonly Fault[] = [
    { is: "crash", node: 0 },
    // It may be in either's hands.
    { is: "crash", node: 1 },
    { is: "restart", mode: "immediate", downMs: LEASE_MS },
  ];
  return [
    ...plannedFaults({ ...plan, faults: FAULTS, upTo: CHILDREN }),
    ...last.map((fault) => ({ after: LAST_JOB, fault })),
  ];
}

async function endsThroughFaults(): Promise<void> {
  await using server = await OwnPostgres.start();
  await using database = await openDatabase({ url: server.url, poolMax: 1 });
  const { db } = database;
  await migrateToLatest(database.maintenance, migrations);
  const children = Array.from({ length: CHILDREN }, () => -1);
  const correlationId = await startFlow(database, KEY, children);

  await using cluster = await StrickenCluster.start({
    server,
    db,
    program: "tests/support/flow_node.ts",
    nodes: NODES,
    leaseMs: LEASE_MS,
    pollMs: 20,
  });
  for (const { after, fault } of faults()) {
    await until(`before event ${after}`, async () => await versionOf(db, KEY) >= after);
    await cluster.strike(fault);
  }
  await cluster.recovered();
  await until("its end", async () => await versionOf(db, KEY) >= EVENTS);
  await until("all is handled", async () => await count(db, "outbox") === 0);
  await cluster.end();
  await assertNothingIsLeft(database, LEASE_MS);
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
}

Deno.test("a thousand children on nodes and a server that fail: one end, with every result", async () => {
  try {
    await endsThroughFaults();
  } catch (error) {
    console.error(`FLOW_SEED=${SEED} FLOW_FAULTS=${FAULTS}`);
    throw error;
  }
});

Deno.test("the widest and largest flow begins with one commit", async () => {
  await using database = await openServerDatabase({});
  await migrateToLatest(database.maintenance, migrations);
  // As many under the root as there may be, and as many under the first of them.
  const children = Array.from({ length: NODES_MAX - 1 }, (_, n) => n < CHILDREN_MAX ? -1 : 0);
  await startFlow(database, KEY, children);
  assert.equal(await versionOf(database.db, KEY), 1);
  assert.equal(await count(database.db, "outbox"), NODES_MAX - 2);
});
