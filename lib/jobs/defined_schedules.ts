/**
 * Schedules that are kept in the code: every node makes sure of them when it starts.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { retryPolicies, retryTransient } from "../resilience/retry.ts";
import { type Cause, unaskedCause } from "../runtime/envelope.ts";
import type { Observe } from "../runtime/observe.ts";
import type { ActorSystem } from "../runtime/system.ts";
import { isCron, isTimeZone } from "./cron.ts";
import type { JobDefinition } from "./job.ts";
import * as Schedule from "./schedule.ts";
import { isScheduleId, JITTER_MS_MAX, type Plan, scheduledJob } from "./schedule_plan.ts";

export interface ScheduleDefinition<Payload> extends Pick<Plan, "cron"> {
  /** Its id as well: stored, so never renamed. Small letters, digits, dots, dashes, underscores. */
  readonly name: string;
  /** UTC unless said. */
  readonly timeZone?: string;
  readonly job: JobDefinition<Payload>;
  readonly payload: NoInfer<Payload>;
  /** "skip" unless said. */
  readonly missed?: Plan["missed"];
  readonly jitterMs?: number;
}

export interface DefinedSchedule {
  readonly name: string;
  readonly plan: Plan;
}

/** The code asks for what cannot be: a mistake of whoever wrote it. */
export class ScheduleUndefinable extends Error {
  override readonly name = "ScheduleUndefinable";

  constructor(schedule: string, fault: string) {
    super(`Cannot define the schedule ${schedule}: ${fault}`);
  }
}

/**
 * @throws {ScheduleUndefinable} when a field cannot be what it is; what the payload's parser throws.
 */
export function defineSchedule<Payload>(
  definition: ScheduleDefinition<Payload>,
): DefinedSchedule {
  const { name, cron, timeZone = "UTC", job, payload, missed = "skip", jitterMs = 0 } = definition;
  const mustBe = (isSo: boolean, fault: string) => {
    if (!isSo) throw new ScheduleUndefinable(name, fault);
  };
  mustBe(isScheduleId(name), "its name is none");
  mustBe(isCron(cron), `${cron} is no cron expression of five fields`);
  mustBe(isTimeZone(timeZone), `${timeZone} is no time zone`);
  const isJitter = Number.isInteger(jitterMs) && jitterMs >= 0 && jitterMs <= JITTER_MS_MAX;
  mustBe(isJitter, `its jitter is not between 0 and ${JITTER_MS_MAX} ms`);
  return { name, plan: { cron, timeZone, job: scheduledJob(job, payload), missed, jitterMs } };
}

export interface Registering {
  readonly system: ActorSystem;
  readonly env: Env;
  readonly observe: Observe;
}

/** By whom they are made, and on whose behalf their jobs are done. */
const code = { id: "code", roles: ["admin"] };

/**
 * Creates those that are not there, and revises those that are not as they are defined. One that is
 * paused stays paused; one that is no longer defined goes on until somebody deletes it.
 *
 * Any number of nodes may do this at once, and as often as they like.
 *
 * @throws {ScheduleUndefinable} when one would never be due, or its name is taken.
 * @throws {TransientFault} when the store cannot be reached for long.
 */
export async function registerSchedules(
  { system, env, observe }: Registering,
  schedules: readonly DefinedSchedule[],
): Promise<void> {
  const onFailure = (error: unknown) =>
    observe({ type: "maintenance-failed", task: "register-schedules", error });
  for (const { name, plan } of schedules) {
    const outcome = await retryTransient(
      () => system.ask(Schedule, name, { type: "Define", plan }, causeIn(env), () => null),
      { ...retryPolicies.start, env, onFailure },
    );
    if (!outcome.accepted) throw new ScheduleUndefinable(name, outcome.reason);
  }
}

function causeIn(env: Env): Cause {
  return unaskedCause(env, code, retryPolicies.start.giveUpMs);
}
