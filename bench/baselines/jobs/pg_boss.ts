/**
 * pg-boss, through `insert`, `fetch` and `complete`, each in batches.
 *
 * It is as fast on Deno as on Node 22, 24 and 26: all within 52,000 ± 1,000 jobs/s.
 *
 * @module
 */
import process from "node:process";
// @ts-ignore: installed beside this file by npm.
import pg from "pg";
// @ts-ignore: installed beside this file by npm.
import { PgBoss } from "pg-boss";
import { Countdown, inBatches, type JobQueue, runContestant, settingsFrom } from "./measured.ts";

// Found by trial on 2 cores, medians of 3 interleaved runs in thousands of jobs/s; ~ where others
// were at work meanwhile and one of the three fell by a fifth to a half. Drained by two that fetch
// 500, 1,000, 2,000, 3,000, 5,000 at once: 47, 53, 58, ~50, 50; by one with 1,000, 5,000: 40, 47;
// by three with 500, 1,000, 2,000: 49, 55, ~56; by four with 200, 500, 1,000: 34, 49, 55. On a
// partition, by two with 1,000, 2,000: 58, 65; by three with 2,000: 61. Through its `work` in place
// of the loop below, two with 1,000, four with 500, in bursts: 43, 41. Added by one caller in
// batches of 1,000, 5,000, 20,000: 65, 66, 67; by two in batches of 2,000, 5,000: ~115, ~118; by
// three in batches of 1,000: ~117.
const settings = settingsFrom({
  batch: 5_000,
  atOnce: 2,
  fetchers: 2,
  fetch: 2_000,
  isPartitioned: true,
});

interface Job {
  readonly id: string;
  readonly data: { readonly n: number };
}

async function open(): Promise<JobQueue> {
  const connectionString = process.env.DATABASE_URL;
  // Upkeep and schedules, by the minute and by the hour, would never fall into a measurement.
  const boss = new PgBoss({ connectionString, supervise: false, schedule: false });
  boss.on("error", (error: Error) => console.error(error));
  await boss.start();
  await boss.createQueue("noop", { partition: settings.isPartitioned });
  const client = new pg.Client({ connectionString });
  await client.connect();

  return {
    async enqueue(from, count) {
      const { batch, atOnce } = settings;
      await inBatches({ from, count, batch, atOnce }, async (numbers) => {
        await boss.insert("noop", numbers.map((n) => ({ data: { n } })), { returnId: false });
      });
    },
    async drain(count, handle) {
      const countdown = new Countdown(count);
      await Promise.all(Array.from({ length: settings.fetchers }, async () => {
        while (countdown.left > 0) {
          const jobs: Job[] = await boss.fetch("noop", { batchSize: settings.fetch });
          // The others hold the rest.
          if (jobs.length === 0) return;
          for (const { data } of jobs) handle(data.n);
          await boss.complete("noop", jobs.map(({ id }) => id));
          countdown.count(jobs.length);
        }
      }));
    },
    async stop() {},
    async left() {
      const { rows } = await client.query(
        "select count(*)::int from pgboss.job where state <> 'completed'",
      );
      return rows[0].count;
    },
    async tidy() {
      await boss.deleteAllJobs("noop");
      await client.query("vacuum analyze");
    },
    async close() {
      await boss.stop({ graceful: false });
      await client.end();
    },
  };
}

await runContestant(open);
