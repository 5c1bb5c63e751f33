/**
 * Jobs without a database, in the outbox of a {@linkcode MemoryOutbox}.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { JOB_KIND } from "../jobs/job.ts";
import {
  type ClaimedJob,
  isLimited,
  type JobClaim,
  type JobEnding,
  type JobHold,
  type JobPage,
  type JobQuery,
  type JobQueue,
  type JobRecord,
  type QueueDepth,
  type QueueLimits,
} from "../jobs/job_queue.ts";
import type { DeadLetter, OutboxMessage } from "../runtime/outbox.ts";
import type { NewMessage } from "../runtime/store.ts";
import { copied } from "./copied.ts";

interface Waiting {
  readonly message: OutboxMessage;
  availableAt: number;
  readonly priority: number;
  readonly uniqueKey: string | undefined;
  readonly concurrencyKey: string | undefined;
  token: number | undefined;
  leaseUntil: number;
  attempts: number;
  isCounted: boolean;
  error: string | undefined;
  progress: unknown;
  cancelledBy: string | undefined;
}

interface Finished {
  readonly job: Waiting;
  readonly result: unknown;
  readonly finishedAt: number;
  readonly keepUntil: number;
}

interface Start {
  readonly queue: string;
  readonly token: number;
  readonly jobs: number;
  countsUntil: number;
}

/** What the rest of the outbox does for its jobs. */
export interface JobPost {
  nextPosition(): number;
  tell(messages: readonly NewMessage[], at: number): void;
  bury(letter: DeadLetter): void;
  dead(): Iterable<DeadLetter>;
}

export class MemoryJobQueue implements JobQueue {
  readonly #env: Pick<Env, "now">;
  readonly #post: JobPost;
  readonly #waiting = new Map<number, Waiting>();
  readonly #finished = new Map<string, Finished>();
  #starts: Start[] = [];

  constructor(env: Pick<Env, "now">, post: JobPost) {
    this.#env = env;
    this.#post = post;
  }

  /** False if another has its unique key. */
  add(message: Omit<NewMessage, "delayMs">, at: number, availableAt: number): boolean {
    if (this.#standIn(message.to.key, message.job?.uniqueKey) !== undefined) return false;
    this.putBack({ ...message, position: this.#post.nextPosition(), at }, availableAt);
    return true;
  }

  putBack(message: OutboxMessage, availableAt: number): void {
    const { priority = 0, uniqueKey, concurrencyKey } = message.job ?? {};
    this.#waiting.set(message.position, {
      message,
      availableAt,
      priority,
      uniqueKey,
      concurrencyKey,
      token: undefined,
      leaseUntil: 0,
      attempts: 0,
      isCounted: false,
      error: undefined,
      progress: undefined,
      cancelledBy: undefined,
    });
  }

  async enqueue(jobs: readonly NewMessage[]): Promise<readonly string[]> {
    await null;
    const now = this.#env.now();
    return jobs.map(({ delayMs, ...job }) => {
      const isKnown = this.#find(job.messageId) !== undefined;
      if (isKnown || this.add(job, now, now + delayMs)) return job.messageId;
      return this.#standIn(job.to.key, job.job?.uniqueKey)!.message.messageId;
    });
  }

  async claim(claim: JobClaim): Promise<JobPage> {
    await null;
    const { queue, token, leaseMs, limit, limits = {} } = claim;
    const now = this.#env.now();
    const isCounted = isLimited(limits);
    if (isCounted) this.#giveAway(queue);
    const { room, againMs } = this.#room(claim, limits);
    const free = this.#due(queue)
      .filter(({ token: holder, leaseUntil }) => leaseUntil <= now || holder === token)
      .sort((a, b) =>
        a.priority - b.priority || a.availableAt - b.availableAt ||
        a.message.position - b.message.position
      );
    const beside = new Map<string, number>();
    for (const { concurrencyKey } of this.#counted(queue, token)) {
      if (concurrencyKey === undefined) continue;
      beside.set(concurrencyKey, (beside.get(concurrencyKey) ?? 0) + 1);
    }
    const chosen: Waiting[] = [];
    for (const job of free) {
      if (chosen.length >= Math.min(limit, room)) break;
      const { concurrencyKey } = job;
      if (concurrencyKey !== undefined) {
        const running = beside.get(concurrencyKey) ?? 0;
        if (running >= (limits.runningPerKeyMax ?? Infinity)) continue;
        beside.set(concurrencyKey, running + 1);
      }
      chosen.push(job);
    }
    for (const job of chosen) {
      if (job.token !== token) job.attempts++;
      Object.assign(job, { token, leaseUntil: now + leaseMs, isCounted });
    }
    this.#noteStart(claim, chosen.length);
    return {
      jobs: chosen.map((job): ClaimedJob =>
        copied({
          ...job.message,
          queue,
          token,
          attempt: job.attempts,
          ...(job.cancelledBy !== undefined && { isCancelled: true }),
        })
      ),
      ...(againMs !== undefined && { againMs }),
    };
  }

  #room({ queue, token, limit }: JobClaim, { runningMax = Infinity, rate }: QueueLimits) {
    const now = this.#env.now();
    const running = this.#counted(queue, token).length;
    this.#starts = this.#starts.filter(({ countsUntil }) => countsUntil > now);
    const recent = this.#starts.filter((start) => start.queue === queue && start.token !== token);
    const started = recent.reduce((sum, { jobs }) => sum + jobs, 0);
    const byRate = (rate?.max ?? Infinity) - started;
    const room = Math.max(0, Math.min(limit, runningMax - running, byRate));
    const isRateFull = room === 0 && byRate <= 0;
    const first = Math.min(...recent.map(({ countsUntil }) => countsUntil));
    return { room, againMs: isRateFull ? first - now : undefined };
  }

  #noteStart({ queue, token, leaseMs, limits }: JobClaim, jobs: number): void {
    if (limits?.rate === undefined || jobs === 0) return;
    const earlier = this.#starts.find((start) => start.queue === queue && start.token === token);
    this.#starts = this.#starts.filter((start) => start !== earlier);
    const countsUntil = this.#env.now() + leaseMs + limits.rate.windowMs;
    this.#starts.push({
      queue,
      token,
      jobs: Math.max(jobs, earlier?.jobs ?? 0),
      countsUntil: Math.max(countsUntil, earlier?.countsUntil ?? 0),
    });
  }

  /** The places of jobs whose lease is over. */
  #giveAway(queue: string): void {
    for (const job of this.#due(queue)) {
      if (job.leaseUntil <= this.#env.now()) job.isCounted = false;
    }
  }

  async started(queue: string, token: number, windowMs: number): Promise<void> {
    await null;
    const start = this.#starts.find((start) => start.queue === queue && start.token === token);
    if (start !== undefined) start.countsUntil = this.#env.now() + windowMs;
  }

  async nextDueMs(queue: string): Promise<number | undefined> {
    await null;
    const now = this.#env.now();
    const later = [...this.#waiting.values()]
      .filter(({ message, availableAt }) => message.to.key === queue && availableAt > now)
      .map(({ availableAt }) => availableAt - now);
    return later.length === 0 ? undefined : Math.min(...later);
  }

  async settle(endings: readonly JobEnding[]): Promise<readonly boolean[]> {
    await null;
    return endings.map((ending) => {
      const job = this.#held(ending);
      if (job === undefined) return false;
      if (ending.is === "retried" || ending.is === "released") this.#return(job, ending);
      else this.#end(job, ending);
      return true;
    });
  }

  #return(job: Waiting, ending: Extract<JobEnding, { is: "retried" | "released" }>): void {
    Object.assign(job, { token: undefined, leaseUntil: 0, isCounted: false });
    if (ending.is === "released") job.attempts--;
    else {
      const isWanted = job.cancelledBy === undefined;
      job.availableAt = this.#env.now() + (isWanted ? ending.delayMs : 0);
      job.error = ending.error;
    }
  }

  #end(job: Waiting, ending: Exclude<JobEnding, { is: "retried" | "released" }>): void {
    const now = this.#env.now();
    this.#waiting.delete(job.message.position);
    if (ending.is === "failed") {
      const { message, attempts } = job;
      const { uniqueKey: _, ...traits } = message.job ?? { priority: 0 };
      this.#post.bury({ ...message, job: traits, attempts, error: ending.error, buriedAt: now });
    } else {
      job.cancelledBy = ending.is === "cancelled" ? job.cancelledBy ?? "" : undefined;
      this.#keep(job, ending.is === "completed" ? ending.result : undefined, ending.keepMs);
    }
    if (ending.report !== undefined) this.#post.tell([copied(ending.report)], now);
  }

  #keep(job: Waiting, result: unknown, keepMs: number): void {
    if (keepMs <= 0) return;
    const finishedAt = this.#env.now();
    const kept = {
      job,
      result: copied(result ?? null),
      finishedAt,
      keepUntil: finishedAt + keepMs,
    };
    this.#finished.set(job.message.messageId, kept);
  }

  async extend(holds: readonly JobHold[], leaseMs: number, { isCounted } = { isCounted: false }) {
    await null;
    const leaseUntil = this.#env.now() + leaseMs;
    const held = new Map(holds.flatMap((hold) => {
      const job = this.#held(hold);
      return job === undefined || isCounted && !job.isCounted ? [] : [[hold, job] as const];
    }));
    for (const job of held.values()) job.leaseUntil = leaseUntil;
    return {
      lost: holds.filter((hold) => !held.has(hold)),
      cancelled: holds.filter((hold) => held.get(hold)?.cancelledBy !== undefined),
    };
  }

  async note(hold: JobHold, progress: unknown): Promise<boolean> {
    await null;
    const job = this.#held(hold);
    if (job === undefined) return false;
    job.progress = copied(progress);
    return true;
  }

  async get(id: string): Promise<JobRecord | undefined> {
    await null;
    return this.#find(id);
  }

  async list({ queue, status, before = Infinity, limit }: JobQuery): Promise<readonly JobRecord[]> {
    await null;
    return [...this.#records()]
      .filter((job) => job.to.key === queue && job.position < before)
      .filter((job) => status === undefined || job.status === status)
      .sort((a, b) => b.position - a.position).slice(0, limit);
  }

  async cancel(
    id: string,
    by: string,
    { keepMs, report }: { readonly keepMs: number; readonly report?: NewMessage },
  ): Promise<"cancelled" | "cancelling" | undefined> {
    await null;
    const job = [...this.#waiting.values()].find(({ message }) => message.messageId === id);
    if (job === undefined) return undefined;
    job.cancelledBy = by;
    if (job.leaseUntil > this.#env.now()) return "cancelling";
    this.#waiting.delete(job.message.position);
    this.#keep(job, undefined, keepMs);
    if (report !== undefined) this.#post.tell([copied(report)], this.#env.now());
    return "cancelled";
  }

  async depth(queues: readonly string[], countMax: number): Promise<readonly QueueDepth[]> {
    await null;
    const now = this.#env.now();
    return queues.map((queue) => {
      const due = this.#due(queue).slice(0, countMax);
      const waiting = due.filter(({ leaseUntil }) => leaseUntil <= now);
      const oldest = Math.min(now, ...waiting.map(({ availableAt }) => availableAt));
      return {
        queue,
        waiting: waiting.length,
        active: due.length - waiting.length,
        oldestMs: now - oldest,
      };
    });
  }

  async forget(limit: number): Promise<number> {
    await null;
    const now = this.#env.now();
    const past = [...this.#finished].filter(([, { keepUntil }]) => keepUntil <= now).slice(
      0,
      limit,
    );
    for (const [id] of past) this.#finished.delete(id);
    return past.length;
  }

  #due(queue: string): Waiting[] {
    const now = this.#env.now();
    return [...this.#waiting.values()]
      .filter(({ message, availableAt }) => message.to.key === queue && availableAt <= now);
  }

  #counted(queue: string, token: number): Waiting[] {
    return this.#due(queue).filter((job) =>
      job.isCounted && job.leaseUntil > this.#env.now() && job.token !== token
    );
  }

  #held({ position, token }: JobHold): Waiting | undefined {
    const job = this.#waiting.get(position);
    return job?.token === token ? job : undefined;
  }

  #standIn(queue: string, uniqueKey: string | undefined): Waiting | undefined {
    if (uniqueKey === undefined) return undefined;
    return [...this.#waiting.values()].find((job) =>
      job.message.to.key === queue && job.uniqueKey === uniqueKey
    );
  }

  #find(id: string): JobRecord | undefined {
    return [...this.#records()].find(({ messageId }) => messageId === id);
  }

  *#records(): Iterable<JobRecord> {
    const now = this.#env.now();
    for (const job of this.#waiting.values()) yield copied(waitingRecord(job, now));
    for (const { job, result, finishedAt, keepUntil } of this.#finished.values()) {
      if (keepUntil <= now) continue;
      const { availableAt: _, ...record } = waitingRecord(job, now);
      const ended = job.cancelledBy === undefined
        ? { status: "completed", result } as const
        : { status: "cancelled" } as const;
      yield copied({ ...record, finishedAt, ...ended });
    }
    for (const { buriedAt, ...letter } of this.#post.dead()) {
      if (letter.to.kind !== JOB_KIND) continue;
      yield copied({
        ...letter,
        status: "failed" as const,
        priority: letter.job?.priority ?? 0,
        finishedAt: buriedAt,
      });
    }
  }
}

function waitingRecord(job: Waiting, now: number): JobRecord {
  const isDelayed = job.availableAt > now;
  return {
    ...job.message,
    status: job.leaseUntil > now ? "active" : isDelayed ? "delayed" : "waiting",
    priority: job.priority,
    attempts: job.attempts,
    ...(job.progress !== undefined && { progress: job.progress }),
    ...(job.error !== undefined && { error: job.error }),
    ...(job.cancelledBy !== undefined && { cancelledBy: job.cancelledBy }),
    availableAt: job.availableAt,
  };
}
