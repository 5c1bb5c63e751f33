/** What the routes of schedules accept and answer. Rules beyond shape are the schedule's. */
import { z } from "zod";
import { time } from "../lib/http/instant.ts";
import { pageParameters, pageSchema, placeIn } from "../lib/http/pages.ts";
import { text } from "../lib/http/text.ts";
import { isCron, isTimeZone } from "../lib/jobs/cron.ts";
import { type JobDefinition, PAYLOAD_BYTES_MAX, PayloadTooLarge } from "../lib/jobs/job.ts";
import { statuses } from "../lib/jobs/schedule.ts";
import {
  isScheduleId,
  JITTER_MS_MAX,
  missedPolicies,
  SCHEDULE_ID,
  scheduledJob,
} from "../lib/jobs/schedule_plan.ts";
import { DEPTH_MAX, isKeepable } from "./dead_letters.ts";

const cron = z.string().refine(isCron, {
  error: "Must be five fields, a space between each: minute, hour, day of the month, month, " +
    "day of the week; at most 200 characters",
}).meta({
  description: "Minute, hour, day of the month, month and day of the week",
  maxLength: 200,
  examples: ["30 8 * * 1-5"],
});
const timeZone = text({ min: 1, max: 100 }).refine(isTimeZone, {
  error: "Must be a time zone that the platform knows, such as Europe/Berlin",
}).meta({ examples: ["Europe/Berlin"] });
const missed = z.enum(missedPolicies)
  .describe("What becomes of the times at which nobody could act: nothing, one run, or a run each");
const jitterMs = z.int().min(0).max(JITTER_MS_MAX).describe("Each run comes so much later at most");

// Depth is bounded before the parser of a job walks it.
const payload = z.custom<unknown>((value) => value !== undefined && isKeepable(value), {
  error: `Must be JSON without U+0000 or unpaired surrogates, at most ${DEPTH_MAX} deep`,
}).meta({ override: {}, description: "What the type of job takes" });

const planned = {
  cron: "30 8 * * 1-5",
  timeZone: "Europe/Berlin",
  job: {
    type: "live_event.tell_attendees",
    payload: {
      eventId: "3f0c1d6e-3c0c-4c4b-9a53-0a6a2f2d4a11",
      type: "reminder",
      at: "2040-05-31T18:00:00.000Z",
    },
  },
};

/** The bodies that name a job, for a service that knows these. */
export function bodiesFor(definitions: readonly JobDefinition[]) {
  const job = jobAmong(new Map(definitions.map((definition) => [definition.type, definition])));
  return {
    NewSchedule: z.strictObject({
      cron,
      timeZone: timeZone.default("UTC"),
      job,
      missed: missed.default("skip"),
      jitterMs: jitterMs.default(0),
    }).meta({ id: "NewSchedule", examples: [planned] }),
    ScheduleChanges: z.strictObject({
      cron: cron.exactOptional(),
      timeZone: timeZone.exactOptional(),
      job: job.exactOptional(),
      missed: missed.exactOptional(),
      jitterMs: jitterMs.exactOptional(),
    }).meta({ id: "ScheduleChanges", examples: [{ cron: "0 9 * * *" }] }),
  };
}

/** Names what is wrong with a payload by its place in it. */
function jobAmong(known: ReadonlyMap<string, JobDefinition>) {
  const asked = z.strictObject({ type: text({ min: 1, max: 200 }), payload });
  return asked.transform(({ type, payload }, context) => {
    const refuse = (path: readonly PropertyKey[], message: string) =>
      context.addIssue({ code: "custom", path: [...path], message });
    const definition = known.get(type);
    if (definition === undefined) {
      refuse(["type"], "Must be the type of a job that this service knows");
      return z.NEVER;
    }
    try {
      return scheduledJob(definition, payload);
    } catch (error) {
      for (const { path, message } of faultsIn(error)) refuse(["payload", ...path], message);
      return z.NEVER;
    }
  });
}

interface PayloadFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function faultsIn(error: unknown): readonly PayloadFault[] {
  if (error instanceof PayloadTooLarge) {
    const message = `Must be less than ${PAYLOAD_BYTES_MAX} bytes, with all that a job adds to it`;
    return [{ path: [], message }];
  }
  if (!(error instanceof z.ZodError)) {
    return [{ path: [], message: "Must be what this type of job takes" }];
  }
  return error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({ path: [...issue.path, key], message: "Unknown field" }))
      : [{ path: issue.path, message: issue.message }]
  );
}

export const SchedulePath = z.object({
  id: z.string().toLowerCase().refine(isScheduleId, { error: "Must be the id of a schedule" })
    .meta({
      description:
        "Of one made here a UUID, of one in the code of the service the name it has there",
      pattern: SCHEDULE_ID.source,
    }),
});

export const ScheduleListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.string().refine(isScheduleId)])).exactOptional(),
  status: z.enum(statuses).exactOptional(),
});

const lastRun = z.strictObject({ scheduledFor: time, at: time.describe("When it was enqueued") })
  .exactOptional();

const shown = {
  id: z.string(),
  cron: z.string(),
  timeZone: z.string(),
  missed,
  jitterMs,
  status: z.enum(statuses),
  isInCode: z.boolean(),
  lastRun,
  version: z.int().min(1).describe("How many events it has; its `ETag`"),
};

export const Schedule = z.strictObject({
  ...shown,
  job: z.strictObject({ type: z.string(), queue: z.string(), payload: z.unknown() }),
  nextRuns: z.array(time),
}).meta({ id: "Schedule" });

export const Schedules = pageSchema(
  z.strictObject({
    ...shown,
    job: z.strictObject({ type: z.string(), queue: z.string() }),
    nextAt: time.exactOptional(),
  }).meta({ id: "ListedSchedule" }),
);
