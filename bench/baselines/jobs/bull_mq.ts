/**
 * BullMQ, on the Redis of `REDIS_URL`, with all keys under `REDIS_PREFIX`.
 *
 * A completion is as durable as that Redis makes it; without an append-only file, not at all.
 * It runs on Node 22: 24,500 jobs/s, as Node 26 with 24,000; Node 24 23,200, Deno 22,500 (21,200 to
 * 23,000), medians of 6 interleaved runs.
 *
 * @module
 */
import process from "node:process";
// @ts-ignore: installed beside this file by npm.
import { Queue, Worker } from "bullmq";
import { Countdown, inBatches, type JobQueue, runContestant, settingsFrom } from "./measured.ts";

// Two workers with a concurrency of 100 drained 24,500 jobs/s (23,600 to 25,800 in 6 runs) on 2
// cores otherwise idle. Others were tried only while the machine was busy, where differences drown:
// in 5 interleaved runs, in thousands of jobs/s, one worker with 50, 100, 300: 7.2, 6.7, 8.7; two
// with 50, 100: 8.3, 7.5; four with 50: 8.0, each from about 4 to 13. Nobody came out ahead, so
// these stay. Added by two callers in batches of 500, ~51 at best, by four in batches of 1,000 48,
// by one in batches of 1,000 34 at best.
const settings = settingsFrom({
  batch: 500,
  atOnce: 2,
  workers: 2,
  concurrency: 100,
});

async function open(): Promise<JobQueue> {
  const prefix = process.env.REDIS_PREFIX ?? "troupe_bench";
  const { hostname: host, port } = new URL(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
  const connection = { host, port: Number(port || 6379), maxRetriesPerRequest: null };
  const queue = new Queue("noop", {
    connection,
    prefix,
    defaultJobOptions: { removeOnComplete: true },
  });
  await queue.waitUntilReady();
  let workers: { close(): Promise<void> }[] = [];

  return {
    async enqueue(from, count) {
      const { batch, atOnce } = settings;
      await inBatches({ from, count, batch, atOnce }, async (numbers) => {
        await queue.addBulk(numbers.map((n) => ({ name: "noop", data: { n } })));
      });
    },
    async drain(count, handle) {
      const countdown = new Countdown(count);
      const processor = ({ data }: { readonly data: { readonly n: number } }) => {
        handle(data.n);
        return Promise.resolve();
      };
      const { concurrency } = settings;
      workers = Array.from({ length: settings.workers }, () => {
        const worker = new Worker("noop", processor, { connection, prefix, concurrency });
        // Emitted once Redis has answered that the job is completed.
        worker.on("completed", () => countdown.count(1));
        worker.on("error", (error: Error) => console.error(error));
        return worker;
      });
      await countdown.done;
    },
    async stop() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
    async left() {
      return await queue.getJobCountByTypes("wait", "active", "delayed", "failed", "completed");
    },
    tidy: () => Promise.resolve(),
    async close() {
      await queue.obliterate({ force: true });
      await queue.close();
    },
  };
}

await runContestant(open);
