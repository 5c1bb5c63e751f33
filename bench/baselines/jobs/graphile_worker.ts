/**
 * graphile-worker: as it comes with the argument `defaults`, otherwise with its batch options.
 *
 * It runs on Node 22, where it was fastest, by little: 43,900 jobs/s (29,700 to 45,600), Node 24
 * 42,700, Node 26 40,500, Deno 38,900 (26,200 to 43,900), medians of 6 interleaved runs with the
 * settings that its authors publish (24 concurrent jobs, a local queue of 500).
 *
 * @module
 */
import process from "node:process";
// @ts-ignore: installed beside this file by npm.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
// @ts-ignore: installed beside this file by npm.
import pg from "pg";
import { Countdown, inBatches, type JobQueue, runContestant, settingsFrom } from "./measured.ts";

// Found by trial on 2 cores, medians of 3 interleaved runs in thousands of jobs/s; ~ where others
// were at work meanwhile and one of the three fell by a fifth to a half. Drained by one pool of 24
// with a local queue of 250, 500, 1,000, 2,000, 5,000, 20,000: 35, 44, 48, 57, 59, ~43. A pool
// fetches only once its local queue is empty, so two take turns: two with 500, 1,000, 2,000: 55,
// 66, ~63; three with 1,000, 2,000: 65, 67; four with 500: ~53. Concurrency matters little: 5, 10,
// 24 in two pools with 1,000: ~59, 66, 66; nor does it matter to wait 5 or 20 ms for completions.
// Added by one caller in batches of 1,000, 5,000, 20,000: 77, 76, 75; by two in batches of 2,000,
// 5,000, 10,000: 109, 107, 91; by three and four in batches of 5,000: 105, 83.
const settings = settingsFrom({
  batch: 5_000,
  atOnce: 2,
  pools: 2,
  concurrentJobs: 24,
  localQueue: 1_000,
  completeDelayMs: 0,
  connections: 25,
});

const isDefault = process.argv.includes("defaults");

// A line for every job would cost more than the job; its authors' own benchmark leaves them out too.
const logger = new Logger(() => (level: string, message: string) => {
  if (level === "error") console.error(message);
});

const best = {
  concurrentJobs: settings.concurrentJobs,
  maxPoolSize: settings.connections,
  localQueue: { size: settings.localQueue },
  completeJobBatchDelay: settings.completeDelayMs,
  failJobBatchDelay: settings.completeDelayMs,
};

async function open(): Promise<JobQueue> {
  const pgPool = new pg.Pool({
    connectionString: process.env.DATABASE_URL,
    max: isDefault ? 10 : settings.connections,
  });
  // It insists on both handlers, for the idle and for the busy.
  pgPool.on("error", (error: Error) => console.error(error));
  pgPool.on(
    "connect",
    (client: pg.PoolClient) => client.on("error", (error: Error) => console.error(error)),
  );
  const preset = { worker: isDefault ? { logger } : { logger, ...best } };
  const utils = await makeWorkerUtils({ pgPool, preset });
  await utils.migrate();
  let runners: { stop(): Promise<void> }[] = [];

  async function left(): Promise<number> {
    const { rows } = await pgPool.query("select count(*)::int from graphile_worker._private_jobs");
    return rows[0].count;
  }

  return {
    async enqueue(from, count) {
      const { batch, atOnce } = settings;
      await inBatches({ from, count, batch, atOnce }, async (numbers) => {
        await utils.addJobs(numbers.map((n) => ({ identifier: "noop", payload: { n } })));
      });
    },
    async drain(count, handle) {
      const countdown = new Countdown(count);
      const taskList = {
        noop({ n }: { readonly n: number }) {
          handle(n);
          countdown.count(1);
        },
      };
      const options = { pgPool, preset, taskList, noHandleSignals: true };
      const pools = isDefault ? 1 : settings.pools;
      runners = await Promise.all(Array.from({ length: pools }, () => run(options)));
      await countdown.done;
      // Completions are written after the handler, in batches, and nothing tells when.
      while (await left() > 0);
    },
    async stop() {
      await Promise.all(runners.map((runner) => runner.stop()));
    },
    left,
    async tidy() {
      await pgPool.query("vacuum analyze graphile_worker._private_jobs");
    },
    async close() {
      await utils.release();
      await pgPool.end();
    },
  };
}

await runContestant(open);
