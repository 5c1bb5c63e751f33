/**
 * `deno task chaos --minutes 30 --seed 7`: the service as three processes, a database of its own, and
 * everything going wrong that can; then a look at whether anything was promised and not kept.
 *
 *     chaos.ts [--minutes M | --seconds S] [--seed N] [--rate R] [--only KIND,…] [--keep]
 *
 * Its last line is `N passed, N failed`; it exits with 1 if anything has failed.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { ChaosRun } from "./chaos_run.ts";
import { type FaultKind, faultKinds } from "./plan.ts";
import { printReport, writeReport } from "./report.ts";

interface Arguments {
  readonly forMs: number;
  readonly seed: number;
  readonly rate: number;
  readonly only: readonly FaultKind[] | undefined;
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
      only: { type: "string" },
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
  return { forMs: 1_000 * seconds, seed, rate, only: kindsIn(values.only), isKept: values.keep };
}

function kindsIn(text: string | undefined): readonly FaultKind[] | undefined {
  return text?.split(",").map((name) => {
    const kind = faultKinds.find((kind) => kind === name);
    if (kind === undefined) throw new RangeError(`--only knows ${faultKinds.join(", ")}`);
    return kind;
  });
}

// Whoever is told to stop leaves as one who comes to the end: with all that was started.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => Deno.exit(130));
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
