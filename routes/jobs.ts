/**
 * For administrators: jobs, their queues, and what became of them.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { Env } from "../lib/env.ts";
import { TransientFault } from "../lib/fault.ts";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { pageOf, pageParameters, placeIn } from "../lib/http/pages.ts";
import {
  type BodyParser,
  invalidBody,
  invalidBodyAt,
  parsedParams,
  parsedQuery,
} from "../lib/http/parsed.ts";
import { ProblemError } from "../lib/http/problem.ts";
import { text } from "../lib/http/text.ts";
import {
  enqueue,
  JOB_KIND,
  type JobCommand,
  type JobDefinition,
  PayloadTooLarge,
  PRIORITY_MOST,
} from "../lib/jobs/job.ts";
import { type JobQueue, type JobRecord, jobStatuses } from "../lib/jobs/job_queue.ts";
import { reportOf } from "../lib/jobs/job_report.ts";
import type { Message } from "../lib/runtime/aggregate.ts";
import type { Address, Cause } from "../lib/runtime/envelope.ts";
import type { DeadLetters } from "../lib/runtime/outbox.ts";
import type { NewMessage } from "../lib/runtime/store.ts";
import { Command as Keepable } from "./dead_letters.ts";

export interface JobOptions {
  readonly jobs: JobQueue;
  /** What can be enqueued here. */
  readonly jobDefinitions: readonly JobDefinition[];
  /** Has the workers of this node look for them at once. */
  readonly announce: (queues: readonly Address[]) => void;
  readonly deadLetters: DeadLetters;
  readonly parseBody: BodyParser;
  readonly env: Pick<Env, "now" | "uuid">;
}

const DELAY_MOST_MS = 366 * 24 * 3_600_000;
const ATTEMPTS_MOST = 1_000;
/** A cancelled job can be looked at for so long. */
const CANCELLED_KEEP_MS = 24 * 3_600_000;

const key = text({ min: 1, max: 200 });
const queue = text({ min: 1, max: 100 });

/** What is wanted done. */
export const wanted = { type: text({ min: 1, max: 100 }), payload: Keepable };

/** How and when it is to be done. */
export const chosen = {
  delayMs: z.int().min(0).max(DELAY_MOST_MS).exactOptional(),
  priority: z.int().min(0).max(PRIORITY_MOST).exactOptional(),
  attemptsMax: z.int().min(1).max(ATTEMPTS_MOST).exactOptional(),
  concurrencyKey: key.exactOptional(),
};

const NewJob = z.strictObject({ ...wanted, ...chosen, uniqueKey: key.exactOptional() });

const JobPath = z.object({ id: z.uuid().toLowerCase() });
const Nothing = z.strictObject({});

const ListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.int().min(0)])).exactOptional(),
  queue,
  status: z.enum(jobStatuses).exactOptional(),
});

export function jobs(options: JobOptions): Hono<CallerEnv> {
  const { jobs, deadLetters, parseBody, env } = options;
  const definitions = new Map(options.jobDefinitions.map((job) => [job.type, job]));
  return new Hono<CallerEnv>()
    .use(async (c, next) => {
      requireRole(c, "admin");
      await next();
    })
    .post("/", async (c) => {
      const { type, payload, ...chosen } = await parseBody(c, NewJob);
      const job = definitions.get(type);
      if (job === undefined) throw invalidBody(["type"], "There is no job of this type");
      const cause = causeOf(c);
      const requestHash = cause.idempotency?.requestHash;
      const how = { ...chosen, ...(requestHash !== undefined && { requestHash }) };
      const message = enqueued(job, payload, how);
      const messageId = idOfNew(cause);
      const sent = newMessage(message, cause, messageId);
      const [id] = await jobs.enqueue([sent]);
      options.announce([sent.to]);
      const record = await jobs.get(id!) ?? justEnded(sent, id!, env.now());
      const isOther = (record.command as JobCommand).requestHash !== requestHash;
      if (id === messageId && isOther) throw keyReused();
      return answer(c, id === messageId ? 201 : 200, jobView(record), {
        Location: `/api/v1/jobs/${id}`,
      });
    })
    .get("/", async (c) => {
      const { cursor, limit, ...filter } = parsedQuery(c, ListQuery);
      const query = { ...filter, limit: limit + 1, ...(cursor && { before: cursor[0] }) };
      const records = await jobs.list(query);
      return answer(c, 200, pageOf(records, limit, jobView, ({ position }) => [position]));
    })
    .get("/:id", async (c) => {
      const { id } = parsedParams(c, JobPath);
      return answer(c, 200, jobView(found(await jobs.get(id))));
    })
    .get("/:id/progress", async (c) => {
      const { id } = parsedParams(c, JobPath);
      const { status, attempts, progress } = found(await jobs.get(id));
      return answer(c, 200, { status, attempts, progress: progress ?? null });
    })
    .post("/:id/cancel", async (c) => {
      const { id } = parsedParams(c, JobPath);
      await parseBody(c, Nothing, { absent: {} });
      const record = found(await jobs.get(id));
      const command = record.command as JobCommand;
      const report = reportOf(record, command, { is: "cancelled" }, () => env.uuid());
      const by = c.get("caller").principal.id;
      const became = await jobs.cancel(id, by, {
        keepMs: CANCELLED_KEEP_MS,
        ...(report !== undefined && { report }),
      });
      if (became === undefined) throw hasEnded();
      return answer(c, became === "cancelled" ? 200 : 202, jobView(found(await jobs.get(id))));
    })
    .post("/:id/retry", async (c) => {
      const { id } = parsedParams(c, JobPath);
      await parseBody(c, Nothing, { absent: {} });
      const record = found(await jobs.get(id));
      if (record.status !== "failed") throw hasNotFailed();
      await deadLetters.redrive({ messageId: id }, c.get("caller").principal);
      return answer(c, 200, jobView(found(await jobs.get(id))));
    });
}

function newMessage(message: Message, cause: Cause, messageId: string): NewMessage {
  const { correlationId, messageId: causationId, principal, traceparent } = cause;
  return {
    delayMs: 0,
    ...message,
    messageId,
    correlationId,
    causationId,
    principal,
    ...(traceparent !== undefined && { traceparent }),
  };
}

/** A job that ended before it could be looked at, and is not kept, as it was when it was enqueued. */
function justEnded({ delayMs, ...job }: NewMessage, id: string, now: number): JobRecord {
  if (id !== job.messageId) throw new TransientFault("Cannot show who has the key: it has ended");
  const priority = job.job?.priority ?? 0;
  const status = delayMs > 0 ? "delayed" : "waiting";
  const due = { at: now, availableAt: now + delayMs };
  return { ...job, ...due, status, priority, attempts: 0, position: 0 };
}

function enqueued(
  job: JobDefinition,
  payload: unknown,
  chosen: Parameters<typeof enqueue>[2],
): ReturnType<typeof enqueue> {
  try {
    return enqueue(job, payload, chosen);
  } catch (error) {
    if (error instanceof PayloadTooLarge) throw invalidBody(["payload"], error.message);
    if (error instanceof z.ZodError) throw invalidBodyAt(["payload"], error);
    throw error;
  }
}

export function jobView(job: JobRecord) {
  const { type, payload } = job.command as JobCommand;
  return {
    id: job.messageId,
    type,
    queue: job.to.key,
    status: job.status,
    priority: job.priority,
    payload,
    attempts: job.attempts,
    ...(job.progress !== undefined && { progress: job.progress }),
    ...(job.result !== undefined && { result: job.result }),
    ...(job.error !== undefined && { error: job.error }),
    ...(job.cancelledBy !== undefined && { cancelledBy: job.cancelledBy }),
    principalId: job.principal.id,
    correlationId: job.correlationId,
    causationId: job.causationId,
    enqueuedAt: new Date(job.at).toISOString(),
    ...(job.availableAt !== undefined && { dueAt: new Date(job.availableAt).toISOString() }),
    ...(job.finishedAt !== undefined && { finishedAt: new Date(job.finishedAt).toISOString() }),
  };
}

function found(job: JobRecord | undefined): JobRecord {
  if (job !== undefined && job.to.kind === JOB_KIND) return job;
  throw new ProblemError("/problems/job-not-found", {
    status: 404,
    title: "There is no such job, or not any more",
  });
}

function keyReused(): ProblemError {
  return new ProblemError("/problems/idempotency-key-reused", {
    status: 422,
    title: "This Idempotency-Key was used for another request",
  });
}

function hasEnded(): ProblemError {
  return new ProblemError("/problems/job-has-ended", {
    status: 409,
    title: "The job has ended already",
  });
}

function hasNotFailed(): ProblemError {
  return new ProblemError("/problems/job-has-not-failed", {
    status: 409,
    title: "Only a job that has failed can be tried again",
  });
}
