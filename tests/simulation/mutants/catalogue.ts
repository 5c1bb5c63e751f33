/**
 * All mutants.
 *
 * @module
 */
import type { Mutant } from "./mutant.ts";
import { ofCommits } from "./of_commits.ts";
import { ofDeliveries } from "./of_deliveries.ts";
import { ofTurns } from "./of_turns.ts";

export const mutants: readonly Mutant[] = [...ofTurns, ...ofCommits, ...ofDeliveries];
