/**
 * The port behind which jobs wait, run and are remembered.
 *
 * Jobs lie in the outbox beside all other messages; what differs is how they are taken out. Whoever
 * claims a job has it under a lease, by the store's own clock, and what becomes of it is recorded only
 * while the claim holds: so a job ends once, however often it was begun.
 *
 * Every method throws {@linkcode TransientFault} when it cannot be done now.
 *
 * @module
 */
import type { OutboxMessage } from "../runtime/outbox.ts";
import type { NewMessage } from "../runtime/store.ts";

/** How much of a queue may run; what is left out has no bound. */
export interface QueueLimits {
  /** Jobs that run at a time, on all nodes together. */
  readonly runningMax?: number;
  /** Jobs of one concurrency key that run at a time, on all nodes together. */
  readonly runningPerKeyMax?: number;
  /** Within no span of `windowMs`, wherever it begins, are more than `max` jobs started. */
  readonly rate?: { readonly max: number; readonly windowMs: number };
}

export function isLimited(limits: QueueLimits = {}): boolean {
  return Object.values(limits).some((limit) => limit !== undefined);
}

export interface JobClaim {
  readonly queue: string;
  /** Tells this claim from every other; an integer below 2^53. */
  readonly token: number;
  readonly leaseMs: number;
  readonly limit: number;
  readonly limits?: QueueLimits;
}

/** A job and the claim under which it is held. */
export interface JobHold {
  readonly queue: string;
  readonly position: number;
  readonly token: number;
}

export interface ClaimedJob extends OutboxMessage, JobHold {
  /** Counts this one. */
  readonly attempt: number;
  /** Somebody wanted it cancelled while another had it: it is not to be begun again. */
  readonly isCancelled?: boolean;
}

export interface JobPage {
  /** In the order in which they are to be begun. */
  readonly jobs: readonly ClaimedJob[];
  /** The rate of the queue keeps more from being claimed for so long. */
  readonly againMs?: number;
}

/** What becomes of a job that is held. */
export type JobEnding =
  & JobHold
  & {
    /** What is told in the statement that ends it. */
    readonly report?: NewMessage;
    /** It runs under the limits of its queue. */
    readonly isCounted: boolean;
  }
  & (
    | { readonly is: "completed"; readonly result: unknown; readonly keepMs: number }
    | { readonly is: "cancelled"; readonly keepMs: number }
    /** It has failed, and is tried again after `delayMs`. */
    | { readonly is: "retried"; readonly delayMs: number; readonly error: string }
    /** It becomes a dead letter. */
    | { readonly is: "failed"; readonly error: string }
    /** Its worker is stopping: as if it had not been claimed. */
    | { readonly is: "released" }
  );

export const jobStatuses = [
  "waiting",
  "delayed",
  "active",
  "completed",
  "failed",
  "cancelled",
] as const;
export type JobStatus = typeof jobStatuses[number];

/** A job as whoever asks for it sees it. */
export interface JobRecord extends OutboxMessage {
  readonly status: JobStatus;
  readonly priority: number;
  readonly attempts: number;
  /** As the handler last told; undefined if it never did. */
  readonly progress?: unknown;
  /** Of a completed job. */
  readonly result?: unknown;
  /** Why the last attempt failed. */
  readonly error?: string;
  /** When it is due, of one that waits. */
  readonly availableAt?: number;
  readonly finishedAt?: number;
  readonly cancelledBy?: string;
}

export interface JobQuery {
  readonly queue: string;
  readonly status?: JobStatus;
  /** Positions before this one. */
  readonly before?: number;
  readonly limit: number;
}

export interface QueueDepth {
  readonly queue: string;
  /** Due and not claimed; counted up to a limit. */
  readonly waiting: number;
  /** How long the oldest of them has been due. */
  readonly oldestMs: number;
  readonly active: number;
}

export interface JobQueue {
  /**
   * Enqueues all, or none. Answers with the id under which each is found: another's, where its unique
   * key is taken. A message id that is known already is not enqueued again.
   */
  enqueue(jobs: readonly NewMessage[]): Promise<readonly string[]>;

  /**
   * The most urgent that are due, within the limits of their queue. Repeated under one token it takes
   * again what it took before: its answer may have got lost.
   */
  claim(claim: JobClaim): Promise<JobPage>;

  /**
   * Says that the jobs of a claim have been started by now, so that they count against the rate of the
   * queue from now and no longer from whenever they might have been.
   */
  started(queue: string, token: number, windowMs: number): Promise<void>;

  /** In how many milliseconds the next job of the queue becomes due; undefined if none waits for it. */
  nextDueMs(queue: string): Promise<number | undefined>;

  /** Records endings of claims that still hold; says of each whether it does. */
  settle(endings: readonly JobEnding[]): Promise<readonly boolean[]>;

  /**
   * Prolongs claims; answers with those lost, and those whose job somebody wants cancelled. Of jobs
   * that are counted against limits a claim is lost as well when its place was given away.
   */
  extend(
    holds: readonly JobHold[],
    leaseMs: number,
    options?: { readonly isCounted: boolean },
  ): Promise<{ readonly lost: readonly JobHold[]; readonly cancelled: readonly JobHold[] }>;

  /** Notes how far a job is; false if the claim no longer holds. */
  note(hold: JobHold, progress: unknown): Promise<boolean>;

  get(id: string): Promise<JobRecord | undefined>;

  /** The newest first. */
  list(query: JobQuery): Promise<readonly JobRecord[]>;

  /**
   * Ends a job that waits, with its `report`; has one that runs told to stop. Undefined if it has ended
   * or never was.
   */
  cancel(
    id: string,
    by: string,
    ending: { readonly keepMs: number; readonly report?: NewMessage },
  ): Promise<"cancelled" | "cancelling" | undefined>;

  depth(queues: readonly string[], countMax: number): Promise<readonly QueueDepth[]>;

  /** Forgets what is kept no longer, at most `limit`; says how many. */
  forget(limit: number): Promise<number>;
}
