/** A job queue that loses or repeats jobs must not pass for a fast one. */
import assert from "node:assert/strict";
import { type JobQueue, measured } from "../../bench/baselines/jobs/measured.ts";

const sizes = { jobs: 100, warmupJobs: 10 };

/** A queue in memory, of whose jobs `worked` says how often each is handled. */
function queueOf(worked: (job: number) => number): JobQueue {
  let waiting: number[] = [];
  return {
    enqueue(from, count) {
      waiting = Array.from({ length: count }, (_, i) => from + i);
      return Promise.resolve();
    },
    drain(_count, handle) {
      for (const job of waiting) {
        for (let times = 0; times < worked(job); times++) handle(job);
      }
      waiting = waiting.filter((job) => worked(job) === 0);
      return Promise.resolve();
    },
    left: () => Promise.resolve(waiting.length),
    stop: () => Promise.resolve(),
    tidy: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

Deno.test("a queue that handles every job once is exact", async () => {
  const { jobs, handled, repeated, left } = await measured(queueOf(() => 1), sizes);
  assert.deepEqual({ jobs, handled, repeated, left }, {
    jobs: 100,
    handled: 100,
    repeated: 0,
    left: 0,
  });
});

Deno.test("a job handled again does not make up for one that was not", async () => {
  const worked = (job: number) => job === 50 ? 0 : job === 51 ? 2 : 1;
  const { handled, repeated, left } = await measured(queueOf(worked), sizes);
  assert.deepEqual({ handled, repeated, left }, { handled: 99, repeated: 1, left: 1 });
});

Deno.test("a queue that took fewer jobs than it was given is not measured", async () => {
  const forgetful = { ...queueOf(() => 1), left: () => Promise.resolve(99) };
  await assert.rejects(measured(forgetful, sizes), /Cannot measure: 99 of 10 jobs wait/);
});
