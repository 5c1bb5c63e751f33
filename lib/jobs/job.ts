/**
 * Jobs: work that is to be done once, later or elsewhere, however often it has to be tried.
 *
 * A job is a message to a queue. Whoever decides returns it beside its events, as in
 * `messages: [enqueue(sendNotice, { … })]`: then it is there if and only if the events are. What is
 * defined here is known to those who enqueue; what is done is known to the worker alone.
 *
 * @module
 */
import type { Backoff } from "../resilience/backoff.ts";
import type { JobTraits, Message, Parser } from "../runtime/aggregate.ts";
import type { Address, Cause } from "../runtime/envelope.ts";
import { jsonBytes } from "./json_bytes.ts";

/** Of all messages that are jobs; their key is the queue. */
export const JOB_KIND = "job";

export const PRIORITY_MOST = 9;
export const PAYLOAD_BYTES_MAX = 64 * 1_024;
export const RESULT_BYTES_MAX = 64 * 1_024;
export const PROGRESS_BYTES_MAX = 16 * 1_024;

export interface JobDefinition<Payload = unknown> {
  /** Stored, so never renamed. */
  readonly type: string;
  readonly queue: string;
  /** Checks what is enqueued, and again what is taken out: it may have been written long ago. */
  readonly payload: Parser<Payload>;
  /** Raised when payloads are reshaped. */
  readonly schema: number;
  /** Brings a payload of an older schema to today's form, before `payload` parses it. */
  readonly upcast?: (old: { readonly schema: number; readonly payload: unknown }) => unknown;
  /** 0 to 9, the most urgent first. */
  readonly priority: number;
  /** After so many failed attempts it becomes a dead letter. */
  readonly attemptsMax: number;
  readonly backoff: Backoff;
  /** After this an attempt is told to stop, and has failed. */
  readonly timeoutMs: number;
  /** How long it can be looked at after its end, with what it gave. */
  readonly retentionMs: number;
}

export const jobDefaults = {
  schema: 1,
  priority: 5,
  attemptsMax: 8,
  backoff: { firstMs: 1_000, mostMs: 10 * 60_000 },
  timeoutMs: 60_000,
  retentionMs: 24 * 3_600_000,
};

type Defaults = typeof jobDefaults;

/** A job with the usual bounds, but for those that are given. */
export function defineJob<Payload>(
  definition:
    & Omit<JobDefinition<Payload>, keyof Defaults>
    & Partial<Pick<JobDefinition<Payload>, keyof Defaults>>,
): JobDefinition<Payload> {
  return { ...jobDefaults, ...definition };
}

/** What lies in the outbox as the command of a job. */
export interface JobCommand {
  readonly type: string;
  readonly payload: unknown;
  readonly attemptsMax?: number;
  /** Who is to hear how it ended, in the statement that ends it. */
  readonly reportTo?: ReportTarget;
  /** The time of the schedule that it is for, in epoch milliseconds. */
  readonly scheduledFor?: number;
  /** Of the request that enqueued it under an idempotency key. */
  readonly requestHash?: string;
}

/** An actor that takes {@linkcode JobReport} as a command. */
export interface ReportTarget {
  readonly to: Address;
  /** The `commandSchema` of that actor. */
  readonly schema: number;
  /** Tells the job from others that report there. */
  readonly node: string;
}

/** How a job ended. */
export type JobReport =
  & { readonly type: "Report"; readonly node: string; readonly jobId: string }
  & (
    | { readonly outcome: "completed"; readonly result: unknown }
    | { readonly outcome: "failed"; readonly error: string }
    | { readonly outcome: "cancelled" }
  );

/** What has to be known of a job to enqueue it. */
export type Enqueued<Payload> = Pick<
  JobDefinition<Payload>,
  "type" | "queue" | "payload" | "schema" | "priority"
>;

export interface EnqueueOptions {
  /** Not before so long after the decision. */
  readonly delayMs?: number;
  readonly priority?: number;
  /** While one of that key waits or runs in the queue, another is not enqueued. */
  readonly uniqueKey?: string;
  /** Of the jobs with one key only so many run at a time, as the queue says. */
  readonly concurrencyKey?: string;
  readonly attemptsMax?: number;
  readonly reportTo?: ReportTarget;
  readonly scheduledFor?: number;
  readonly requestHash?: string;
}

/** Why something cannot be enqueued. */
export class PayloadTooLarge extends Error {
  override readonly name = "PayloadTooLarge";
}

/**
 * A message that has the job done.
 *
 * @throws what the payload's parser throws; {@linkcode PayloadTooLarge}; RangeError for a priority
 * that no worker looks at.
 */
export function enqueue<Payload>(
  job: Enqueued<Payload>,
  payload: NoInfer<Payload>,
  { delayMs = 0, priority = job.priority, uniqueKey, concurrencyKey, ...rest }: EnqueueOptions = {},
): Message & { readonly job: JobTraits } {
  if (!Number.isInteger(priority) || priority < 0 || priority > PRIORITY_MOST) {
    throw new RangeError(`Cannot enqueue ${job.type}: ${priority} is no priority`);
  }
  job.payload.parse(payload);
  const command: JobCommand = { type: job.type, payload, ...rest };
  refuseLarge(command);
  return {
    to: { kind: JOB_KIND, key: job.queue },
    schema: job.schema,
    command,
    ...(delayMs > 0 && { delayMs }),
    job: {
      priority,
      ...(uniqueKey !== undefined && { uniqueKey }),
      ...(concurrencyKey !== undefined && { concurrencyKey }),
    },
  };
}

function refuseLarge(command: JobCommand): void {
  const bytes = jsonBytes(command, PAYLOAD_BYTES_MAX);
  if (bytes <= PAYLOAD_BYTES_MAX) return;
  const fact = `${bytes} bytes are more than ${PAYLOAD_BYTES_MAX}`;
  throw new PayloadTooLarge(`Cannot enqueue ${command.type}: ${fact}`);
}

/** What a handler knows beyond the payload. */
export interface JobContext {
  readonly id: string;
  /** Counted from 1. */
  readonly attempt: number;
  readonly correlationId: string;
  readonly reportTo: ReportTarget | undefined;
  readonly scheduledFor: number | undefined;
  /** Aborted when the job takes too long, is cancelled, or is, or may be, another worker's by now. */
  readonly signal: AbortSignal;
  /** Notes how far the job is, as JSON of at most 16 KiB, for whoever asks. */
  progress(progress: unknown): Promise<void>;
  /** Makes what the job asks of actors have its effect once, though the job be tried again. */
  cause(step?: string): Cause;
}

/**
 * Does a job. What it gives is its result, as JSON; what it throws fails this attempt, and
 * {@linkcode Unretryable} the job.
 */
export type JobHandler<Payload = unknown> = (
  payload: Payload,
  context: JobContext,
) => Promise<unknown> | unknown;

/** Thrown by a handler: no other attempt will go better. */
export class Unretryable extends Error {
  override readonly name = "Unretryable";
}

/** How one attempt ended. */
export type JobOutcome = "completed" | "retried" | "failed" | "cancelled" | "abandoned";
