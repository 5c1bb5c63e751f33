/**
 * Failures that were found once, small, to be played for ever.
 *
 * @module
 */
import { join } from "node:path";
import type { Plan } from "./plan.ts";

export interface Regression {
  readonly seed: number;
  /** What did not hold, and how it was told. */
  readonly invariant: string;
  readonly message: string;
  /** The state of the code in which it was found. */
  readonly commit: string;
  readonly plan: Plan;
}

const folder = join(import.meta.dirname!, "regressions");

/** Where it is now. */
export async function keep(regression: Regression): Promise<string> {
  const { seed, invariant } = regression;
  const path = join(folder, `${invariant}_${seed}.json`);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(path, `${JSON.stringify(regression, null, 2)}\n`);
  return path;
}

/** By name of file. */
export function kept(): ReadonlyMap<string, Regression> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return new Map(
    names.filter((name) => name.endsWith(".json"))
      .map((name) => [name, JSON.parse(Deno.readTextFileSync(join(folder, name)))]),
  );
}
