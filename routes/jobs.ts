/**
 * For administrators: jobs, their queues, and what became of them.
 *
 * @module
 */
import { ZodError } from "zod";
import type { Env } from "../lib/env.ts";
import { TransientFault } from "../lib/fault.ts";
import { answer } from "../lib/http/answer.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { invalidBody, invalidBodyAt } from "../lib/http/parsed.ts";
import { type KnownProblem, ProblemError } from "../lib/http/problem.ts";
import { runtimeProblems } from "../lib/http/refusals.ts";
import {
  enqueue,
  JOB_KIND,
  type JobCommand,
  type JobDefinition,
  PayloadTooLarge,
} from "../lib/jobs/job.ts";
import type { JobQueue, JobRecord } from "../lib/jobs/job_queue.ts";
import { reportOf } from "../lib/jobs/job_report.ts";
import type { Message } from "../lib/runtime/aggregate.ts";
import type { Address, Cause } from "../lib/runtime/envelope.ts";
import type { DeadLetters } from "../lib/runtime/outbox.ts";
import type { NewMessage } from "../lib/runtime/store.ts";
import { operatorOf } from "./audited.ts";
import * as Schema from "./job_schemas.ts";

export interface JobOptions {
  readonly jobs: JobQueue;
  /** What can be enqueued here. */
  readonly jobDefinitions: readonly JobDefinition[];
  /** Has the workers of this node look for them at once. */
  readonly announce: (queues: readonly Address[]) => void;
  readonly deadLetters: DeadLetters;
  readonly env: Pick<Env, "now" | "uuid">;
}

/** A cancelled job can be looked at for so long. */
const CANCELLED_KEEP_MS = 24 * 3_600_000;

const notFound: KnownProblem = {
  type: "/problems/job-not-found",
  problem: { status: 404, title: "There is no such job, or not any more" },
};
const hasEnded: KnownProblem = {
  type: "/problems/job-has-ended",
  problem: { status: 409, title: "The job has ended already" },
};
const hasNotFailed: KnownProblem = {
  type: "/problems/job-has-not-failed",
  problem: { status: 409, title: "Only a job that has failed can be tried again" },
};
const keyReused: KnownProblem = {
  type: "/problems/idempotency-key-reused",
  problem: runtimeProblems("job")["idempotency-key-reused"],
};

export function jobs(options: JobOptions): readonly Route[] {
  return [enqueueing(options), ...queries(options), ...endings(options)];
}

const ofAdmin = { tag: "jobs", access: ["admin"] } as const;
const one = { ...ofAdmin, params: Schema.JobPath } as const;

function enqueueing({ jobs, announce, env, jobDefinitions }: JobOptions): Route {
  const definitions = new Map(jobDefinitions.map((job) => [job.type, job]));
  return route({
    ...ofAdmin,
    id: "enqueueJob",
    act: { name: "job enqueue", on: "job" },
    locates: true,
    method: "post",
    path: "/api/v1/jobs",
    summary: "Has a job done, now or later",
    description: "201 for a new job; 200 for the one that has its `uniqueKey` already.",
    asks: "queue",
    body: Schema.NewJob,
    answers: { 200: Schema.Job, 201: Schema.Job },
    problems: [keyReused],
  }, async (c, { body: { type, payload, ...chosen } }) => {
    const job = definitions.get(type);
    if (job === undefined) throw invalidBody(["type"], "There is no job of this type");
    const cause = causeOf(c);
    const requestHash = cause.idempotency?.requestHash;
    const how = { ...chosen, ...(requestHash !== undefined && { requestHash }) };
    const message = enqueued(job, payload, how);
    const messageId = idOfNew(cause);
    const sent = newMessage(message, cause, messageId);
    const [id] = await jobs.enqueue([sent]);
    announce([sent.to]);
    const record = await jobs.get(id!) ?? justEnded(sent, id!, env.now());
    const isOther = (record.command as JobCommand).requestHash !== requestHash;
    if (id === messageId && isOther) throw ProblemError.of(keyReused);
    return answer(c, id === messageId ? 201 : 200, jobView(record), {
      Location: `/api/v1/jobs/${id}`,
    });
  });
}

function queries({ jobs }: JobOptions): readonly Route[] {
  return [
    route({
      ...ofAdmin,
      id: "listJobs",
      method: "get",
      path: "/api/v1/jobs",
      summary: "The jobs of a queue, the newest first",
      class: "list",
      query: Schema.JobListQuery,
      answers: { 200: Schema.Jobs },
    }, async (c, { query: { cursor, limit, ...filter } }) => {
      const query = { ...filter, limit: limit + 1, ...(cursor && { before: cursor[0] }) };
      const records = await jobs.list(query);
      return answer(c, 200, pageOf(records, limit, jobView, ({ position }) => [position]));
    }),
    route({
      ...one,
      id: "getJob",
      method: "get",
      path: "/api/v1/jobs/{id}",
      summary: "A job, and what became of it",
      answers: { 200: Schema.Job },
      problems: [notFound],
    }, async (c, { params: { id } }) => answer(c, 200, jobView(found(await jobs.get(id))))),
    route({
      ...one,
      id: "getJobProgress",
      method: "get",
      path: "/api/v1/jobs/{id}/progress",
      summary: "How far a job is, as it tells itself",
      answers: { 200: Schema.JobProgress },
      problems: [notFound],
    }, async (c, { params: { id } }) => {
      const { status, attempts, progress } = found(await jobs.get(id));
      return answer(c, 200, { status, attempts, progress: progress ?? null });
    }),
  ];
}

function endings({ jobs, deadLetters, env }: JobOptions): readonly Route[] {
  return [
    route({
      ...one,
      id: "cancelJob",
      act: { name: "job cancel", on: "job" },
      method: "post",
      path: "/api/v1/jobs/{id}/cancel",
      summary: "Ends a job that waits, or tells one that runs to stop",
      description:
        "200 for a job that waited, and has ended; 202 for one that runs until it stops.",
      answers: { 200: Schema.Job, 202: Schema.Job },
      problems: [notFound, hasEnded],
    }, async (c, { params: { id } }) => {
      const record = found(await jobs.get(id));
      const command = record.command as JobCommand;
      const report = reportOf(record, command, { is: "cancelled" }, () => env.uuid());
      const by = c.get("caller").principal.id;
      const became = await jobs.cancel(id, by, {
        keepMs: CANCELLED_KEEP_MS,
        ...(report !== undefined && { report }),
      });
      if (became === undefined) throw ProblemError.of(hasEnded);
      return answer(c, became === "cancelled" ? 200 : 202, jobView(found(await jobs.get(id))));
    }),
    route({
      ...one,
      id: "retryJob",
      act: { name: "job retry", on: "job", isKeptWithin: true },
      method: "post",
      path: "/api/v1/jobs/{id}/retry",
      summary: "Has a job tried again that failed too often",
      answers: { 200: Schema.Job },
      problems: [notFound, hasNotFailed],
    }, async (c, { params: { id } }) => {
      const record = found(await jobs.get(id));
      if (record.status !== "failed") throw ProblemError.of(hasNotFailed);
      await deadLetters.redrive({ messageId: id }, operatorOf(c));
      return answer(c, 200, jobView(found(await jobs.get(id))));
    }),
  ];
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
    if (error instanceof ZodError) throw invalidBodyAt(["payload"], error);
    throw error;
  }
}

function jobView(job: JobRecord) {
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
  throw ProblemError.of(notFound);
}
