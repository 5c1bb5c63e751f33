/**
 * Our own queue, as the programs beside the baselines measure theirs: it enqueues and drains jobs that
 * do nothing.
 *
 * @module
 */
import { sql } from "kysely";
import { systemEnv } from "../lib/env.ts";
import { defineJob, enqueue } from "../lib/jobs/job.ts";
import { handles, JobWorker } from "../lib/jobs/job_worker.ts";
import { openDatabase } from "../lib/postgres/database.ts";
import { PostgresJobQueue } from "../lib/postgres/job_queue.ts";
import { migrateToLatest } from "../lib/postgres/migrate.ts";
import { PostgresOutbox } from "../lib/postgres/outbox.ts";
import type { NewMessage } from "../lib/runtime/store.ts";
import { migrations } from "../migrations/all.ts";
import {
  Countdown,
  inBatches,
  type JobQueue,
  runContestant,
  settingsFrom,
} from "./baselines/jobs/measured.ts";

const settings = settingsFrom({ batch: 1_000, atOnce: 2, concurrency: 100, retentionMs: 0 });

const noop = defineJob({
  type: "noop",
  queue: "noop",
  payload: { parse: (payload) => payload as { readonly n: number } },
  retentionMs: settings.retentionMs,
});
const principal = { id: "bench", roles: [] };

function newJob(n: number): NewMessage {
  const messageId = systemEnv.uuid();
  const ids = { messageId, correlationId: messageId, causationId: messageId };
  return { ...enqueue(noop, { n }), ...ids, principal, delayMs: 0 };
}

async function open(): Promise<JobQueue> {
  const database = await openDatabase({ url: Deno.env.get("DATABASE_URL")!, allowUnsafe: true });
  await migrateToLatest(database.maintenance, migrations);
  const jobs = new PostgresJobQueue(database);
  const outbox = new PostgresOutbox(database);
  let worker: JobWorker | undefined;
  return {
    async enqueue(from, count) {
      const { batch, atOnce } = settings;
      await inBatches(
        { from, count, batch, atOnce },
        (numbers) => jobs.enqueue(numbers.map(newJob)),
      );
    },
    async drain(count, handle) {
      const countdown = new Countdown(count);
      worker = new JobWorker({
        queue: noop.queue,
        concurrency: settings.concurrency,
        bindings: [handles(noop, ({ n }) => handle(n))],
        jobs,
        env: systemEnv,
        observe: (event) => {
          if (event.type === "jobs-settled") countdown.count(event.jobs);
          if (event.type === "job-worker-failed") throw event.error;
        },
      });
      worker.start();
      await countdown.done;
    },
    async stop() {
      await worker?.stop();
    },
    async left() {
      const { rows } = await sql<{ left: number }>`select count(*)::int as left from outbox`
        .execute(database.db);
      return rows[0]!.left;
    },
    tidy: () => outbox.tidy(),
    async close() {
      await database[Symbol.asyncDispose]();
    },
  };
}

await runContestant(open);
