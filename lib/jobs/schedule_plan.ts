/**
 * What a schedule is to do and when: worked out where it comes in, believed by the schedule.
 *
 * @module
 */
import { z } from "zod";
import type { Message } from "../runtime/aggregate.ts";
import { type CronTimes, cronTimes } from "./cron.ts";
import { enqueue, type EnqueueOptions, type JobDefinition } from "./job.ts";

/**
 * What becomes of the times at which nobody could act, as the processes were down or the schedule was
 * paused: nothing; one run for all of them; or a run for each, of more than {@linkcode RUNS_MAX} for
 * the newest.
 */
export const missedPolicies = ["skip", "once", "all"] as const;
export type MissedPolicy = typeof missedPolicies[number];

/** Runs of one decision: what is older is left out. */
export const RUNS_MAX = 100;
/** Brought up to so late, a tick is on time: where no process runs for long, one looks each minute. */
export const ON_TIME_MS = 5 * 60_000;
export const JITTER_MS_MAX = 3_600_000;

/** Of those made over HTTP a UUID, of those in code the name that they have there. */
export const SCHEDULE_ID = /^[a-z0-9][a-z0-9._-]{0,99}$/;

export function isScheduleId(text: string): boolean {
  return SCHEDULE_ID.test(text);
}

/** A job with its payload, as it can be written down. */
export const ScheduledJob = z.object({
  type: z.string(),
  queue: z.string(),
  schema: z.int(),
  priority: z.int(),
  payload: z.unknown(),
});
export type ScheduledJob = z.infer<typeof ScheduledJob>;

export interface Plan {
  /** What `isCron` takes. */
  readonly cron: string;
  /** What `isTimeZone` takes. */
  readonly timeZone: string;
  readonly job: ScheduledJob;
  readonly missed: MissedPolicy;
  /** Each run comes so much later at most, always as much for one time of one schedule. */
  readonly jitterMs: number;
}

/** The shape of a plan in events, which says nothing of its rules. */
export const planShape = {
  cron: z.string(),
  timeZone: z.string(),
  job: ScheduledJob,
  missed: z.enum(missedPolicies),
  jitterMs: z.int(),
};

/** As many digits as a time ever has. */
const LAST_TIME = Date.parse("9999-12-31T23:59:59.999Z");

/** What was parsed where it came in; a schedule may be older than what its job parses today. */
const believed = { parse: (payload: unknown) => payload };

/**
 * The job with that payload, ready to be written down.
 *
 * @throws what the payload's parser throws; {@linkcode PayloadTooLarge}.
 */
export function scheduledJob<Payload>(
  { type, queue, schema, priority, payload: parser }: JobDefinition<Payload>,
  payload: NoInfer<Payload>,
): ScheduledJob {
  // As it will be read back, so that it can be compared with what was.
  const written: unknown = JSON.parse(JSON.stringify(payload));
  parser.parse(written);
  const job = { type, queue, schema, priority, payload: written };
  // With all that a run ever adds to it: later it could be refused by nobody.
  enqueue({ ...job, payload: believed }, job.payload, { scheduledFor: LAST_TIME });
  return job;
}

/** A message that has the job done for that time. */
export function runOf({ job }: Pick<Plan, "job">, options: EnqueueOptions): Message {
  return enqueue({ ...job, payload: believed }, job.payload, options);
}

export function timesOf({ cron, timeZone }: Pick<Plan, "cron" | "timeZone">): CronTimes {
  return cronTimes(cron, timeZone);
}

/**
 * For which of the times from `first` to `through`, both of them included, there is to be a run. Those
 * that are past by no more than `lateMs` have not been missed.
 */
export function runsDue(
  plan: Plan,
  { first, through, lateMs }: {
    readonly first: number;
    readonly through: number;
    readonly lateMs: number;
  },
): readonly number[] {
  const { newest } = timesOf(plan);
  const due = newest(first, through, plan.missed === "all" ? RUNS_MAX : 1);
  // The rules of its zone may have changed since that time was worked out: it counts all the same.
  const times = due.length === 0 ? [first] : due;
  return times.filter((time) => plan.missed !== "skip" || through - time <= lateMs);
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** How much later the run for that time comes: spread evenly over keys and times, without chance. */
export function jitterOf({ jitterMs }: Pick<Plan, "jitterMs">, key: string, time: number): number {
  let hash = FNV_OFFSET;
  for (const unit of `${key}/${time}`) {
    hash = Math.imul(hash ^ unit.codePointAt(0)!, FNV_PRIME) >>> 0;
  }
  // The lowest bits of such a hash are its best.
  return hash % (jitterMs + 1);
}

/** The fields of `asked` that say something else than `plan`. */
export function changesOf(plan: Plan, asked: Partial<Plan>): Partial<Plan> {
  const changed = Object.entries(asked).filter(([field, value]) =>
    !isSame(value, plan[field as keyof Plan])
  );
  return Object.fromEntries(changed);
}

/** Of JSON; the order of fields does not matter, as the store keeps none. */
function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return false;
  }
  const [fields, others] = [Object.entries(one), Object.entries(other)];
  return Array.isArray(one) === Array.isArray(other) && fields.length === others.length &&
    fields.every(([name, value]) =>
      Object.hasOwn(other, name) && isSame(value, other[name as keyof typeof other])
    );
}

export function isoOf(time: number): string {
  return new Date(time).toISOString();
}
