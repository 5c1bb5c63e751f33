/**
 * What every program beside this file does: it adds jobs, works them off, and prints one line.
 *
 * Written for Node and Deno alike, so that each baseline runs where it is fastest. No dependencies.
 *
 * @module
 */
import process from "node:process";

/** A job queue with nothing in it, which no other process uses. */
export interface JobQueue {
  /** Adds jobs with the numbers `from` up to `from + count`, in batches; they are durable then. */
  enqueue(from: number, count: number): Promise<void>;
  /**
   * Starts workers, which call `handle` with the number of each job and do nothing else; resolves
   * as soon as the completion of all `count` jobs is durable.
   */
  drain(count: number, handle: (job: number) => void): Promise<void>;
  /** Stops what `drain` has left running. Not measured. */
  stop(): Promise<void>;
  /** Jobs that are not completed. */
  left(): Promise<number>;
  /** What the database would do by itself in time, as autovacuum does. Not measured. */
  tidy(): Promise<void>;
  close(): Promise<void>;
}

/** The line that a contestant prints. */
export interface JobsReport {
  readonly jobs: number;
  readonly enqueuePerSecond: number;
  readonly drainPerSecond: number;
  /** How many different jobs were handled: `jobs`, or the queue lost some. */
  readonly handled: number;
  /** How many times a job was handled again: at least once is what such queues promise. */
  readonly repeated: number;
  /** Jobs that were still there after the last: 0, or not all completions were durable. */
  readonly left: number;
}

/** Warms the process up on jobs of the same kind, then measures one enqueue and one drain. */
export async function measured(
  queue: JobQueue,
  { jobs, warmupJobs }: { readonly jobs: number; readonly warmupJobs: number },
): Promise<JobsReport> {
  if (warmupJobs > 0) await once(queue, 0, warmupJobs);
  return await once(queue, warmupJobs, jobs);
}

async function once(queue: JobQueue, from: number, jobs: number): Promise<JobsReport> {
  const times = new Uint8Array(jobs);
  let repeated = 0;
  let handled = 0;
  const handle = (job: number) => {
    if (times[job - from]!++ === 0) handled++;
    else repeated++;
  };
  const enqueueMs = await millisecondsOf(() => queue.enqueue(from, jobs));
  const waiting = await queue.left();
  if (waiting !== jobs) throw new Error(`Cannot measure: ${waiting} of ${jobs} jobs wait`);
  const drainMs = await millisecondsOf(() => queue.drain(jobs, handle));
  const left = await queue.left();
  await queue.stop();
  await queue.tidy();
  const enqueuePerSecond = jobs / enqueueMs * 1_000;
  const drainPerSecond = jobs / drainMs * 1_000;
  return { jobs, enqueuePerSecond, drainPerSecond, handled, repeated, left };
}

async function millisecondsOf(task: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await task();
  return performance.now() - startedAt;
}

/** Opens a queue, measures it as `JOBS` and `WARMUP_JOBS` say, and prints the line. */
export async function runContestant(open: () => Promise<JobQueue>): Promise<void> {
  const queue = await open();
  try {
    const report = await measured(queue, {
      jobs: Number(process.env.JOBS ?? 20_000),
      warmupJobs: Number(process.env.WARMUP_JOBS ?? 5_000),
    });
    console.log(JSON.stringify(report));
  } finally {
    await queue.close();
  }
}

/** The settings found best, or others to try: `SETTINGS='{"batch":500}'`. */
export function settingsFrom<T extends object>(best: T): T {
  return { ...best, ...JSON.parse(process.env.SETTINGS ?? "{}") as Partial<T> };
}

/** Calls `add` for the numbers `from` up to `from + count` in batches, `atOnce` at a time. */
export async function inBatches(
  { from, count, batch, atOnce }: {
    readonly from: number;
    readonly count: number;
    readonly batch: number;
    readonly atOnce: number;
  },
  add: (numbers: number[]) => Promise<unknown>,
): Promise<void> {
  const until = from + count;
  let next = from;
  const producer = async () => {
    while (next < until) {
      const first = next;
      next = Math.min(until, first + batch);
      await add(Array.from({ length: next - first }, (_, i) => first + i));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, producer));
}

/** Resolves when as many are counted as were expected. */
export class Countdown {
  readonly done: Promise<void>;
  #left: number;
  #resolve!: () => void;

  constructor(count: number) {
    this.#left = count;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  count(by: number): void {
    this.#left -= by;
    if (this.#left <= 0) this.#resolve();
  }

  get left(): number {
    return this.#left;
  }
}
