/** One attempt at a job, from its start to whatever ends it first. */
import type { Env } from "../env.ts";
import type { Backoff } from "../resilience/backoff.ts";
import type { Cause } from "../runtime/envelope.ts";
import {
  type JobCommand,
  type JobContext,
  jobDefaults,
  type JobDefinition,
  PROGRESS_BYTES_MAX,
} from "./job.ts";
import type { ClaimedJob } from "./job_queue.ts";
import { jsonBytes } from "./json_bytes.ts";

export const HELD_BY_ANOTHER = "held by another worker";

export class RunningJob {
  readonly claimed: ClaimedJob;
  readonly command: JobCommand;
  readonly context: JobContext;
  /** In monotonic milliseconds. */
  readonly startedAt: number;
  /** Until then its claim holds for certain, in monotonic milliseconds. */
  heldUntil = Infinity;
  readonly #job: JobDefinition | undefined;
  #stopped: AbortController | undefined;
  #isCancelled = false;

  constructor(
    claimed: ClaimedJob,
    command: JobCommand,
    job: JobDefinition | undefined,
    env: Env,
    note: (progress: unknown) => Promise<boolean>,
  ) {
    this.claimed = claimed;
    this.command = command;
    this.#job = job;
    this.startedAt = env.monotonic();
    // Not all handlers look at the signal, and making one costs as much as a small job.
    const signal = () => (this.#stopped ??= new AbortController()).signal;
    const { messageId: id, attempt, correlationId } = claimed;
    this.context = {
      id,
      attempt,
      correlationId,
      reportTo: command.reportTo,
      scheduledFor: command.scheduledFor,
      get signal() {
        return signal();
      },
      progress: async (progress) => {
        refuseLarge(progress);
        if (!await note(progress)) this.stop(HELD_BY_ANOTHER);
      },
      cause: (step = "") => causeOf(claimed, command, step, env.uuid(), this.deadline),
    };
  }

  get type(): string {
    return this.command.type;
  }

  get attempt(): number {
    return this.claimed.attempt;
  }

  get attemptsMax(): number {
    return this.command.attemptsMax ?? (this.#job ?? jobDefaults).attemptsMax;
  }

  /** It was begun as often as it may be, and whoever began it did not live to say how it ended. */
  get isWornOut(): boolean {
    return this.attempt > this.attemptsMax;
  }

  get backoff(): Backoff {
    return (this.#job ?? jobDefaults).backoff;
  }

  get timeoutMs(): number {
    return (this.#job ?? jobDefaults).timeoutMs;
  }

  get retentionMs(): number {
    return (this.#job ?? jobDefaults).retentionMs;
  }

  get deadline(): number {
    return this.startedAt + this.timeoutMs;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Tells the handler to stop; once it throws, the job is cancelled. */
  cancel(): void {
    this.#isCancelled = true;
    this.stop("cancelled");
  }

  stop(why: string): void {
    (this.#stopped ??= new AbortController()).abort(new DOMException(why, "AbortError"));
  }
}

function refuseLarge(progress: unknown): void {
  if (jsonBytes(progress, PROGRESS_BYTES_MAX) <= PROGRESS_BYTES_MAX) return;
  throw new RangeError(`Progress must be JSON of at most ${PROGRESS_BYTES_MAX} bytes`);
}

/** Of what a job asks of actors: repeated by another attempt, it has no second effect. */
function causeOf(
  { messageId, correlationId, principal, traceparent }: ClaimedJob,
  { type }: JobCommand,
  step: string,
  id: string,
  deadline: number,
): Cause {
  return {
    messageId: id,
    correlationId,
    causationId: messageId,
    principal,
    deadline,
    idempotency: { key: `job ${messageId} ${step}`, requestHash: type },
    ...(traceparent !== undefined && { traceparent }),
  };
}
