/** Jobs on processes that are killed, frozen and told to stop, all of them amid their work. */
import assert from "node:assert/strict";
import { type Kysely, sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import { enqueue } from "../../lib/jobs/job.ts";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { PostgresJobQueue } from "../../lib/postgres/job_queue.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { Tables } from "../../lib/postgres/tables.ts";
import { migrations } from "../../migrations/all.ts";
import * as Counter from "../support/counter.ts";
import { createServerDatabase } from "../support/database.ts";
import { bounded, counterOf, COUNTERS, free } from "../support/job_effects.ts";
import { RingProcess } from "../support/ring_process.ts";
import { VirtualEnv } from "../support/virtual_env.ts";

/** At most as many as the counters count: 6,000 are for a run by hand. */
const JOBS = Number(Deno.env.get("CRASH_JOBS") ?? 3_000);
/** Decides what goes wrong, where, and after how many jobs; not who is doing what just then. */
const SEED = Number(Deno.env.get("CRASH_SEED") ?? 1);
const FAULTS = Math.ceil(JOBS / 200);
const NODES = 3;
const LEASE_MS = 1_000;
/** What has not moved by then never will. */
const STUCK_MS = 20_000;

type Fault = "crash" | "freeze" | "replacement";

interface PlannedFault {
  readonly afterJobs: number;
  readonly node: number;
  readonly fault: Fault;
  readonly frozenMs: number;
}

function plannedFaults(): readonly PlannedFault[] {
  const chance = new VirtualEnv(SEED);
  const upTo = (limit: number) => Math.floor(chance.random() * limit);
  const faults: readonly Fault[] = ["crash", "freeze", "replacement"];
  return Array.from({ length: FAULTS }, (_, n): PlannedFault => ({
    afterJobs: upTo(0.95 * JOBS),
    node: upTo(NODES),
    // Each comes; which comes where is chance.
    fault: faults[n % faults.length]!,
    frozenMs: LEASE_MS + upTo(LEASE_MS),
  })).sort((a, b) => a.afterJobs - b.afterJobs);
}

async function prepared(database: Database): Promise<void> {
  await migrateToLatest(database.maintenance, migrations);
  await sql`create table effect (n integer primary key)`.execute(database.maintenance);
  await new PostgresJobQueue(database).enqueue(Array.from({ length: JOBS }, (_, n) => {
    const id = systemEnv.uuid();
    return {
      delayMs: 0,
      ...enqueue(n % 3 === 0 ? bounded : free, { n }, { priority: n % 10 }),
      messageId: id,
      correlationId: id,
      causationId: id,
      principal: { id: "test", roles: [] },
    };
  }));
}

async function count(db: Kysely<Tables>, table: string): Promise<number> {
  const { rows } = await sql<{ count: number | bigint | string }>`
    select count(*) from ${sql.table(table)}`.execute(db);
  return Number(rows[0]!.count);
}

async function until(db: Kysely<Tables>, isSo: () => Promise<boolean>): Promise<void> {
  let [done, movedAt] = [-1, performance.now()];
  while (!await isSo()) {
    const now = await count(db, "finished_job");
    if (now > done) [done, movedAt] = [now, performance.now()];
    if (performance.now() - movedAt > STUCK_MS) throw new Error(`Stuck at ${done} of ${JOBS}`);
    await systemEnv.sleep(10);
  }
}

async function worksThroughFaults(): Promise<void> {
  await using created = await createServerDatabase();
  const { url } = created;
  await using database = await openDatabase({ url, allowUnsafe: true });
  await prepared(database);
  const { db } = database;
  const variables = {
    DATABASE_URL: url,
    RELAY_LEASE_MS: String(LEASE_MS),
    RELAY_POLL_MS: "50",
  };
  const start = () => RingProcess.start(variables, "tests/support/job_node.ts");
  await using cluster = new AsyncDisposableStack();
  const nodes = await Promise.all(Array.from({ length: NODES }, start));
  cluster.defer(async () => {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
  });
  /** At each place one thing goes wrong at a time. */
  const recovered = nodes.map(() => Promise.resolve());
  for (const { afterJobs, node: place, fault, frozenMs } of plannedFaults()) {
    await until(db, async () => await count(db, "effect") >= afterJobs);
    await recovered[place];
    recovered[place] = recovery(nodes, place, { fault, frozenMs, start });
    // Whoever waits for the place hears of it.
    recovered[place]!.catch(() => {});
  }
  await Promise.all(recovered);
  await until(db, async () => await count(db, "outbox") === 0);
  await Promise.all(nodes.map((node) => node.end()));
  await assertEachDoneOnce(database);
}

async function recovery(
  nodes: RingProcess[],
  place: number,
  { fault, frozenMs, start }: {
    readonly fault: Fault;
    readonly frozenMs: number;
    readonly start: () => Promise<RingProcess>;
  },
): Promise<void> {
  const node = nodes[place]!;
  if (fault === "freeze") {
    node.freeze();
    await systemEnv.sleep(frozenMs);
    return node.thaw();
  }
  await (fault === "crash" ? node.crash() : node.end());
  nodes[place] = await start();
}

async function assertEachDoneOnce(database: Database): Promise<void> {
  const { db } = database;
  const tables = ["effect", "finished_job", "dead_letter", "outbox", "running_job"];
  const counts = await Promise.all(tables.map(async (table) => [table, await count(db, table)]));
  assert.deepEqual(Object.fromEntries(counts), {
    effect: JOBS,
    finished_job: JOBS,
    dead_letter: 0,
    outbox: 0,
    running_job: 0,
  });
  const { rows } = await sql<{ ids: number; results: number; begun: number }>`
    select count(distinct message_id) as ids, count(distinct result) as results,
      sum(attempts) as begun
    from finished_job where cancelled_by is null`.execute(db);
  assert.deepEqual([Number(rows[0]!.ids), Number(rows[0]!.results)], [JOBS, JOBS]);
  assert(Number(rows[0]!.begun) > JOBS, "nothing came amid a job");
  const store = new PostgresEventStore(database);
  const counted = await Promise.all(Array.from({ length: COUNTERS }, async (_, n) => {
    const stream = await store.readStream({ kind: Counter.kind, key: counterOf(n) });
    return stream.length;
  }));
  const expected = Array.from({ length: COUNTERS }, (_, n) => Math.ceil((JOBS - n) / COUNTERS));
  assert.deepEqual(counted, expected);
}

Deno.test("whatever is killed, frozen or told to stop, each job has its effects once", async () => {
  try {
    await worksThroughFaults();
  } catch (error) {
    console.error(`CRASH_SEED=${SEED} CRASH_JOBS=${JOBS}`);
    throw error;
  }
});
