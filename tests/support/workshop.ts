/**
 * Workers on a queue without a database, on a clock that stands still until it is advanced.
 *
 * @module
 */
import { defineJob, enqueue, type EnqueueOptions, type JobDefinition } from "../../lib/jobs/job.ts";
import type { JobQueue } from "../../lib/jobs/job_queue.ts";
import { type JobBinding, JobWorker, type JobWorkerOptions } from "../../lib/jobs/job_worker.ts";
import { MemoryStore } from "../../lib/memory/store.ts";
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import { aJob } from "./jobs.ts";
import { VirtualEnv } from "./virtual_env.ts";

/** Some retries, the first after a second. */
export const job = defineJob({ ...aJob, attemptsMax: 4 });

export class Workshop implements AsyncDisposable {
  readonly env: VirtualEnv;
  readonly memory: MemoryStore;
  readonly jobs: JobQueue;
  readonly observed: RuntimeEvent[] = [];
  readonly #workers: JobWorker[] = [];

  constructor(seed = 1) {
    this.env = new VirtualEnv(seed);
    this.memory = new MemoryStore(this.env);
    this.jobs = this.memory.outbox.jobs;
  }

  /** The ids of jobs with the payloads 0, 1, … */
  async enqueue(...options: readonly EnqueueOptions[]): Promise<readonly string[]> {
    return await this.enqueueAs(job, ...options.map((option, n) => [{ n }, option] as const));
  }

  async enqueueAs<Payload>(
    definition: JobDefinition<Payload>,
    ...asked: readonly (readonly [Payload, EnqueueOptions?])[]
  ): Promise<readonly string[]> {
    return await this.jobs.enqueue(asked.map(([payload, options]) => {
      const messageId = this.env.uuid();
      return {
        delayMs: 0,
        ...enqueue<Payload>(definition, payload as never, options),
        messageId,
        correlationId: messageId,
        causationId: messageId,
        principal: { id: "ana", roles: [] },
      };
    }));
  }

  worker(
    bindings: readonly JobBinding[],
    { jobs = this.jobs, ...options }: Partial<JobWorkerOptions> = {},
  ): JobWorker {
    const { env } = this;
    const observe = (event: RuntimeEvent) => void this.observed.push(event);
    const worker = new JobWorker({ queue: job.queue, bindings, jobs, env, observe, ...options });
    this.#workers.push(worker);
    return worker.start();
  }

  async status(id: string): Promise<string | undefined> {
    return (await this.jobs.get(id))?.status;
  }

  /** How attempts ended, in the order of their ends. */
  get outcomes(): readonly string[] {
    return this.seen("job").map(({ outcome }) => outcome);
  }

  seen<Type extends RuntimeEvent["type"]>(type: Type): Extract<RuntimeEvent, { type: Type }>[] {
    return this.observed.filter((event): event is Extract<RuntimeEvent, { type: Type }> =>
      event.type === type
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) await this.env.until(worker.stop());
  }
}

/** `own` in all but what is said otherwise. */
export function overriding(own: JobQueue, changes: Partial<JobQueue>): JobQueue {
  return {
    enqueue: (jobs) => own.enqueue(jobs),
    claim: (claim) => own.claim(claim),
    started: (...asked) => own.started(...asked),
    nextDueMs: (queue) => own.nextDueMs(queue),
    settle: (endings) => own.settle(endings),
    extend: (...asked) => own.extend(...asked),
    note: (...asked) => own.note(...asked),
    get: (id) => own.get(id),
    list: (query) => own.list(query),
    cancel: (...asked) => own.cancel(...asked),
    depth: (...asked) => own.depth(...asked),
    forget: (limit) => own.forget(limit),
    ...changes,
  };
}
