/**
 * Runs seeds in a thread of its own, one after the other as it is asked.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import type { Plan } from "./plan.ts";
import { planOf, type PlanSize } from "./planning.ts";
import { runPlan, type RunReport } from "./run.ts";
import { shrunk } from "./shrinking.ts";

export type Errand =
  | { readonly is: "run"; readonly seed: number; readonly size: PlanSize }
  | { readonly is: "shrink"; readonly seed: number; readonly size: PlanSize };

export type Answer =
  | { readonly is: "ran"; readonly report: RunReport; readonly isRepeated: boolean }
  | { readonly is: "shrunk"; readonly plan: Plan; readonly report: RunReport };

/** Of so many seeds one runs twice. */
const REPEATED = 20;

// Errors are made by the thousand, and nobody looks where.
Error.stackTraceLimit = 0;

self.onmessage = async ({ data }: MessageEvent<Errand>) => {
  const plan = planOf(data.seed, data.size);
  self.postMessage(data.is === "run" ? await ran(plan) : await made(plan));
};

async function ran(plan: Plan): Promise<Answer> {
  const report = await runPlan(plan);
  const isRepeated = plan.seed % REPEATED === 0;
  if (isRepeated && report.failure === undefined) {
    const { trace } = await runPlan(plan);
    const message = `it went another way when run again: ${trace}, not ${report.trace}`;
    const failure = { invariant: "trace", message };
    if (trace !== report.trace) return { is: "ran", isRepeated, report: { ...report, failure } };
  }
  return { is: "ran", isRepeated, report };
}

async function made(plan: Plan): Promise<Answer> {
  const { failure } = await runPlan(plan);
  const small = await shrunk(plan, async (candidate) => {
    const report = await runPlan(candidate);
    return report.failure?.invariant === failure?.invariant;
  });
  return { is: "shrunk", plan: small, report: await runPlan(small) };
}
