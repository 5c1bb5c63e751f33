/**
 * Jobs on a simulated Postgres. Their statements are judged in the moment in which they land: so they
 * pass over what others have in hand, as SKIP LOCKED does.
 *
 * @module
 */
import {
  isLimited,
  type JobClaim,
  type JobEnding,
  type JobHold,
  type JobPage,
  type JobQuery,
  type JobQueue,
  type JobRecord,
  type QueueDepth,
} from "../../../lib/jobs/job_queue.ts";
import { kept } from "../../../lib/memory/copied.ts";
import type { Jobs } from "../../../lib/memory/jobs.ts";
import type { NewMessage } from "../../../lib/runtime/store.ts";
import type { SimulatedPostgres } from "./server.ts";
import type { Statement } from "./session.ts";
import type { SessionPool } from "./session_pool.ts";
import { reading, writing } from "./store.ts";

export class SimulatedJobQueue implements JobQueue {
  readonly #server: SimulatedPostgres;
  readonly #jobs: Jobs;
  readonly #pool: SessionPool;

  constructor(server: SimulatedPostgres, pool: SessionPool) {
    this.#server = server;
    this.#jobs = server.statements.jobs;
    this.#pool = pool;
  }

  async enqueue(jobs: readonly NewMessage[]): Promise<readonly string[]> {
    const asked = kept(jobs);
    return await this.#pool.run(
      writing("enqueue", ({ now }) => this.#jobs.enqueue(asked, now), asked),
    );
  }

  async claim(claim: JobClaim): Promise<JobPage> {
    const statement = writing("claim jobs", ({ now }) => this.#jobs.claim(claim, now));
    const isLocking = isLimited(claim.limits);
    return await this.#pool.run(isLocking ? withQueues([claim.queue], statement) : statement);
  }

  async started(queue: string, token: number, windowMs: number): Promise<void> {
    await this.#pool.run(
      writing("started", () => this.#jobs.started(queue, token, windowMs, this.#server.now())),
    );
  }

  async nextDueMs(queue: string): Promise<number | undefined> {
    return await this.#pool.run(
      reading("next due", ({ now }) => this.#jobs.nextDueMs(queue, now)),
    );
  }

  async settle(endings: readonly JobEnding[]): Promise<readonly boolean[]> {
    return await this.#pool.run(
      writing("settle jobs", ({ now }) => this.#jobs.settle(endings, now), endings),
    );
  }

  async extend(holds: readonly JobHold[], leaseMs: number, { isCounted } = { isCounted: false }) {
    const statement = writing(
      "extend",
      ({ now }) => this.#jobs.extend(holds, leaseMs, isCounted, now),
    );
    const queues = [...new Set(holds.map(({ queue }) => queue))].sort();
    return await this.#pool.run(isCounted ? withQueues(queues, statement) : statement);
  }

  async note(hold: JobHold, progress: unknown): Promise<boolean> {
    return await this.#pool.run(
      writing("note progress", () => this.#jobs.note(hold, progress), progress),
    );
  }

  async get(id: string): Promise<JobRecord | undefined> {
    return await this.#pool.run(reading("get job", ({ now }) => this.#jobs.get(id, now)));
  }

  async list(query: JobQuery): Promise<readonly JobRecord[]> {
    return await this.#pool.run(reading("list jobs", ({ now }) => this.#jobs.list(query, now)));
  }

  async cancel(
    id: string,
    by: string,
    ending: { readonly keepMs: number; readonly report?: NewMessage },
  ): Promise<"cancelled" | "cancelling" | undefined> {
    return await this.#pool.run(
      writing("cancel", ({ now }) => this.#jobs.cancel(id, by, ending, now)),
    );
  }

  async depth(queues: readonly string[], countMax: number): Promise<readonly QueueDepth[]> {
    return await this.#pool.run(
      reading("depth of queues", ({ now }) => this.#jobs.depth(queues, countMax, now)),
    );
  }

  async forget(limit: number): Promise<number> {
    return await this.#pool.run(
      writing("forget jobs", ({ now }) => this.#jobs.forget(limit, now)),
    );
  }
}

/** A limit is kept by one at a time. */
function withQueues<T>(queues: readonly string[], statement: Statement<T>): Statement<T> {
  return {
    ...statement,
    run: async (transaction) => {
      for (const queue of queues) await transaction.lock(`queue/${queue}`);
      return await statement.run(transaction);
    },
  };
}
