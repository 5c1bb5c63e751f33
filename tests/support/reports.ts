/** A job to be scheduled, and a plan to do so. */
import { z } from "zod";
import { defineJob } from "../../lib/jobs/job.ts";
import { type Plan, scheduledJob } from "../../lib/jobs/schedule_plan.ts";

export const sendReport = defineJob({
  type: "send-report",
  queue: "reports",
  payload: z.strictObject({
    to: z.string().min(1),
    pages: z.array(z.strictObject({ title: z.string() })).exactOptional(),
  }),
});

/** Every quarter of an hour, unless said otherwise. */
export function plan(changes: Partial<Plan> = {}): Plan {
  return {
    cron: "*/15 * * * *",
    timeZone: "UTC",
    job: scheduledJob(sendReport, { to: "ana" }),
    missed: "skip",
    jitterMs: 0,
    ...changes,
  };
}
