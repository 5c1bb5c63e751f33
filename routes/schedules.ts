/**
 * For administrators: what is to be done when, again and again.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { pageOf } from "../lib/http/pages.ts";
import { type BodyParser, parsedParams, parsedQuery } from "../lib/http/parsed.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { JobDefinition } from "../lib/jobs/job.ts";
import * as Schedule from "../lib/jobs/schedule.ts";
import type { ListedSchedule, ScheduleList } from "../lib/jobs/schedule_list.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Accepted, Outcome } from "../lib/runtime/turn.ts";
import { awaitToken, headersOf, readOptionsOf, type Showing } from "./consistency.ts";
import { problemOf, refused } from "./schedule_problems.ts";
import { bodiesFor, Nothing, ScheduleListQuery, SchedulePath } from "./schedule_schemas.ts";

export interface ScheduleOptions {
  readonly system: ActorSystem;
  /** What can be scheduled. */
  readonly jobDefinitions: readonly JobDefinition[];
  readonly scheduleList: ScheduleList;
  /** Says what the list shows already. */
  readonly scheduleListing: Showing;
  readonly parseBody: BodyParser;
  readonly consistencyWaitMs: number;
}

type Happened = Accepted<Schedule.State, Schedule.Event>;
type Refusal = Extract<Outcome<unknown, Schedule.Reason>, { accepted: false }>;

export function schedules(options: ScheduleOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .use(async (c, next) => {
      requireRole(c, "admin");
      await next();
    })
    .route("/", queries(options))
    .route("/", plans(options))
    .route("/", switches(options));
}

function queries(
  { system, scheduleList, scheduleListing, consistencyWaitMs }: ScheduleOptions,
): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .get("/", async (c) => {
      const { cursor, limit, ...filter } = parsedQuery(c, ScheduleListQuery);
      await awaitToken(c, scheduleListing, consistencyWaitMs);
      const after = cursor && { after: cursor[0] };
      const rows = await scheduleList.list({ ...filter, ...after, limit: limit + 1 });
      return answer(c, 200, pageOf(rows, limit, listedView, ({ id }) => [id]));
    })
    .get("/:id", async (c) => {
      const { id } = parsedParams(c, SchedulePath);
      const reading = await system.read(
        Schedule,
        id,
        causeOf(c),
        (state, version) => Schedule.isThere(state) ? scheduleView(id, state, version) : undefined,
        readOptionsOf(c),
      );
      if (reading.view === undefined) return problemResponse(c, ...problemOf("not-found"));
      return answer(c, 200, reading.view, headersOf(reading));
    });
}

function plans({ system, jobDefinitions, parseBody }: ScheduleOptions): Hono<CallerEnv> {
  const { NewSchedule, ScheduleChanges } = bodiesFor(jobDefinitions);
  return new Hono<CallerEnv>()
    .post("/", async (c) => {
      const plan = await parseBody(c, NewSchedule);
      const cause = causeOf(c);
      const id = idOfNew(cause);
      const command = { type: "Create", plan } as const;
      const outcome = await system.ask(Schedule, id, command, cause, viewOf(id));
      if (!outcome.accepted) return refused(c, outcome);
      const Location = `/api/v1/schedules/${id}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    })
    .patch("/:id", async (c) => {
      const { id } = parsedParams(c, SchedulePath);
      const changes = await parseBody(c, ScheduleChanges);
      const command = { type: "Revise", changes } as const;
      const outcome = await system.ask(Schedule, id, command, causeOf(c), viewOf(id));
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 200, outcome.answer, headersOf(outcome));
    })
    .delete("/:id", async (c) => {
      const { id } = parsedParams(c, SchedulePath);
      await parseBody(c, Nothing, { absent: {} });
      const outcome = await system.ask(Schedule, id, { type: "Delete" }, causeOf(c), () => null);
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 204, undefined, headersOf(outcome));
    });
}

function switches({ system, parseBody }: ScheduleOptions): Hono<CallerEnv> {
  const doing =
    (type: "Pause" | "Resume" | "RunNow", status: 200 | 202) =>
    async (c: Context<CallerEnv>): Promise<Response> => {
      const { id } = parsedParams(c, SchedulePath);
      await parseBody(c, Nothing, { absent: {} });
      const outcome = await system.ask(Schedule, id, { type }, causeOf(c), viewOf(id));
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, status, outcome.answer, headersOf(outcome));
    };
  return new Hono<CallerEnv>()
    .post("/:id/pause", doing("Pause", 200))
    .post("/:id/resume", doing("Resume", 200))
    // The job is enqueued then, and done by whoever takes it out.
    .post("/:id/run", doing("RunNow", 202));
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
