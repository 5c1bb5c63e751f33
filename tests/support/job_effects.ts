/**
 * Jobs whose effects can be counted: a row, and a command to an actor.
 *
 * @module
 */
import { z } from "zod";
import { defineJob } from "../../lib/jobs/job.ts";

const often = {
  payload: z.object({ n: z.int() }),
  // No job is to be buried because those who did it were killed.
  attemptsMax: 1_000,
  backoff: { firstMs: 10, mostMs: 200 },
};

export const free = defineJob({ type: "free", queue: "free", ...often });
export const bounded = defineJob({ type: "bounded", queue: "bounded", ...often });

export const BOUNDED_MAX = 12;
export const COUNTERS = 60;

/** Has less than its limit to count. */
export function counterOf(n: number): string {
  return `counter-${n % COUNTERS}`;
}
