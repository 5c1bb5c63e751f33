/**
 * `deno task crash-points`: the small workload once for every point at which a node can end, and then
 * with two such ends in one run.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { mulberry32 } from "../support/seeded.ts";
import { crashedRun, crashedTwice, whereCrashed } from "./crash_points.ts";
import type { RunReport } from "./run.ts";

const usage = "deno task crash-points [--pairs N] [--seed S]";

class Tally {
  passed = 0;
  failed = 0;
  crashes = 0;

  add(report: RunReport): void {
    this.crashes += report.crashedAt.length;
    if (report.failure === undefined) {
      this.passed++;
      return;
    }
    this.failed++;
    console.log(`  ${whereCrashed(report)}: ${report.failure.message}`);
  }
}

async function crashEverywhere(pairs: number, seed: number): Promise<number> {
  const startedAt = performance.now();
  const tally = new Tally();
  const whole = await crashedRun([]);
  tally.add(whole);
  const { points, commands, commits } = whole;
  console.log(`${commands} commands, ${commits} commits, ${points} points at which a node can end`);
  for (let point = 1; point <= points; point++) tally.add(await crashedRun([point]));
  const chance = mulberry32(seed);
  for (let pair = 0; pair < pairs; pair++) tally.add(await crashedTwice(chance, points));
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(`${tally.crashes} crashes in ${seconds.toFixed(1)} s`);
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed;
}

function numbersIn(args: string[]): { readonly pairs: number; readonly seed: number } {
  const { values } = parseArgs({
    args,
    options: {
      pairs: { type: "string", default: "400" },
      seed: { type: "string", default: "1" },
    },
  });
  const [pairs, seed] = [Number(values.pairs), Number(values.seed)];
  if (!Number.isSafeInteger(pairs) || !Number.isSafeInteger(seed) || pairs < 0) {
    throw new TypeError("Pairs and seed are whole numbers");
  }
  return { pairs, seed };
}

async function main(args: string[]): Promise<number> {
  let numbers: ReturnType<typeof numbersIn>;
  try {
    numbers = numbersIn(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    return 2;
  }
  return await crashEverywhere(numbers.pairs, numbers.seed) === 0 ? 0 : 1;
}

Deno.exit(await main(Deno.args));
