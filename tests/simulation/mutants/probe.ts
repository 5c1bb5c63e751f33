/**
 * Runs seeds of the simulation until an invariant of those that are waited for does not hold, and
 * prints what came of it as JSON. Part of every copy: it sees only the sources beside it.
 *
 * @module
 */
import { planOf } from "../planning.ts";
import { runPlan } from "../run.ts";

export interface Finding {
  readonly invariant: string;
  readonly message: string;
  readonly seed: number;
}

export interface Probed {
  readonly seeds: number;
  readonly commands: number;
  /** The first that was waited for. */
  readonly caught?: Finding;
  /** Of the others, the first. */
  readonly other?: Finding;
}

/** Without any to wait for, the first that does not hold is it. */
async function probe(seedsMax: number, screams: readonly string[]): Promise<Probed> {
  let commands = 0;
  let other: Finding | undefined;
  for (let seed = 1; seed <= seedsMax; seed++) {
    const report = await runPlan(planOf(seed));
    commands += report.commands;
    if (report.failure === undefined) continue;
    const finding = { ...report.failure, seed };
    if (screams.length === 0 || screams.includes(finding.invariant)) {
      return { seeds: seed, commands, caught: finding, ...(other !== undefined && { other }) };
    }
    other ??= finding;
  }
  return { seeds: seedsMax, commands, ...(other !== undefined && { other }) };
}

const [seedsMax, ...screams] = Deno.args;
console.log(JSON.stringify(await probe(Number(seedsMax), screams)));
// A mutant may have left something running for good.
Deno.exit(0);
