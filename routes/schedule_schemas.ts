/** What the routes of schedules accept. Rules beyond shape are the schedule's. */
import { z } from "zod";
import { pageParameters, placeIn } from "../lib/http/pages.ts";
import { text } from "../lib/http/text.ts";
import { isCron, isTimeZone } from "../lib/jobs/cron.ts";
import { type JobDefinition, PAYLOAD_BYTES_MAX, PayloadTooLarge } from "../lib/jobs/job.ts";
import { statuses } from "../lib/jobs/schedule.ts";
import {
  isScheduleId,
  JITTER_MS_MAX,
  missedPolicies,
  scheduledJob,
} from "../lib/jobs/schedule_plan.ts";
import { DEPTH_MAX, isKeepable } from "./dead_letters.ts";

const cron = z.string().refine(isCron, {
  error: "Must be five fields, a space between each: minute, hour, day of the month, month, " +
    "day of the week; at most 200 characters",
});
const timeZone = text({ min: 1, max: 100 }).refine(isTimeZone, {
  error: "Must be a time zone that the platform knows, such as Europe/Berlin",
});
const missed = z.enum(missedPolicies);
const jitterMs = z.int().min(0).max(JITTER_MS_MAX);

// Depth is bounded before the parser of a job walks it.
const payload = z.custom<unknown>((value) => value !== undefined && isKeepable(value), {
  error: `Must be JSON without U+0000 or unpaired surrogates, at most ${DEPTH_MAX} deep`,
});

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
    }),
    ScheduleChanges: z.strictObject({
      cron: cron.exactOptional(),
      timeZone: timeZone.exactOptional(),
      job: job.exactOptional(),
      missed: missed.exactOptional(),
      jitterMs: jitterMs.exactOptional(),
    }),
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
  id: z.string().toLowerCase().refine(isScheduleId, { error: "Must be the id of a schedule" }),
});

export const ScheduleListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.string().refine(isScheduleId)])).exactOptional(),
  status: z.enum(statuses).exactOptional(),
});

/** The body of a command that takes none. */
export const Nothing = z.strictObject({});
