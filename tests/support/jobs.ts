/** A job that tests enqueue. */
import { z } from "zod";
import { defineJob } from "../../lib/jobs/job.ts";

export const aJob = defineJob({
  type: "count",
  queue: "counting",
  payload: z.object({ n: z.number() }),
});
