/**
 * The workers of a node: one for each queue, and the upkeep of what all queues share.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { RetryBudget } from "../resilience/retry_budget.ts";
import type { Address } from "../runtime/envelope.ts";
import type { Observe } from "../runtime/observe.ts";
import { Worker, type WorkerHealth } from "../runtime/worker.ts";
import { JOB_KIND, type JobDefinition } from "./job.ts";
import type { JobQueue } from "./job_queue.ts";
import {
  type JobBinding,
  JobWorker,
  type JobWorkerLimits,
  type QueueOptions,
} from "./job_worker.ts";

export interface JobWorkersOptions {
  readonly bindings: readonly JobBinding[];
  /** Queues that differ from the usual; any other with a job has a worker all the same. */
  readonly queues?: readonly QueueOptions[];
  readonly jobs: JobQueue;
  readonly env: Env;
  readonly observe: Observe;
  readonly budget?: RetryBudget | undefined;
  readonly tuning?: Partial<JobWorkerLimits>;
}

export class JobWorkers implements AsyncDisposable {
  readonly #workers: ReadonlyMap<string, JobWorker>;
  readonly #upkeep: QueueUpkeep;

  /** Starts them. */
  constructor({ bindings, queues = [], ...shared }: JobWorkersOptions) {
    const options = new Map(queues.map((queue) => [queue.queue, queue]));
    const names = queueNames(bindings.map(({ job }) => job));
    this.#workers = new Map(names.map((queue) => {
      const own = bindings.filter(({ job }) => job.queue === queue);
      const worker = new JobWorker({ ...shared, ...options.get(queue), queue, bindings: own });
      return [queue, worker.start()];
    }));
    this.#upkeep = new QueueUpkeep({ ...shared, queues: names });
    this.#upkeep.start();
  }

  /** Jobs were enqueued: look for them soon. Takes no notice of what is for actors. */
  announce(to: readonly Address[]): void {
    for (const { kind, key } of to) {
      if (kind === JOB_KIND) this.#workers.get(key)?.wake();
    }
  }

  health(): readonly WorkerHealth[] {
    return [...this.#workers.values(), this.#upkeep].map((worker) => worker.health());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const workers = [...this.#workers.values(), this.#upkeep];
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** The queues of these jobs, each once. */
export function queueNames(jobs: readonly JobDefinition[]): readonly string[] {
  return [...new Set(jobs.map(({ queue }) => queue))].sort();
}

interface UpkeepOptions {
  readonly queues: readonly string[];
  readonly jobs: JobQueue;
  readonly env: Env;
  readonly observe: Observe;
}

const DEPTH_MS = 10_000;
const DEPTH_COUNT_MAX = 10_000;
/** Rows of one deletion: few enough that it holds nobody up. */
const FORGET_MAX = 1_000;

/** Observes how deep the queues are, and forgets jobs that are kept no longer. */
class QueueUpkeep extends Worker {
  readonly #options: UpkeepOptions;

  constructor(options: UpkeepOptions) {
    const { env, observe } = options;
    super({ name: "jobs", env, observe, drainMs: DEPTH_MS });
    this.#options = options;
  }

  protected override async run(): Promise<void> {
    while (!this.isDraining) {
      await this.#try("depth", () => this.#observeDepth());
      await this.#try("forget", () => this.#forget());
      await this.pause(DEPTH_MS);
    }
  }

  async #observeDepth(): Promise<void> {
    const { jobs, queues, observe } = this.#options;
    for (const depth of await jobs.depth(queues, DEPTH_COUNT_MAX)) {
      observe({ type: "queue-depth", ...depth });
    }
  }

  async #forget(): Promise<void> {
    while (!this.isDraining && await this.#options.jobs.forget(FORGET_MAX) === FORGET_MAX);
  }

  async #try(task: "depth" | "forget", step: () => Promise<void>): Promise<void> {
    try {
      await step();
      this.note();
    } catch (error) {
      this.note(error);
      this.#options.observe({ type: "job-worker-failed", queue: "*", task, error });
    }
  }
}
