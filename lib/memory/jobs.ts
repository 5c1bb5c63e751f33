/**
 * What the statements of the queues do, each at one moment: `now` is the time of the database.
 *
 * @module
 */
import { JOB_KIND } from "../jobs/job.ts";
import {
  type ClaimedJob,
  isLimited,
  type JobClaim,
  type JobEnding,
  type JobHold,
  type JobPage,
  type JobQuery,
  type JobRecord,
  type QueueDepth,
  type QueueLimits,
} from "../jobs/job_queue.ts";
import type { OutboxMessage } from "../runtime/outbox.ts";
import type { NewMessage } from "../runtime/store.ts";
import { kept } from "./copied.ts";
import type { Lanes } from "./lanes.ts";
import { bury } from "./letters.ts";
import type { JobRow, RunningRow, Tables, Traits } from "./tables.ts";

export class Jobs {
  readonly #tables: Tables;
  readonly #lanes: Lanes;

  constructor(tables: Tables, lanes: Lanes) {
    this.#tables = tables;
    this.#lanes = lanes;
  }

  /** False if another has its unique key. */
  add(
    { delayMs: _, job: traits = { priority: 0 }, ...message }: NewMessage,
    position: number,
    at: number,
    availableAt: number,
  ): boolean {
    if (this.holderOf(message.to.key, traits.uniqueKey) !== undefined) return false;
    this.put({ ...message, position, at }, traits, availableAt);
    return true;
  }

  put(message: OutboxMessage, traits: Traits, availableAt: number): void {
    this.#tables.jobs.set(message.position, {
      message: Object.freeze(message),
      traits,
      availableAt,
      token: undefined,
      leaseUntil: 0,
      attempts: 0,
      error: undefined,
      progress: undefined,
      cancelledBy: undefined,
    });
  }

  waits(messageId: string): boolean {
    return this.#waiting(messageId) !== undefined;
  }

  /** Who keeps others with that key out of the queue. */
  holderOf(queue: string, uniqueKey: string | undefined): string | undefined {
    if (uniqueKey === undefined) return undefined;
    for (const { message, traits } of this.#tables.jobs.values()) {
      if (message.to.key === queue && traits.uniqueKey === uniqueKey) return message.messageId;
    }
    return undefined;
  }

  enqueue(jobs: readonly NewMessage[], now: number): readonly string[] {
    const { drawn, finished, letters } = this.#tables;
    return kept(jobs).map((job) => {
      const { messageId, to, delayMs } = job;
      const isKnown = this.waits(messageId) || finished.has(messageId) || letters.has(messageId);
      if (isKnown || this.add(job, ++drawn.message, now, now + delayMs)) return messageId;
      return this.holderOf(to.key, job.job?.uniqueKey)!;
    });
  }

  claim(claim: JobClaim, now: number): JobPage {
    const { queue, token, leaseMs, limit, limits = {} } = claim;
    const isCounted = isLimited(limits);
    if (isCounted) this.#forgetPassed(queue, now);
    const { room, againMs } = this.#room(claim, limits, now);
    const chosen = this.#chosen(claim, Math.min(limit, room), now);
    const { running } = this.#tables;
    for (const job of chosen) {
      if (job.token !== token) job.attempts++;
      const leaseUntil = now + leaseMs;
      Object.assign(job, { token, leaseUntil });
      const { concurrencyKey } = job.traits;
      if (isCounted) {
        running.set(job.message.position, { queue, token, concurrencyKey, leaseUntil });
      }
    }
    this.#noteStart(claim, chosen.length, now);
    return {
      jobs: chosen.map((job): ClaimedJob => ({
        ...job.message,
        queue,
        token,
        attempt: job.attempts,
        ...(job.cancelledBy !== undefined && { isCancelled: true }),
      })),
      ...(againMs !== undefined && { againMs }),
    };
  }

  #room(
    { queue, token, limit }: JobClaim,
    { runningMax = Infinity, rate }: QueueLimits,
    now: number,
  ) {
    const running = this.#counted(queue, token, now).length;
    const recent = this.#tables.starts.filter((start) =>
      start.queue === queue && start.token !== token && start.countsUntil > now
    );
    const started = recent.reduce((sum, { jobs }) => sum + jobs, 0);
    const byRate = (rate?.max ?? Infinity) - started;
    const room = Math.max(0, Math.min(limit, runningMax - running, byRate));
    const first = Math.min(...recent.map(({ countsUntil }) => countsUntil));
    return { room, againMs: room === 0 && byRate <= 0 ? first - now : undefined };
  }

  #chosen({ queue, token, limits = {} }: JobClaim, room: number, now: number): JobRow[] {
    const { runningPerKeyMax = Infinity } = limits;
    const free = this.#due(queue, now)
      .filter(({ token: holder, leaseUntil }) => leaseUntil <= now || holder === token)
      .sort(asQueued);
    const beside = new Map<string, number>();
    for (const { concurrencyKey } of this.#counted(queue, token, now)) {
      if (concurrencyKey === undefined) continue;
      beside.set(concurrencyKey, (beside.get(concurrencyKey) ?? 0) + 1);
    }
    const chosen: JobRow[] = [];
    for (const job of free) {
      if (chosen.length >= room) break;
      const { concurrencyKey } = job.traits;
      if (concurrencyKey !== undefined) {
        const running = beside.get(concurrencyKey) ?? 0;
        if (running >= runningPerKeyMax) continue;
        beside.set(concurrencyKey, running + 1);
      }
      chosen.push(job);
    }
    return chosen;
  }

  #noteStart({ queue, token, leaseMs, limits }: JobClaim, jobs: number, now: number): void {
    if (limits?.rate === undefined || jobs === 0) return;
    const { starts } = this.#tables;
    const countsUntil = now + leaseMs + limits.rate.windowMs;
    const start = starts.find((other) => other.queue === queue && other.token === token);
    if (start === undefined) return void starts.push({ queue, token, jobs, countsUntil });
    start.jobs = Math.max(start.jobs, jobs);
    start.countsUntil = Math.max(start.countsUntil, countsUntil);
  }

  /** The places of jobs whose lease is over, and starts that count no more. */
  #forgetPassed(queue: string, now: number): void {
    const { running, starts } = this.#tables;
    for (const [position, { queue: other, leaseUntil }] of running) {
      if (other === queue && leaseUntil <= now) running.delete(position);
    }
    const left = starts.filter((start) => start.queue !== queue || start.countsUntil > now);
    starts.splice(0, starts.length, ...left);
  }

  started(queue: string, token: number, windowMs: number, now: number): void {
    for (const start of this.#tables.starts) {
      if (start.queue === queue && start.token === token) start.countsUntil = now + windowMs;
    }
  }

  nextDueMs(queue: string, now: number): number | undefined {
    let nextAt = Infinity;
    for (const { message, availableAt } of this.#tables.jobs.values()) {
      if (message.to.key === queue && availableAt > now) nextAt = Math.min(nextAt, availableAt);
    }
    return nextAt === Infinity ? undefined : nextAt - now;
  }

  settle(endings: readonly JobEnding[], now: number): readonly boolean[] {
    const settled = new Set(
      [...endings].sort(inOrder).filter((ending) => this.#settle(ending, now)),
    );
    return endings.map((ending) => settled.has(ending));
  }

  #settle(ending: JobEnding, now: number): boolean {
    const job = this.#held(ending);
    const { position, token, isCounted } = ending;
    const { running } = this.#tables;
    if (isCounted && running.get(position)?.token === token) running.delete(position);
    if (job === undefined) return false;
    if (ending.is === "retried" || ending.is === "released") giveBack(job, ending, now);
    else this.#end(job, ending, now);
    return true;
  }

  #end(
    job: JobRow,
    ending: Exclude<JobEnding, { is: "retried" | "released" }>,
    now: number,
  ): void {
    this.#tables.jobs.delete(job.message.position);
    if (ending.is === "failed") {
      const { message, traits, attempts } = job;
      bury(this.#tables, message, traits, { attempts, error: ending.error, buriedAt: now });
    } else {
      job.cancelledBy = ending.is === "cancelled" ? job.cancelledBy ?? "" : undefined;
      this.#keep(job, ending.is === "completed" ? ending.result : undefined, ending.keepMs, now);
    }
    if (ending.report !== undefined) this.#report(ending.report, now);
  }

  #report(report: NewMessage, now: number): void {
    this.#lanes.add(kept(report), ++this.#tables.drawn.message, now, now);
  }

  #keep(job: JobRow, result: unknown, keepMs: number, now: number): void {
    if (keepMs <= 0) return;
    this.#tables.finished.set(job.message.messageId, {
      job,
      result: kept(result ?? null),
      finishedAt: now,
      keepUntil: now + keepMs,
    });
  }

  extend(holds: readonly JobHold[], leaseMs: number, isCounted: boolean, now: number) {
    const leaseUntil = now + leaseMs;
    const held = new Map(holds.flatMap((hold) => {
      const job = this.#held(hold);
      const place = this.#tables.running.get(hold.position);
      const isPlaced = place?.token === hold.token;
      if (job === undefined || isCounted && !isPlaced) return [];
      job.leaseUntil = leaseUntil;
      if (isPlaced) place!.leaseUntil = leaseUntil;
      return [[hold, job] as const];
    }));
    return {
      lost: holds.filter((hold) => !held.has(hold)),
      cancelled: holds.filter((hold) => held.get(hold)?.cancelledBy !== undefined),
    };
  }

  note(hold: JobHold, progress: unknown): boolean {
    const job = this.#held(hold);
    if (job === undefined) return false;
    job.progress = kept(progress) ?? undefined;
    return true;
  }

  get(id: string, now: number): JobRecord | undefined {
    const waiting = this.#waiting(id);
    if (waiting !== undefined) return waitingRecord(waiting, now);
    for (const record of this.#ended(now)) if (record.messageId === id) return record;
    return undefined;
  }

  list(
    { queue, status, before = Infinity, limit }: JobQuery,
    now: number,
  ): readonly JobRecord[] {
    const waiting = [...this.#tables.jobs.values()].map((job) => waitingRecord(job, now));
    return [...waiting, ...this.#ended(now)]
      .filter((job) => job.to.key === queue && job.position < before)
      .filter((job) => status === undefined || job.status === status)
      .sort((a, b) => b.position - a.position).slice(0, limit);
  }

  cancel(
    id: string,
    by: string,
    { keepMs, report }: { readonly keepMs: number; readonly report?: NewMessage },
    now: number,
  ): "cancelled" | "cancelling" | undefined {
    const job = this.#waiting(id);
    if (job === undefined) return undefined;
    job.cancelledBy = by;
    if (job.leaseUntil > now) return "cancelling";
    this.#tables.jobs.delete(job.message.position);
    this.#keep(job, undefined, keepMs, now);
    if (report !== undefined) this.#report(report, now);
    return "cancelled";
  }

  depth(queues: readonly string[], countMax: number, now: number): readonly QueueDepth[] {
    return queues.map((queue) => {
      const due = this.#due(queue, now).sort(asQueued).slice(0, countMax);
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

  forget(limit: number, now: number): number {
    const { finished } = this.#tables;
    const past = [...finished].filter(([, { keepUntil }]) => keepUntil <= now)
      .sort(([, a], [, b]) => a.keepUntil - b.keepUntil).slice(0, limit);
    for (const [id] of past) finished.delete(id);
    return past.length;
  }

  #due(queue: string, now: number): JobRow[] {
    const due: JobRow[] = [];
    for (const job of this.#tables.jobs.values()) {
      if (job.message.to.key === queue && job.availableAt <= now) due.push(job);
    }
    return due;
  }

  /** What counts against the limits of the queue, but for the jobs of that claim. */
  #counted(queue: string, token: number, now: number): readonly RunningRow[] {
    return [...this.#tables.running.values()].filter((place) =>
      place.queue === queue && place.leaseUntil > now && place.token !== token
    );
  }

  #held({ queue, position, token }: JobHold): JobRow | undefined {
    const job = this.#tables.jobs.get(position);
    return job?.token === token && job.message.to.key === queue ? job : undefined;
  }

  #waiting(messageId: string): JobRow | undefined {
    for (const job of this.#tables.jobs.values()) {
      if (job.message.messageId === messageId) return job;
    }
    return undefined;
  }

  *#ended(now: number): Iterable<JobRecord> {
    const { finished, letters } = this.#tables;
    for (const { job, result, finishedAt, keepUntil } of finished.values()) {
      if (keepUntil <= now) continue;
      const { availableAt: _, error: __, ...record } = waitingRecord(job, now);
      const ended = job.cancelledBy === undefined
        ? { status: "completed", result } as const
        : { status: "cancelled" } as const;
      yield { ...record, finishedAt, ...ended };
    }
    for (const { letter: { buriedAt, ...letter }, traits } of letters.values()) {
      if (letter.to.kind !== JOB_KIND) continue;
      yield { ...letter, status: "failed", priority: traits.priority, finishedAt: buriedAt };
    }
  }
}

function inOrder(a: JobHold, b: JobHold): number {
  if (a.queue !== b.queue) return a.queue < b.queue ? -1 : 1;
  return a.position - b.position;
}

function giveBack(
  job: JobRow,
  ending: Extract<JobEnding, { is: "retried" | "released" }>,
  now: number,
): void {
  Object.assign(job, { token: undefined, leaseUntil: 0 });
  if (ending.is === "released") return void job.attempts--;
  // Whoever takes one that is not wanted any more has nothing to do but end it.
  job.availableAt = now + (job.cancelledBy === undefined ? ending.delayMs : 0);
  job.error = ending.error;
}

function asQueued(a: JobRow, b: JobRow): number {
  return a.traits.priority - b.traits.priority || a.availableAt - b.availableAt ||
    a.message.position - b.message.position;
}

function waitingRecord(job: JobRow, now: number): JobRecord {
  const isDelayed = job.availableAt > now;
  return {
    ...job.message,
    status: job.leaseUntil > now ? "active" : isDelayed ? "delayed" : "waiting",
    priority: job.traits.priority,
    attempts: job.attempts,
    ...(job.progress !== undefined && { progress: job.progress }),
    ...(job.error !== undefined && { error: job.error }),
    ...(job.cancelledBy !== undefined && { cancelledBy: job.cancelledBy }),
    availableAt: job.availableAt,
  };
}
