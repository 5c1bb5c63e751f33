/**
 * `deno task chaos --minutes 30 --seed 7`: the service as three processes, a database of its own, and
 * everything going wrong that can; then a look at whether anything was promised and not kept.
 *
 *     chaos.ts [--minutes M | --seconds S] [--seed N] [--rate R] [--keep]
 *
 * Its last line is `N passed, N failed`; it exits with 1 if anything has failed.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { ChaosRun } from "./chaos_run.ts";
import { printReport, writeReport } from "./report.ts";

interface Arguments {
  readonly forMs: number;
  readonly seed: number;
  readonly rate: number;
  readonly isKept: boolean;
}

function argumentsIn(args: string[]): Arguments {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string" },
      seconds: { type: "string", default: "90" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
      rate: { type: "string", default: "120" },
      keep: { type: "boolean", default: false },
    },
  });
  const seconds = values.minutes === undefined
    ? Number(values.seconds)
    : 60 * Number(values.minutes);
  const [seed, rate] = [Number(values.seed), Number(values.rate)];
  for (const [name, value] of Object.entries({ seconds, seed, rate })) {
    if (!(value >= 0)) throw new RangeError(`--${name} must be a number, not ${value}`);
  }
  return { forMs: 1_000 * seconds, seed, rate, isKept: values.keep };
}

const { isKept, ...options } = argumentsIn(Deno.args);
const directory = await Deno.makeTempDir({ prefix: "troupe_chaos_" });
let isWell = false;
try {
  await using run = await ChaosRun.open({ ...options, directory, say: console.log });
  const outcome = await run.run();
  const { passed, failed } = printReport(outcome, console.log);
  console.log(`Written: ${await writeReport(outcome)}`);
  isWell = failed === 0;
  console.log(`\n${passed} passed, ${failed} failed`);
} finally {
  if (isWell && !isKept) await Deno.remove(directory, { recursive: true });
  else console.error(`Plan, history and logs are in ${directory}`);
}
process.exitCode = isWell ? 0 : 1;
