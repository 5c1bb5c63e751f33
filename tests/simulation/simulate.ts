/**
 * `deno task simulate`: many seeds on all hands, and a verdict.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Markers } from "./markers.ts";
import { usualSize } from "./planning.ts";
import { keep } from "./regressions.ts";
import type { RunReport } from "./run.ts";
import type { Answer, Errand } from "./simulating_worker.ts";

interface Wish {
  readonly firstSeed: number;
  /** At the most. */
  readonly seeds: number;
  /** Enough of them. */
  readonly commands: number;
  readonly jobs: number;
  readonly operations: number;
}

/** With fewer, something rare may well not have come up. */
const SEEDS_FOR_ALL_SITUATIONS = 400;
/** Failures that are made small; the others are only named. */
const SHRUNK_MAX = 3;
const PROGRESS_MS = 5_000;

const usage =
  "deno task simulate [--seed N] [--seeds K] [--commands M] [--jobs J] [--operations O]";

class Tally {
  readonly markers = new Markers();
  readonly failures: RunReport[] = [];
  seeds = 0;
  repeated = 0;
  commands = 0;
  reads = 0;
  commits = 0;
  points = 0;
  virtualMs = 0;
  readonly #startedAt = performance.now();

  add({ report, isRepeated }: Extract<Answer, { is: "ran" }>): void {
    this.seeds++;
    if (isRepeated) this.repeated++;
    this.commands += report.commands;
    this.reads += report.reads;
    this.commits += report.commits;
    this.points += report.points;
    this.virtualMs += report.virtualMs;
    this.markers.add(report);
    if (report.failure !== undefined) this.failures.push(report);
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  get progress(): string {
    const rate = this.commands / this.seconds;
    return `${this.seeds} seeds, ${grouped(this.commands)} commands, ${grouped(rate)} a second, ` +
      `${this.failures.length} failed`;
  }
}

async function simulate(wish: Wish): Promise<Tally> {
  const tally = new Tally();
  let seed = wish.firstSeed;
  const isWanted = () => seed < wish.firstSeed + wish.seeds && tally.commands < wish.commands;
  const progress = setInterval(() => console.log(`  ${tally.progress}`), PROGRESS_MS);
  const hand = async () => {
    using worker = new Hand();
    while (isWanted()) {
      const answer = await worker.do({ is: "run", seed: seed++, size: sizeOf(wish) });
      if (answer.is !== "ran") throw new Error(`Asked to run, it has ${answer.is}`);
      tally.add(answer);
      const { seed: its, failure } = answer.report;
      if (failure !== undefined) console.log(`  seed ${its} failed: ${failure.message}`);
    }
  };
  await Promise.all(Array.from({ length: wish.jobs }, hand));
  clearInterval(progress);
  return tally;
}

/** A thread, and what it is asked. */
class Hand implements Disposable {
  readonly #worker = new Worker(new URL("simulating_worker.ts", import.meta.url), {
    type: "module",
  });

  do(errand: Errand): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`Seed ${errand.seed} broke the simulation: ${event.message}`));
      };
      this.#worker.postMessage(errand);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

async function shrinkAndKeep(seeds: readonly number[], wish: Wish): Promise<void> {
  const commit = await currentCommit();
  using worker = new Hand();
  for (const seed of seeds) {
    const answer = await worker.do({ is: "shrink", seed, size: sizeOf(wish) });
    if (answer.is !== "shrunk") throw new Error(`Asked to shrink, it has ${answer.is}`);
    const { plan, report: { failure } } = answer;
    if (failure === undefined) {
      console.log(`  seed ${seed} does not fail every time`);
      continue;
    }
    const path = await keep({ seed, ...failure, commit, plan });
    const { operations, faults, nodes } = plan;
    console.log(
      `  seed ${seed}: ${operations.length} operations, ${faults.length} faults, ` +
        `${nodes.length} nodes\n    ${failure.message}\n    kept as ${path}`,
    );
  }
}

async function currentCommit(): Promise<string> {
  const { stdout } = await new Deno.Command("git", { args: ["rev-parse", "HEAD"] }).output();
  return new TextDecoder().decode(stdout).trim();
}

function sizeOf({ operations }: Wish) {
  return { ...usualSize, operations };
}

function describe(tally: Tally, missing: readonly string[]): void {
  const { seeds, commands, reads, commits, points, virtualMs, repeated, seconds } = tally;
  const lines = [
    ["seeds", `${grouped(seeds)}, ${grouped(repeated)} of them twice`],
    ["commands", `${grouped(commands)}, and ${grouped(reads)} reads`],
    ["commits", grouped(commits)],
    ["crash points passed", grouped(points)],
    ["time", `${grouped(virtualMs / 3_600_000)} hours in ${seconds.toFixed(1)} s`],
    ["commands a second", grouped(commands / seconds)],
  ];
  console.log("\nWhat struck, and what came of it:");
  for (const [kind, count] of [...tally.markers.counts].sort()) {
    console.log(`  ${kind.padEnd(36)} ${grouped(count).padStart(12)}`);
  }
  console.log("");
  for (const [name, figure] of lines) console.log(`  ${name!.padEnd(36)} ${figure}`);
  for (const kind of missing) console.log(`  never came up: ${kind}`);
}

function grouped(figure: number): string {
  return Math.round(figure).toLocaleString("en");
}

function wished(args: string[]): Wish {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: "string", default: "1" },
      seeds: { type: "string" },
      commands: { type: "string" },
      jobs: { type: "string", default: "2" },
      operations: { type: "string", default: String(usualSize.operations) },
    },
  });
  const number = (text: string | undefined) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`${text} is no number`);
    return value;
  };
  const { seeds, commands } = values;
  return {
    firstSeed: number(values.seed),
    seeds: seeds !== undefined ? number(seeds) : commands === undefined ? 100 : Infinity,
    commands: commands === undefined ? Infinity : number(commands),
    jobs: number(values.jobs),
    operations: number(values.operations),
  };
}

async function main(args: string[]): Promise<number> {
  let wish: Wish;
  try {
    wish = wished(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    return 2;
  }
  console.log(`Simulating from seed ${wish.firstSeed} on, on ${wish.jobs} hands`);
  const tally = await simulate(wish);
  const { failures, markers, seeds } = tally;
  const missing = seeds >= SEEDS_FOR_ALL_SITUATIONS ? markers.missing : [];
  describe(tally, missing);
  if (failures.length > 0) {
    console.log("\nMade small:");
    await shrinkAndKeep(failures.slice(0, SHRUNK_MAX).map(({ seed }) => seed), wish);
  }
  const failed = failures.length + missing.length;
  console.log(`\n${seeds - failures.length} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

Deno.exit(await main(Deno.args));
