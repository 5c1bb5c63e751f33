/** Jobs of several nodes on a server, by real clocks. */
import assert from "node:assert/strict";
import { type CompiledQuery, sql } from "kysely";
import { z } from "zod";
import { systemEnv } from "../../lib/env.ts";
import { defineJob, enqueue, type EnqueueOptions, type JobDefinition } from "../../lib/jobs/job.ts";
import type { QueueLimits } from "../../lib/jobs/job_queue.ts";
import { handles, JobWorker } from "../../lib/jobs/job_worker.ts";
import { openDatabase } from "../../lib/postgres/database.ts";
import { PostgresJobQueue } from "../../lib/postgres/job_queue.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { NewMessage } from "../../lib/runtime/store.ts";
import { migrations } from "../../migrations/all.ts";
import { createServerDatabase, openServerDatabase } from "../support/database.ts";
import { pagesOf, recording } from "../support/query_plans.ts";

const WORKERS = 3;
const STUCK_MS = 30_000;
/** Of a statement about a few jobs; a queue of 20,000 has more than ten times as many. */
const PAGES_MAX = 100;
const Numbered = z.object({ n: z.int() });
const job = defineJob({ type: "count", queue: "counting", payload: Numbered });

function newJob(of: JobDefinition<{ n: number }>, n: number, options: EnqueueOptions = {}) {
  const id = systemEnv.uuid();
  const ids = { messageId: id, correlationId: id, causationId: id };
  const message = enqueue(of, { n }, options);
  return { delayMs: 0, ...message, ...ids, principal: { id: "ana", roles: [] } };
}

/** Has them done by workers with sessions of their own, and ends once all are. */
async function done(
  asked: readonly NewMessage[],
  limits: QueueLimits,
  handle: (n: number) => Promise<void>,
): Promise<void> {
  await using created = await createServerDatabase();
  await using resources = new AsyncDisposableStack();
  const open = () => openDatabase({ url: created.url, poolMax: 4, allowUnsafe: true });
  const database = resources.use(await open());
  await migrateToLatest(database.maintenance, migrations);
  const queue = new PostgresJobQueue(database);
  await queue.enqueue(asked);
  for (let n = 0; n < WORKERS; n++) {
    const jobs = new PostgresJobQueue(resources.use(await open()));
    const bindings = [handles(job, async ({ n }) => {
      await handle(n);
    })];
    const options = { queue: job.queue, bindings, env: systemEnv, observe() {}, limits };
    resources.use(new JobWorker({ ...options, jobs, tuning: { pollMs: 50 } }).start());
  }
  const until = performance.now() + STUCK_MS;
  const list = { queue: job.queue, status: "completed", limit: asked.length } as const;
  while ((await queue.list(list)).length < asked.length) {
    assert(performance.now() < until, "not all were done");
    await systemEnv.sleep(50);
  }
}

Deno.test("over any window the workers of all nodes start no more than the rate allows", async () => {
  const rate = { max: 6, windowMs: 400 };
  const starts: number[] = [];
  const jobs = Array.from({ length: 60 }, (_, n) => newJob(job, n));
  await done(jobs, { rate }, async () => {
    starts.push(performance.now());
    await systemEnv.sleep(Math.random() * 20);
  });
  starts.slice(rate.max).forEach((at, index) => {
    const spanMs = at - starts[index]!;
    assert(spanMs >= rate.windowMs, `${rate.max + 1} were started within ${spanMs} ms`);
  });
});

Deno.test("no more run at a time than queue and keys allow, whichever node has them", async () => {
  const keys = ["a", "a", "a", "b", undefined];
  const jobs = Array.from({ length: 200 }, (_, n) => {
    const concurrencyKey = keys[n % keys.length];
    return newJob(job, n, concurrencyKey === undefined ? {} : { concurrencyKey });
  });
  const running: (string | undefined)[] = [];
  let [most, mostOfKey] = [0, 0];
  await done(jobs, { runningMax: 5, runningPerKeyMax: 2 }, async (n) => {
    const key = keys[n % keys.length];
    running.push(key);
    most = Math.max(most, running.length);
    for (const one of ["a", "b"]) {
      mostOfKey = Math.max(mostOfKey, running.filter((other) => other === one).length);
    }
    await systemEnv.sleep(Math.random() * 20);
    running.splice(running.indexOf(key), 1);
  });
  assert.deepEqual([most, mostOfKey], [5, 2]);
});

Deno.test("what is enqueued as its unique key becomes free is there, or another is", async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  const jobs = new PostgresJobQueue(database);
  const fleeting = defineJob({ ...job, retentionMs: 0 });
  const handled = new Set<string>();
  const bindings = [handles(fleeting, (_, { id }) => void handled.add(id))];
  const options = { queue: job.queue, bindings, jobs, env: systemEnv, observe() {} };
  await using worker = new JobWorker({ ...options, tuning: { pollMs: 1 } }).start();
  const enqueueing = Array.from({ length: 4 }, async () => {
    const found: string[] = [];
    for (let n = 0; n < 250; n++) {
      found.push(...await jobs.enqueue([newJob(fleeting, n, { uniqueKey: "one" })]));
    }
    return found;
  });
  const found = (await Promise.all(enqueueing)).flat();
  const until = performance.now() + STUCK_MS;
  const lost = () => found.filter((id) => !handled.has(id));
  while (lost().length > 0 && performance.now() < until) {
    if ((await jobs.depth([job.queue], 10))[0]!.waiting === 0) await systemEnv.sleep(100);
    if ((await jobs.list({ queue: job.queue, limit: 1 })).length === 0) break;
  }
  assert.deepEqual(lost(), []);
  assert.equal(worker.health().failure, undefined);
});

Deno.test("a job that lies among the dead already can be buried once more", async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  const jobs = new PostgresJobQueue(database);
  const claim = { queue: job.queue, leaseMs: 3_600_000, limit: 1 };
  const bury = async (token: number, error: string) => {
    const [held] = (await jobs.claim({ ...claim, token })).jobs;
    return await jobs.settle([{ ...held!, is: "failed", error, isCounted: false }]);
  };
  const [id] = await jobs.enqueue([newJob(job, 1)]);
  assert.deepEqual(await bury(1, "first"), [true]);
  await sql`insert into outbox (kind, key, message_id, schema, command, correlation_id,
      causation_id, principal, at, available_at)
    select kind, key, message_id, schema, command, correlation_id, causation_id, principal, at, now()
    from dead_letter`.execute(database.db);
  assert.deepEqual(await bury(2, "second"), [true]);
  assert.equal((await jobs.get(id!))!.error, "second");
});

Deno.test("a queue that was empty when it was analyzed is not walked through when it is full", async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  for (const table of ["outbox", "running_job", "finished_job", "dead_letter", "job_start"]) {
    await sql`vacuum analyze ${sql.table(table)}`.execute(database.maintenance);
  }
  const statements: CompiledQuery[] = [];
  const jobs = new PostgresJobQueue({ jobs: recording(database.jobs, statements) });
  await jobs.enqueue(Array.from({ length: 20_000 }, (_, n) => newJob(job, n)));
  const asLong = { token: 1, leaseMs: 3_600_000, limit: 5 };
  const claim = { ...asLong, queue: job.queue };
  const { jobs: held } = await jobs.claim(claim);
  const [one, other, third, fourth, fifth] = held;
  const { messageId } = fifth!;
  const ended = { keepMs: 1_000, isCounted: true };
  const looks: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["claim", () => jobs.claim({ ...claim, token: 2 })],
    ["extend", () => jobs.extend(held, 3_600_000)],
    ["note", () => jobs.note(one!, 1)],
    ["get", () => jobs.get(messageId)],
    ["cancel", () => jobs.cancel(messageId, "root", { keepMs: 1 })],
    ["complete", () => jobs.settle([{ ...one!, is: "completed", result: 1, ...ended }])],
    ["fail", () => jobs.settle([{ ...other!, is: "failed", error: "x", isCounted: true }])],
    ["release", () => jobs.settle([{ ...third!, is: "released", isCounted: true }])],
    [
      "retry",
      () => jobs.settle([{ ...fourth!, is: "retried", delayMs: 1, error: "x", isCounted: true }]),
    ],
    ["list", () => jobs.list({ queue: job.queue, limit: 10 })],
    ["nextDue", () => jobs.nextDueMs(job.queue)],
    ["depth", () => jobs.depth([job.queue], 10)],
  ];
  for (const [name, look] of looks) {
    statements.length = 0;
    await look();
    assert(statements.length > 0, name);
    for (const statement of statements) {
      const { pages, plan } = await pagesOf(database.jobs, statement);
      assert(
        pages < PAGES_MAX,
        `${name} reads ${pages} pages: ${JSON.stringify(plan).slice(0, 2_000)}`,
      );
    }
  }
});
