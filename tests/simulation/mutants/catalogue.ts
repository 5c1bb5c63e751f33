/**
 * All mutants.
 *
 * @module
 */
import type { Mutant } from "./mutant.ts";
import { ofCommits } from "./of_commits.ts";
import { ofDeliveries } from "./of_deliveries.ts";
import { ofTrading } from "./of_trading.ts";
import { ofTurns } from "./of_turns.ts";

export const mutants: readonly Mutant[] = [...ofTurns, ...ofCommits, ...ofDeliveries, ...ofTrading];

/** As docs/mutants.md has it. */
export function tableOf(mutants: readonly Mutant[]): string {
  const rows = mutants.map(({ name, says, screams }) =>
    `| ${name} | ${says} | ${screams.join(", ")} |`
  );
  return ["| Mutant | What it breaks | Noticed by |", "| --- | --- | --- |", ...rows].join("\n");
}
