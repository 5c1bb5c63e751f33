/**
 * For administrators: what is to be done when, again and again.
 *
 * @module
 */
import type { Context } from "hono";
import { answer } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { JobDefinition } from "../lib/jobs/job.ts";
import * as Schedule from "../lib/jobs/schedule.ts";
import type { ListedSchedule, ScheduleList } from "../lib/jobs/schedule_list.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Accepted } from "../lib/runtime/turn.ts";
import { awaitToken, headersOf, readOptionsOf, type Showing } from "./consistency.ts";
import { known, problemOf, refused } from "./schedule_problems.ts";
import * as Schema from "./schedule_schemas.ts";

export interface ScheduleOptions {
  readonly system: ActorSystem;
  /** What can be scheduled. */
  readonly jobDefinitions: readonly JobDefinition[];
  readonly scheduleList: ScheduleList;
  /** Says what the list shows already. */
  readonly scheduleListing: Showing;
  readonly consistencyWaitMs: number;
}

type Happened = Accepted<Schedule.State, Schedule.Event>;

export function schedules(options: ScheduleOptions): readonly Route[] {
  return [...queries(options), ...plans(options), ...switches(options)];
}

const toSchedule = {
  tag: "schedules",
  access: ["admin"],
  asks: "actor",
  answers: { 200: Schema.Schedule },
} as const;
const one = { ...toSchedule, params: Schema.SchedulePath } as const;

function queries({ system, scheduleList, scheduleListing, consistencyWaitMs }: ScheduleOptions) {
  return [
    route({
      ...toSchedule,
      id: "listSchedules",
      method: "get",
      path: "/api/v1/schedules",
      summary: "What is done again and again",
      asks: "projection",
      class: "list",
      query: Schema.ScheduleListQuery,
      answers: { 200: Schema.Schedules },
    }, async (c, { query: { cursor, limit, ...filter } }) => {
      await awaitToken(c, scheduleListing, consistencyWaitMs);
      const after = cursor && { after: cursor[0] };
      const rows = await scheduleList.list({ ...filter, ...after, limit: limit + 1 });
      return answer(c, 200, pageOf(rows, limit, listedView, ({ id }) => [id]));
    }),
    route({
      ...one,
      id: "getSchedule",
      method: "get",
      path: "/api/v1/schedules/{id}",
      summary: "A schedule, and when it is due next",
      problems: known("not-found"),
    }, async (c, { params: { id } }) => {
      const reading = await system.read(
        Schedule,
        id,
        causeOf(c),
        (state, version) => Schedule.isThere(state) ? scheduleView(id, state, version) : undefined,
        readOptionsOf(c),
      );
      if (reading.view === undefined) return problemResponse(c, ...problemOf("not-found"));
      return answer(c, 200, reading.view, headersOf(reading));
    }),
  ];
}

function plans({ system, jobDefinitions }: ScheduleOptions): readonly Route[] {
  const { NewSchedule, ScheduleChanges } = Schema.bodiesFor(jobDefinitions);
  return [
    route({
      ...toSchedule,
      id: "createSchedule",
      act: { name: "schedule create", on: "schedule" },
      locates: true,
      method: "post",
      path: "/api/v1/schedules",
      summary: "Has a job done at all times that a cron expression names",
      body: NewSchedule,
      answers: { 201: Schema.Schedule },
      problems: known("already-exists", "never-due"),
    }, async (c, { body: plan }) => {
      const cause = causeOf(c);
      const id = idOfNew(cause);
      const command = { type: "Create", plan } as const;
      const outcome = await system.ask(Schedule, id, command, cause, viewOf(id), { isFirst: true });
      if (!outcome.accepted) return refused(c, outcome);
      const Location = `/api/v1/schedules/${id}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    }),
    route({
      ...one,
      id: "reviseSchedule",
      act: { name: "schedule revise", on: "schedule" },
      method: "patch",
      path: "/api/v1/schedules/{id}",
      summary: "Changes when what is done, of a schedule that is not in the code of the service",
      body: ScheduleChanges,
      problems: known("not-found", "defined-in-code", "never-due"),
    }, async (c, { params: { id }, body: changes }) => {
      const command = { type: "Revise", changes } as const;
      const outcome = await system.ask(Schedule, id, command, causeOf(c), viewOf(id));
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 200, outcome.answer, headersOf(outcome));
    }),
    route({
      ...one,
      id: "deleteSchedule",
      act: { name: "schedule delete", on: "schedule" },
      method: "delete",
      path: "/api/v1/schedules/{id}",
      summary: "Forgets a schedule; what it has enqueued is done nevertheless",
      answers: { 204: null },
      problems: known("not-found"),
    }, async (c, { params: { id } }) => {
      const outcome = await system.ask(Schedule, id, { type: "Delete" }, causeOf(c), () => null);
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 204, undefined, headersOf(outcome));
    }),
  ];
}

function switches({ system }: ScheduleOptions): readonly Route[] {
  const done = async (
    c: Context<CallerEnv>,
    id: string,
    type: "Pause" | "Resume" | "RunNow",
    status: 200 | 202,
  ) => {
    const outcome = await system.ask(Schedule, id, { type }, causeOf(c), viewOf(id));
    if (!outcome.accepted) return refused(c, outcome);
    return answer(c, status, outcome.answer, headersOf(outcome));
  };
  return [
    route({
      ...one,
      id: "pauseSchedule",
      act: { name: "schedule pause", on: "schedule" },
      method: "post",
      path: "/api/v1/schedules/{id}/pause",
      summary: "Has a schedule do nothing until it is resumed",
      problems: known("not-found", "already-paused"),
    }, (c, { params }) => done(c, params.id, "Pause", 200)),
    route({
      ...one,
      id: "resumeSchedule",
      act: { name: "schedule resume", on: "schedule" },
      method: "post",
      path: "/api/v1/schedules/{id}/resume",
      summary: "Has a paused schedule go on, and see to what it missed",
      problems: known("not-found", "not-paused"),
    }, (c, { params }) => done(c, params.id, "Resume", 200)),
    route({
      ...one,
      id: "runSchedule",
      act: { name: "schedule run", on: "schedule" },
      method: "post",
      path: "/api/v1/schedules/{id}/run",
      summary: "Enqueues the job of a schedule out of turn",
      answers: { 202: Schema.Schedule },
      problems: known("not-found"),
      // The job is enqueued then, and done by whoever takes it out.
    }, (c, { params }) => done(c, params.id, "RunNow", 202)),
  ];
}

function viewOf(id: string) {
  return ({ state, version }: Happened) => scheduleView(id, state, version);
}

function scheduleView(id: string, state: Schedule.State, version: number) {
  const { cron, timeZone, job, missed, jitterMs, status, isInCode, lastRun } = state;
  const { type, queue, payload } = job;
  return {
    id,
    cron,
    timeZone,
    job: { type, queue, payload },
    missed,
    jitterMs,
    status,
    isInCode,
    nextRuns: Schedule.upcoming(state),
    ...(lastRun !== undefined && { lastRun }),
    version,
  };
}

function listedView({ jobType: type, queue, nextAt, lastRun, ...rest }: ListedSchedule) {
  return {
    ...rest,
    job: { type, queue },
    ...(nextAt !== null && { nextAt }),
    ...(lastRun !== null && { lastRun }),
  };
}
