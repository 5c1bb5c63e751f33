/** Limits of a queue, over several workers that are slow, freeze and crash, as a seed has it. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import { defineJob } from "../../../lib/jobs/job.ts";
import type { JobQueue, QueueLimits } from "../../../lib/jobs/job_queue.ts";
import { handles, JobWorker } from "../../../lib/jobs/job_worker.ts";
import { job, overriding, Workshop } from "../../support/workshop.ts";
import type { VirtualEnv } from "../../support/virtual_env.ts";

const RUNS = Number(Deno.env.get("JOB_LIMIT_RUNS") ?? 30);
const SEED = Number(Deno.env.get("JOB_LIMIT_SEED") ?? 1);
const JOBS = 120;
const WORKERS = 3;
const LEASE_MS = 2_000;

interface Started {
  readonly at: number;
  readonly n: number;
}

/** Answers come late, get lost, or come after the lease; so does the request now and then. */
function slowly(own: JobQueue, env: VirtualEnv, isGone: () => boolean): JobQueue {
  const upTo = (ms: number) => Math.floor(env.random() * ms);
  const late = async <T>(call: () => Promise<T>): Promise<T> => {
    await env.sleep(upTo(50));
    if (isGone()) await new Promise<never>(() => {});
    if (env.random() < 0.03) throw new TransientFault("not sent");
    const answer = await call();
    // Sometimes so late that others may have what was claimed.
    await env.sleep(env.random() < 0.05 ? upTo(1.5 * LEASE_MS) : upTo(50));
    if (isGone()) await new Promise<never>(() => {});
    if (env.random() < 0.05) throw new TransientFault("lost", { outcome: "unknown" });
    return answer;
  };
  return overriding(own, {
    claim: (claim) => late(() => own.claim(claim)),
    started: (...asked) => late(() => own.started(...asked)),
    settle: (endings) => late(() => own.settle(endings)),
    extend: (...asked) => late(() => own.extend(...asked)),
  });
}

/** Has all jobs done, and says when each attempt was started. */
async function worked(seed: number, limits: QueueLimits, onStart: (n: number) => () => void) {
  const shop = new Workshop(seed);
  const { env } = shop;
  const slow = defineJob({ ...job, attemptsMax: 1_000, backoff: { firstMs: 100, mostMs: 1_000 } });
  const keys = ["a", "b", undefined];
  await shop.enqueueAs(
    slow,
    ...Array.from({ length: JOBS }, (_, n) => {
      const concurrencyKey = keys[n % keys.length];
      return [{ n }, concurrencyKey === undefined ? {} : { concurrencyKey }] as const;
    }),
  );
  const starts: Started[] = [];
  const working: JobWorker[] = [];
  const tuning = { leaseMs: LEASE_MS, pollMs: 100, watchMs: 50 };
  const start = (place: number) => {
    let isGone = false;
    const ends = new Set<() => void>();
    const jobs = slowly(shop.jobs, env, () => isGone);
    const binding = handles(slow, async ({ n }, { signal }) => {
      if (isGone) return;
      starts.push({ at: env.monotonic(), n });
      const end = onStart(n);
      ends.add(end);
      try {
        await env.sleep(env.random() * (env.random() < 0.1 ? 2 * LEASE_MS : 200), signal);
        if (env.random() < 0.1) throw new Error("as it happens");
      } finally {
        end();
      }
    });
    const options = { queue: slow.queue, bindings: [binding], concurrency: 4, limits, tuning };
    working[place] = new JobWorker({ ...options, jobs, env, observe() {} }).start();
    return () => {
      isGone = true;
      for (const end of ends) end();
    };
  };
  const crash = Array.from({ length: WORKERS }, (_, place) => start(place));
  for (let step = 0; step < 3_000; step++) {
    await env.advance(200);
    const left = await shop.jobs.list({ queue: slow.queue, status: "completed", limit: JOBS });
    if (left.length === JOBS) return starts.sort((a, b) => a.at - b.at);
    if (env.random() > 0.02) continue;
    const place = Math.floor(env.random() * WORKERS);
    crash[place]!();
    crash[place] = start(place);
  }
  throw new Error("Not all jobs were done");
}

async function forSeeds(run: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    try {
      await run(seed);
    } catch (error) {
      console.error(`JOB_LIMIT_SEED=${seed} JOB_LIMIT_RUNS=1`);
      throw error;
    }
  }
}

/** Of moments in their order, the most that lie within any span that is shorter than `windowMs`. */
function mostWithin(moments: readonly number[], windowMs: number): number {
  let [first, most] = [0, 0];
  moments.forEach((moment, last) => {
    while (moments[first]! <= moment - windowMs) first++;
    most = Math.max(most, last - first + 1);
  });
  return most;
}

Deno.test("within no window, wherever it begins, are more jobs started than the rate allows", async () => {
  const rate = { max: 7, windowMs: 1_000 };
  let most = 0;
  await forSeeds(async (seed) => {
    const starts = await worked(seed, { rate }, () => () => {});
    const found = mostWithin(starts.map(({ at }) => at), rate.windowMs);
    assert(found <= rate.max, `${found} within a window`);
    most = Math.max(most, found);
  });
  assert.equal(most, rate.max, "what is allowed is made use of");
});

Deno.test("no more run at a time than the queue and its keys allow, and all are done", async () => {
  const limits = { runningMax: 5, runningPerKeyMax: 2 };
  let [most, mostOfKey] = [0, 0];
  await forSeeds(async (seed) => {
    const running = new Map<symbol, number>();
    const ofKey = (key: number) => [...running.values()].filter((n) => n % 3 === key).length;
    await worked(seed, limits, (n) => {
      const attempt = Symbol();
      running.set(attempt, n);
      most = Math.max(most, running.size);
      mostOfKey = Math.max(mostOfKey, ofKey(0), ofKey(1));
      return () => void running.delete(attempt);
    });
    assert(most <= limits.runningMax, `${most} ran at a time`);
    assert(mostOfKey <= limits.runningPerKeyMax, `${mostOfKey} of one key ran at a time`);
  });
  assert.deepEqual([most, mostOfKey], [5, 2], "what is allowed is made use of");
});
