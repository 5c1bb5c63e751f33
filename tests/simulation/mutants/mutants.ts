/**
 * `deno task mutants`: every known way to break the runtime, and whether the simulation notices.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { mutants } from "./catalogue.ts";
import type { Mutant } from "./mutant.ts";
import { Tree, type Trial } from "./tree.ts";

const PROJECT = new URL("../../../", import.meta.url);
/** In which a mutant is to be noticed, unless it says otherwise. */
const SEEDS_MAX = 40;
/** That the sources as they are have to pass. */
const CONTROL_SEEDS = 40;

const usage = "deno task mutants [--only NAME]... [--jobs J]";

interface Result {
  readonly name: string;
  readonly passes: boolean;
  readonly cells: readonly string[];
}

async function tried(tree: Tree, mutant: Mutant): Promise<Result> {
  const startedAt = performance.now();
  const trial = await tree.try(mutant, mutant.seedsMax ?? SEEDS_MAX);
  const ms = performance.now() - startedAt;
  const { name } = mutant;
  if (trial.is === "broken") return { name, passes: false, cells: [trial.why, "", "", timed(ms)] };
  const { caught, other, commands } = trial.probed;
  const cells = (
    by: string,
    seed?: number,
  ) => [by, seed === undefined ? "" : String(seed), grouped(commands), timed(ms)];
  if (caught !== undefined) {
    return { name, passes: true, cells: cells(caught.invariant, caught.seed) };
  }
  if (other === undefined) return { name, passes: false, cells: cells("nobody") };
  return { name, passes: false, cells: cells(`only ${other.message}`, other.seed) };
}

async function controlled(tree: Tree): Promise<Result> {
  const startedAt = performance.now();
  const trial = await tree.run(CONTROL_SEEDS);
  const [verdict, commands] = judged(trial);
  const cells = [verdict ?? "nobody", "", commands, timed(performance.now() - startedAt)];
  return { name: "(as it is)", passes: verdict === undefined, cells };
}

function judged(trial: Trial): readonly [verdict: string | undefined, commands: string] {
  if (trial.is === "broken") return [trial.why, ""];
  const { caught, commands } = trial.probed;
  return [caught && `${caught.message}, seed ${caught.seed}`, grouped(commands)];
}

async function all(wanted: readonly Mutant[], jobs: number): Promise<Result[]> {
  const results: Result[] = [];
  const note = (result: Result) => {
    results.push(result);
    console.log(row([result.name, ...result.cells, result.passes ? "" : "FAILED"]));
  };
  const left = [controlled, ...wanted.map((mutant) => (tree: Tree) => tried(tree, mutant))];
  const hand = async () => {
    await using tree = await Tree.copyOf(PROJECT);
    for (let next = left.shift(); next !== undefined; next = left.shift()) note(await next(tree));
  };
  await Promise.all(Array.from({ length: jobs }, hand));
  return results;
}

const WIDTHS = [34, 10, 6, 10, 8];

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0)).join(" ").trimEnd();
}

function timed(ms: number): string {
  return grouped(ms);
}

function grouped(figure: number): string {
  return Math.round(figure).toLocaleString("en");
}

function wished(args: string[]): { readonly wanted: readonly Mutant[]; readonly jobs: number } {
  const { values: { only, jobs } } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true, default: [] },
      jobs: { type: "string", default: "2" },
    },
  });
  for (const name of only) {
    if (!mutants.some((mutant) => mutant.name === name)) {
      throw new TypeError(`There is no mutant "${name}"`);
    }
  }
  const wanted = only.length === 0 ? mutants : mutants.filter(({ name }) => only.includes(name));
  if (!/^[1-9]\d?$/.test(jobs)) throw new TypeError(`${jobs} is no number of jobs`);
  return { wanted, jobs: Number(jobs) };
}

async function main(args: string[]): Promise<number> {
  let wish: ReturnType<typeof wished>;
  try {
    wish = wished(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    return 2;
  }
  const startedAt = performance.now();
  console.log(row(["mutant", "noticed by", "seed", "commands", "ms"]));
  const results = await all(wish.wanted, wish.jobs);
  const failed = results.filter(({ passes }) => !passes).length;
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(`\nin ${seconds.toFixed(1)} s`);
  console.log(`${results.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

Deno.exit(await main(Deno.args));
