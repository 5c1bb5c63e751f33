/** The port behind which all schedules can be listed, a little behind what each of them knows. */
import type { statuses } from "./schedule.ts";
import type { Plan } from "./schedule_plan.ts";

export interface ListedSchedule extends Pick<Plan, "cron" | "timeZone" | "missed" | "jitterMs"> {
  readonly id: string;
  readonly jobType: string;
  readonly queue: string;
  readonly isInCode: boolean;
  readonly status: typeof statuses[number];
  /** Only of an active one. */
  readonly nextAt: Date | null;
  readonly lastRun: { readonly scheduledFor: Date; readonly at: Date } | null;
  readonly version: number;
}

export interface ScheduleQuery {
  readonly status?: ListedSchedule["status"];
  /** Ids after this one. */
  readonly after?: string;
  readonly limit: number;
}

export interface ScheduleList {
  /** By id. */
  list(query: ScheduleQuery): Promise<readonly ListedSchedule[]>;
}
