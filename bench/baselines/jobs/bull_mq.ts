/**
 * BullMQ, on the Redis of `REDIS_URL`, with all keys under `REDIS_PREFIX`.
 *
 * A completion is as durable as that Redis makes it; without an append-only file, not at all.
 * Node 22 is its fastest runtime: 24,500 jobs/s, Node 26 24,000, Node 24 23,200, Deno 22,500.
 *
 * @module
 */
import process from "node:process";
// @ts-ignore: installed beside this file by npm.
import { Queue, Worker } from "bullmq";
import { Countdown, inBatches, type JobQueue, runContestant, settingsFrom } from "./measured.ts";

// Found by trial on 2 cores, the best of 3 in thousands of jobs/s, as others were at work. Drained by
// one worker with a concurrency of 50, 100, 500: 23, 21, 20; by two with 50, 100, 250: 22, 26, 21; by
// four with 50, 100: 13, 18; by eight with 25: 22. Added by one caller in batches of 1,000, 5,000:
// 34, 32; by two in batches of 500, 1,000: 51, 50; by four in batches of 1,000: 50.
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
