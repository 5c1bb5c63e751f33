/**
 * Takes jobs out of one queue and has them done: at least once, and recorded as done once.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { PoisonFault, TransientFault } from "../fault.ts";
import { backoffMs } from "../resilience/backoff.ts";
import type { RetryBudget } from "../resilience/retry_budget.ts";
import { Batcher } from "../runtime/batcher.ts";
import type { Observe } from "../runtime/observe.ts";
import { newToken, reasonOf } from "../runtime/outbox.ts";
import { Worker } from "../runtime/worker.ts";
import {
  type JobCommand,
  type JobDefinition,
  type JobHandler,
  type JobOutcome,
  type JobReport,
  RESULT_BYTES_MAX,
  Unretryable,
} from "./job.ts";
import {
  type ClaimedJob,
  isLimited,
  type JobEnding,
  type JobHold,
  type JobQueue,
  type QueueLimits,
} from "./job_queue.ts";
import { reportOf } from "./job_report.ts";
import { jsonBytes } from "./json_bytes.ts";
import { HELD_BY_ANOTHER, RunningJob } from "./running_job.ts";

/** A queue, as one node works at it. */
export interface QueueOptions {
  readonly queue: string;
  /** Handlers that run at a time on this node. */
  readonly concurrency?: number;
  /** What all nodes together keep to. */
  readonly limits?: QueueLimits;
}

export interface JobWorkerLimits {
  readonly concurrency: number;
  /** Jobs of one claim. */
  readonly claimMax: number;
  /** How long a claim holds unless it is prolonged; a node that falls silent gives its jobs back then. */
  readonly leaseMs: number;
  /** How often to look for jobs that nobody has announced. */
  readonly pollMs: number;
  /** How often it is checked whether a job takes too long. */
  readonly watchMs: number;
  readonly drainMs: number;
}

export const defaultJobWorkerLimits: JobWorkerLimits = {
  concurrency: 10,
  claimMax: 500,
  leaseMs: 30_000,
  pollMs: 500,
  watchMs: 250,
  drainMs: 5_000,
};

/** What is done for a job of one type. */
export interface JobBinding {
  readonly job: JobDefinition;
  readonly handle: JobHandler;
}

export function handles<Payload>(
  job: JobDefinition<Payload>,
  handle: JobHandler<Payload>,
): JobBinding {
  // The worker hands over only what the parser of this very job gave.
  return { job, handle: handle as JobHandler };
}

export interface JobWorkerOptions extends QueueOptions {
  readonly bindings: readonly JobBinding[];
  readonly jobs: JobQueue;
  readonly env: Env;
  readonly observe: Observe;
  readonly budget?: RetryBudget | undefined;
  readonly tuning?: Partial<JobWorkerLimits>;
}

/** Of quick jobs as many are claimed ahead as are done within so long, up to the most. */
const AHEAD_MS = 100;
const AHEAD_MAX = 2_000;
/** Over less than this no pace is measured: slow jobs that end together are not quick ones. */
const PACE_MS = 20;
/** At that pace, claims are under way together: one is looked for while another is handed over. */
const CLAIMS_MAX = 2;
const ENDINGS_MAX = 500;

/** Any number of nodes may run one for the same queue. */
export class JobWorker extends Worker {
  readonly #options: JobWorkerOptions;
  readonly #limits: JobWorkerLimits;
  readonly #bindings: ReadonlyMap<string, JobBinding>;
  readonly #isBounded: boolean;
  readonly #settling: Batcher<JobEnding, boolean>;
  /** Claimed and not begun. */
  #ahead: ClaimedJob[] = [];
  readonly #running = new Set<RunningJob>();
  /** Ended, and not recorded yet. */
  #unsettled = 0;
  /** Under way, and how many jobs they ask for. */
  readonly #claims = new Set<Promise<void>>();
  #expected = 0;
  /** What the last claim found says to wait so long. */
  #restMs = 0;
  /** Since the pace was last measured, which was then. */
  #done = 0;
  #pacedAt = 0;
  /** How many are claimed ahead. */
  #pace = 0;
  /** The last claim found less than it asked for. */
  #isDry = false;
  #watching: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(options: JobWorkerOptions) {
    const limits = { ...defaultJobWorkerLimits, ...options.tuning };
    const { env, observe, budget } = options;
    const { drainMs } = limits;
    super({ name: `jobs/${options.queue}`, env, observe, drainMs, budget });
    this.#options = options;
    this.#limits = { ...limits, concurrency: options.concurrency ?? limits.concurrency };
    this.#bindings = new Map(options.bindings.map((binding) => [binding.job.type, binding]));
    this.#isBounded = isLimited(options.limits);
    this.#settling = new Batcher({
      run: (endings) => this.#settle(endings),
      batchMax: ENDINGS_MAX,
      inFlightMax: 2,
    });
  }

  protected override get inHand(): number {
    return this.#ahead.length + this.#running.size + this.#unsettled;
  }

  protected override async run(): Promise<void> {
    this.#watching ??= this.keep(() => this.#watch());
    while (!this.isDraining) {
      const restMs = this.#restMs;
      const limit = this.#wanted();
      this.#restMs = 0;
      // What is claimed, and what ends, wakes it.
      if (restMs > 0) await this.rest(restMs);
      else if (limit <= 0) await this.rest(this.#limits.pollMs);
      else this.#startClaim(limit);
    }
    await Promise.all(this.#claims);
  }

  /** What was claimed and not begun goes back at once, so that others can have it. */
  protected override async finish(): Promise<void> {
    const ahead = this.#ahead;
    this.#ahead = [];
    this.#release(ahead);
    if (this.inHand > 0) await new Promise<void>((resolve) => this.#idle = resolve);
    await this.#watching;
  }

  protected override abandon(): void {
    for (const job of [...this.#running]) {
      job.stop("its worker stops");
      this.#leave(job, { is: "released" }, "abandoned");
    }
  }

  /** Nothing while half of what could be in hand is: few large claims cost less than many. */
  #wanted(): number {
    const { concurrency, claimMax } = this.#limits;
    if (this.#claims.size >= (this.#pace >= claimMax ? CLAIMS_MAX : 1)) return 0;
    const most = concurrency + this.#pace;
    const held = this.#running.size + this.#ahead.length + this.#expected;
    if (held > most / 2 && held >= concurrency || this.#unsettled > AHEAD_MAX) return 0;
    return Math.min(claimMax, most - held);
  }

  /** What is claimed under a limit begins at once: it is counted from its start. */
  #keepPace(): void {
    const now = this.env.monotonic();
    const elapsedMs = now - this.#pacedAt;
    if (elapsedMs < PACE_MS) return;
    const rate = this.#done / elapsedMs;
    this.#pace = this.#isBounded ? 0 : Math.min(AHEAD_MAX, Math.floor(rate * AHEAD_MS));
    this.#done = 0;
    this.#pacedAt = now;
  }

  #startClaim(limit: number): void {
    this.#keepPace();
    this.#expected += limit;
    const claim = this.#claim(limit).finally(() => {
      this.#claims.delete(claim);
      this.#expected -= limit;
      this.wake();
    });
    this.#claims.add(claim);
  }

  /** Never throws. */
  async #claim(limit: number): Promise<void> {
    const { jobs, queue, env, observe, limits } = this.#options;
    const { leaseMs, pollMs } = this.#limits;
    const token = newToken(env);
    let askedAt = 0;
    try {
      const claim = { queue, token, leaseMs, limit, ...(limits !== undefined && { limits }) };
      const ask = () => {
        askedAt = env.monotonic();
        return jobs.claim(claim);
      };
      const page = await this.insisting(ask, (error) => this.#failed("claim", error));
      this.#accept(page.jobs, askedAt + leaseMs);
      if (page.jobs.length > 0 && limits?.rate !== undefined) {
        await jobs.started(queue, token, limits.rate.windowMs);
      }
      if (page.againMs !== undefined) {
        observe({ type: "queue-limited", queue, againMs: page.againMs });
      }
      this.#isDry = page.jobs.length < limit;
      if (this.#isDry) {
        const dueMs = page.againMs ?? await jobs.nextDueMs(queue) ?? pollMs;
        this.#restMs = Math.min(pollMs, Math.max(1, dueMs));
      }
      this.note();
    } catch (error) {
      this.#failed("claim", error);
      this.#restMs = pollMs;
    }
  }

  #accept(claimed: readonly ClaimedJob[], heldUntil: number): void {
    // An answer may come so late that others have them by now, and limits no longer count them.
    if (this.env.monotonic() >= heldUntil) return this.#release(claimed);
    this.#ahead.push(...claimed);
    this.#begin();
    if (!this.#isBounded) return;
    const begun = new Set(claimed);
    for (const job of this.#running) if (begun.has(job.claimed)) job.heldUntil = heldUntil;
  }

  #release(claimed: readonly ClaimedJob[]): void {
    for (const job of claimed) this.#end({ ...this.#holdOf(job), is: "released" });
  }

  /** As many as may run; while it is drained, none. */
  #begin(): void {
    if (this.isDraining) return;
    let begun = 0;
    while (this.#running.size < this.#limits.concurrency && begun < this.#ahead.length) {
      this.#start(this.#ahead[begun++]!);
    }
    if (begun > 0) this.#ahead.splice(0, begun);
  }

  #start(claimed: ClaimedJob): void {
    const { env, jobs } = this.#options;
    const command = claimed.command as JobCommand;
    const binding = this.#bindings.get(command.type);
    const job = new RunningJob(
      claimed,
      command,
      binding?.job,
      env,
      (progress) => jobs.note(claimed, progress),
    );
    this.#running.add(job);
    this.#run(job, binding).catch((error) => {
      // A defect of this worker, not of the handler. The lease gives the job back.
      this.#failed("settle", error);
    });
  }

  async #run(job: RunningJob, binding: JobBinding | undefined): Promise<void> {
    // What fails at once must not end before those that began with it have begun.
    await null;
    if (job.claimed.isCancelled) {
      return this.#leave(job, { is: "cancelled", keepMs: job.retentionMs }, "cancelled");
    }
    let result: unknown;
    try {
      if (binding === undefined) throw new Error(`Nothing here does jobs of type ${job.type}`);
      if (job.isWornOut) {
        throw new Unretryable(`It was begun ${job.attempt - 1} times, never ended`);
      }
      result = await binding.handle(payloadOf(binding.job, job.claimed), job.context);
      refuseLarge(result);
    } catch (error) {
      return this.#afterFailure(job, error);
    }
    this.#leave(job, { is: "completed", result, keepMs: binding.job.retentionMs }, "completed");
  }

  #afterFailure(job: RunningJob, error: unknown): void {
    const { env } = this.#options;
    if (job.isCancelled) {
      return this.#leave(job, { is: "cancelled", keepMs: job.retentionMs }, "cancelled");
    }
    const reason = reasonOf(error);
    if (error instanceof Unretryable || job.attempt >= job.attemptsMax) {
      return this.#leave(job, { is: "failed", error: reason }, "failed", error);
    }
    const pauseMs = backoffMs(job.attempt, env.random(), job.backoff);
    const delayMs = error instanceof TransientFault
      ? Math.max(pauseMs, error.retryAfterMs)
      : pauseMs;
    this.#leave(job, { is: "retried", delayMs, error: reason }, "retried", error);
  }

  /** The first ending of an attempt counts: what a handler does after it was left is its own affair. */
  #leave(job: RunningJob, ending: Ending, outcome: JobOutcome, error?: unknown): void {
    if (!this.#running.delete(job)) return;
    const { observe, env } = this.#options;
    const report = ending.is === "retried" || ending.is === "released"
      ? undefined
      : reportOf(job.claimed, job.command, ending, () => env.uuid());
    this.#end({ ...this.#holdOf(job.claimed), ...ending, ...(report !== undefined && { report }) });
    this.#done++;
    const { claimed, type: jobType, attempt, startedAt } = job;
    const endedAt = env.monotonic();
    observe({
      type: "job",
      job: claimed,
      jobType,
      attempt,
      outcome,
      startedAt,
      endedAt,
      ...(error !== undefined && { error }),
    });
    this.#begin();
    if (!this.#isDry && this.#wanted() > 0) this.wake();
  }

  #holdOf({ queue, position, token }: JobHold) {
    return { queue, position, token, isCounted: this.#isBounded };
  }

  #end(ending: JobEnding): void {
    this.#unsettled++;
    void this.#settling.add(ending).then((isHeld) => this.#ended(ending, isHeld), (error) => {
      // The lease gives it back, to be done again.
      this.#failed("settle", error);
    }).finally(() => {
      this.#unsettled--;
      if (this.inHand === 0) this.#idle?.();
      // Only now has a queue with limits room for another.
      if (this.#isBounded || this.#unsettled === AHEAD_MAX) this.wake();
    });
  }

  #ended({ report }: JobEnding, isHeld: boolean): void {
    if (isHeld && report !== undefined) {
      this.#options.observe({ type: "told", to: [report.to] });
    }
  }

  async #settle(endings: readonly JobEnding[]): Promise<readonly boolean[]> {
    const { observe, queue } = this.#options;
    const held = await this.#recorded(endings);
    observe({ type: "jobs-settled", queue, jobs: endings.length });
    return held;
  }

  async #recorded(endings: readonly JobEnding[]): Promise<readonly boolean[]> {
    const { jobs } = this.#options;
    try {
      return await this.insisting(
        () => jobs.settle(endings),
        (error) => this.#failed("settle", error),
      );
    } catch (error) {
      if (!(error instanceof PoisonFault)) throw error;
      this.#failed("settle", error);
      const [first, ...others] = endings;
      if (others.length === 0) return await jobs.settle([unrecordable(first!, error)]);
      // Only whose result the store refuses is to suffer from it.
      const half = Math.ceil(endings.length / 2);
      const parts = [endings.slice(0, half), endings.slice(half)];
      return (await Promise.all(parts.map((part) => this.#recorded(part)))).flat();
    }
  }

  #failed(task: "claim" | "settle" | "extend", error: unknown): void {
    const { observe, queue } = this.#options;
    this.note(error);
    observe({ type: "job-worker-failed", queue, task, error });
  }

  /** Prolongs what is held, and stops what takes too long, was cancelled, or is held no more. */
  async #watch(): Promise<void> {
    const { env } = this.#options;
    const { watchMs, leaseMs } = this.#limits;
    let extendAt = env.monotonic() + leaseMs / 3;
    // Beside it, as the store may take long to answer.
    let extending: Promise<void> | undefined;
    while (!this.isDraining || this.inHand > 0) {
      // While it is drained, what is in hand is still watched.
      await (this.isDraining ? env.sleep(watchMs) : this.pause(watchMs));
      const now = env.monotonic();
      for (const job of [...this.#running]) {
        // Who could not prolong it must think that soon others run in its place.
        if (now >= job.heldUntil - watchMs) job.stop("its lease is over");
        if (now < job.deadline) continue;
        job.stop("timed out");
        this.#afterFailure(job, new TimedOut(`It took longer than ${job.timeoutMs} ms`));
      }
      if (now < extendAt || extending !== undefined) continue;
      extendAt = now + leaseMs / 3;
      extending = this.#extend().finally(() => extending = undefined);
    }
    await extending;
  }

  async #extend(): Promise<void> {
    const { jobs, env } = this.#options;
    const { leaseMs } = this.#limits;
    const running = [...this.#running];
    const holds = [...running.map(({ claimed }) => claimed), ...this.#ahead];
    if (holds.length === 0) return;
    const heldUntil = env.monotonic() + leaseMs;
    try {
      const isCounted = this.#isBounded;
      const { lost, cancelled } = await jobs.extend(holds, leaseMs, { isCounted });
      const [gone, unwanted] = [new Set(lost.map(nameOf)), new Set(cancelled.map(nameOf))];
      for (const job of running) {
        const name = nameOf(job.claimed);
        if (gone.has(name)) job.stop(HELD_BY_ANOTHER);
        else if (isCounted) job.heldUntil = heldUntil;
        if (unwanted.has(name)) job.cancel();
      }
      this.#ahead = this.#ahead.filter((job) => !gone.has(nameOf(job)))
        .map((job) => unwanted.has(nameOf(job)) ? { ...job, isCancelled: true } : job);
    } catch (error) {
      this.#failed("extend", error);
    }
  }
}

type Ending = JobEnding extends infer Each
  ? Each extends JobEnding ? Omit<Each, keyof JobHold | "report" | "isCounted"> : never
  : never;

/** A worker may hold a job twice: under a claim that it lost, and under one that it made since. */
function nameOf({ position, token }: JobHold): string {
  return `${token}/${position}`;
}

/** What becomes of a job whose end the store refuses to keep. */
function unrecordable(ending: JobEnding, cause: PoisonFault): JobEnding {
  const { queue, position, token, isCounted, report } = ending;
  const error = reasonOf(new Unretryable(`Its end cannot be recorded: ${cause.message}`));
  const failed = { queue, position, token, isCounted, is: "failed", error } as const;
  if (report === undefined) return failed;
  const { type, node, jobId } = report.command as JobReport;
  const told: JobReport = { type, node, jobId, outcome: "failed", error };
  return { ...failed, report: { ...report, command: told } };
}

/** What a handler that takes too long is told. */
class TimedOut extends Error {
  override readonly name = "TimedOut";
}

function payloadOf(job: JobDefinition, { schema, command }: ClaimedJob): unknown {
  const { payload } = command as JobCommand;
  const isOld = schema !== job.schema && job.upcast !== undefined;
  return job.payload.parse(isOld ? job.upcast!({ schema, payload }) : payload);
}

function refuseLarge(result: unknown): void {
  if (result === undefined || result === null) return;
  if (jsonBytes(result, RESULT_BYTES_MAX) <= RESULT_BYTES_MAX) return;
  throw new Unretryable(`Its result is no JSON of at most ${RESULT_BYTES_MAX} bytes`);
}
