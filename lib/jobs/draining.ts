/**
 * Everything that is due, brought and done: for a process that something else wakes from time to time.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { OutboxRelay } from "../runtime/outbox_relay.ts";
import { JOB_KIND } from "./job.ts";
import type { JobQueue } from "./job_queue.ts";
import type { JobWorkers } from "./job_workers.ts";

export interface Draining {
  readonly env: Env;
  readonly relay: Pick<OutboxRelay, "drained">;
  readonly jobs: Pick<JobQueue, "depth">;
  /** The queues that are worked at here, and who does. */
  readonly queues: readonly string[];
  readonly workers: Pick<JobWorkers, "announce">;
}

const LOOK_MS = 50;

/**
 * Resolves to true once nothing is due any more, and no job of the queues runs, here or elsewhere. To
 * false if that takes longer than `withinMs`, or messages could not be brought; what has begun goes on.
 *
 * @throws {TransientFault} when the queues cannot be looked at.
 */
export async function drained(
  { env, relay, jobs, queues, workers }: Draining,
  withinMs: number,
): Promise<boolean> {
  const until = env.monotonic() + withinMs;
  while (true) {
    const leftMs = Math.max(0, until - env.monotonic());
    // A message may enqueue a job, and a job tell of its end: so both are looked at until neither is.
    if (!await relay.drained(leftMs)) return false;
    if (await areEmpty(jobs, queues) && await relay.drained(0)) return true;
    workers.announce(queues.map((key) => ({ kind: JOB_KIND, key })));
    const restMs = until - env.monotonic();
    if (restMs <= 0) return false;
    await env.sleep(Math.min(LOOK_MS, restMs));
  }
}

async function areEmpty(jobs: Draining["jobs"], queues: readonly string[]): Promise<boolean> {
  if (queues.length === 0) return true;
  const depths = await jobs.depth(queues, 1);
  return depths.every(({ waiting, active }) => waiting === 0 && active === 0);
}
