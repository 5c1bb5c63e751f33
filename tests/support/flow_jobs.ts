/** What the flows of a cluster are made of: numbers, and their sum. */
import { z } from "zod";
import { defineJob } from "../../lib/jobs/job.ts";

// Whoever is killed has begun what it was doing, each time anew.
const attemptsMax = 1_000;

export const number = defineJob({
  type: "number",
  queue: "numbers",
  payload: z.strictObject({ n: z.int() }),
  attemptsMax,
});

export const sum = defineJob({
  type: "sum",
  queue: "sums",
  payload: z.strictObject({}),
  attemptsMax,
});
