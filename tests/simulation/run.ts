/**
 * One run of a plan, and what became of it.
 *
 * @module
 */
import { check, watching } from "./invariants/all.ts";
import { Broken, Chronicle } from "./invariants/chronicle.ts";
import { noteSituations } from "./situations.ts";
import type { Plan } from "./plan.ts";
import { type CrashedAt, type RunOptions, World } from "./world.ts";

export interface RunReport {
  readonly seed: number;
  readonly trace: string;
  readonly commands: number;
  readonly reads: number;
  readonly commits: number;
  /** Points at which a node could have ended. */
  readonly points: number;
  /** Those at which one was told to end, and has. */
  readonly crashedAt: readonly CrashedAt[];
  readonly virtualMs: number;
  readonly counts: ReadonlyMap<string, number>;
  /** What did not hold. */
  readonly failure?: { readonly invariant: string; readonly message: string };
}

export async function runPlan(
  plan: Plan,
  options: Omit<RunOptions, "watch"> = {},
): Promise<RunReport> {
  const world = new World(plan, { ...options, watch: watching() });
  const bugs = new UnhandledRejections();
  const history = await world.run();
  bugs.stop();
  const failure = failureOf(() => {
    if (world.wrong !== undefined) throw world.wrong.error;
    if (bugs.first !== undefined) throw new Broken("defects", `nobody handled ${bugs.first}`);
    const chronicle = new Chronicle(history);
    noteSituations(chronicle, world.markers);
    check(chronicle);
  });
  const commands = history.performed.filter(({ operation: { act } }) => act.is !== "read").length;
  return {
    seed: plan.seed,
    trace: world.scheduler.trace,
    commands,
    reads: history.performed.length - commands,
    commits: history.commits.length,
    points: world.points,
    crashedAt: world.crashedAt,
    virtualMs: world.scheduler.now,
    counts: world.markers.counts,
    ...(failure !== undefined && { failure }),
  };
}

function failureOf(examine: () => void): RunReport["failure"] {
  try {
    examine();
    return undefined;
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    return { invariant: error.invariant, message: error.message };
  }
}

/** A promise of the runtime that nobody looks after any more. */
class UnhandledRejections {
  first: unknown;
  readonly #note = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    this.first ??= event.reason;
  };

  constructor() {
    globalThis.addEventListener("unhandledrejection", this.#note);
  }

  stop(): void {
    globalThis.removeEventListener("unhandledrejection", this.#note);
  }
}
