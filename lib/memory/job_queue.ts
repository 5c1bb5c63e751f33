/**
 * Jobs without a database, in the outbox of a {@linkcode MemoryOutbox}.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type {
  JobClaim,
  JobEnding,
  JobHold,
  JobPage,
  JobQuery,
  JobQueue,
  JobRecord,
  QueueDepth,
} from "../jobs/job_queue.ts";
import type { NewMessage } from "../runtime/store.ts";
import type { Jobs } from "./jobs.ts";

export class MemoryJobQueue implements JobQueue {
  readonly #env: Pick<Env, "now">;
  readonly #jobs: Jobs;

  constructor(env: Pick<Env, "now">, jobs: Jobs) {
    this.#env = env;
    this.#jobs = jobs;
  }

  async enqueue(jobs: readonly NewMessage[]): Promise<readonly string[]> {
    await null;
    return this.#jobs.enqueue(jobs, this.#env.now());
  }

  async claim(claim: JobClaim): Promise<JobPage> {
    await null;
    return this.#jobs.claim(claim, this.#env.now());
  }

  async started(queue: string, token: number, windowMs: number): Promise<void> {
    await null;
    this.#jobs.started(queue, token, windowMs, this.#env.now());
  }

  async nextDueMs(queue: string): Promise<number | undefined> {
    await null;
    return this.#jobs.nextDueMs(queue, this.#env.now());
  }

  async settle(endings: readonly JobEnding[]): Promise<readonly boolean[]> {
    await null;
    return this.#jobs.settle(endings, this.#env.now());
  }

  async extend(holds: readonly JobHold[], leaseMs: number, { isCounted } = { isCounted: false }) {
    await null;
    return this.#jobs.extend(holds, leaseMs, isCounted, this.#env.now());
  }

  async note(hold: JobHold, progress: unknown): Promise<boolean> {
    await null;
    return this.#jobs.note(hold, progress);
  }

  async get(id: string): Promise<JobRecord | undefined> {
    await null;
    return this.#jobs.get(id, this.#env.now());
  }

  async list(query: JobQuery): Promise<readonly JobRecord[]> {
    await null;
    return this.#jobs.list(query, this.#env.now());
  }

  async cancel(
    id: string,
    by: string,
    ending: { readonly keepMs: number; readonly report?: NewMessage },
  ): Promise<"cancelled" | "cancelling" | undefined> {
    await null;
    return this.#jobs.cancel(id, by, ending, this.#env.now());
  }

  async depth(queues: readonly string[], countMax: number): Promise<readonly QueueDepth[]> {
    await null;
    return this.#jobs.depth(queues, countMax, this.#env.now());
  }

  async forget(limit: number): Promise<number> {
    await null;
    return this.#jobs.forget(limit, this.#env.now());
  }
}
