/**
 * Makes the plan of a failure small: what is not needed for it to fail is left out.
 *
 * @module
 */
import type { Fault, Operation, Plan } from "./plan.ts";
import { noFaults, usualPace } from "./postgres/fault_plan.ts";

/** Whether that plan fails in the way that is looked for. */
export type Fails = (plan: Plan) => Promise<boolean>;

export interface ShrinkLimits {
  /** How many plans are tried. */
  readonly runsMax: number;
}

const usual: ShrinkLimits = { runsMax: 600 };

/** A smaller plan that fails as well; the same, if all of it is needed. */
export async function shrunk(
  plan: Plan,
  fails: Fails,
  { runsMax }: ShrinkLimits = usual,
): Promise<Plan> {
  let runs = 0;
  const stillFails = async (candidate: Plan) => runs++ < runsMax && await fails(candidate);
  let smallest = plan;
  for (let size = Infinity; sizeOf(smallest) < size;) {
    size = sizeOf(smallest);
    smallest = await fewer(smallest, "faults", stillFails);
    smallest = await fewer(smallest, "operations", stillFails);
    for (const simplify of simplifications) {
      const simpler = simplify(smallest);
      if (simpler !== undefined && await stillFails(simpler)) smallest = simpler;
    }
  }
  return smallest;
}

function sizeOf({ faults, operations, nodes, clients }: Plan): number {
  return faults.length + operations.length + nodes.length + clients;
}

/** Leaves out halves, then quarters, and so on down to one by one. */
async function fewer(
  plan: Plan,
  what: "faults" | "operations",
  fails: Fails,
): Promise<Plan> {
  let smallest = plan;
  let part = plan[what].length;
  while (part >= 1) {
    for (let from = 0; from < smallest[what].length;) {
      const list: (Fault | Operation)[] = [...smallest[what]];
      list.splice(from, part);
      // Only what was left out changes: what is left is of the list's own kind.
      const candidate = { ...smallest, [what]: list } as Plan;
      if (await fails(candidate)) smallest = candidate;
      else from += part;
    }
    part = part === 1 ? 0 : Math.ceil(part / 2);
  }
  return smallest;
}

/** Each makes a plan simpler in one way; undefined where it is already. */
const simplifications: readonly ((plan: Plan) => Plan | undefined)[] = [
  withoutLastNode,
  withoutLastNode,
  withExactClocks,
  withoutIdleClients,
  withOneClient,
  withoutRepeats,
  (plan) => ({ ...plan, database: noFaults }),
  (plan) => ({ ...plan, pace: usualPace }),
  (plan) => ({ ...plan, healAtMs: plan.healAtMs / 2 }),
  (plan) => ({ ...plan, limits: { ...plan.limits, ...plainLimits } }),
];

/** Of what seldom matters. */
const plainLimits = { residentMax: 1_000, idleMs: 600_000, turnMax: 1_000 };

function withoutLastNode(plan: Plan): Plan | undefined {
  const { nodes, faults } = plan;
  const last = nodes.length - 1;
  const isConcerned = faults.some((fault) =>
    "node" in fault ? fault.node === last : "at" in fault && fault.at.node === last
  );
  return last === 0 || isConcerned ? undefined : { ...plan, nodes: nodes.slice(0, last) };
}

function withExactClocks(plan: Plan): Plan {
  return { ...plan, nodes: plan.nodes.map(() => ({ skewMs: 0, rate: 1 })) };
}

function withoutIdleClients(plan: Plan): Plan | undefined {
  const { operations, clients } = plan;
  const busy = [...new Set(operations.map(({ client }) => client))].sort((a, b) => a - b);
  if (busy.length === clients) return undefined;
  const renumbered = operations.map((operation) => {
    return { ...operation, client: busy.indexOf(operation.client) };
  });
  return { ...plan, clients: busy.length, operations: renumbered };
}

function withOneClient(plan: Plan): Plan | undefined {
  if (plan.clients === 1) return undefined;
  const operations = plan.operations.map((operation) => ({ ...operation, client: 0 }));
  return { ...plan, clients: 1, operations };
}

function withoutRepeats(plan: Plan): Plan | undefined {
  if (plan.operations.every(({ repeats }) => repeats === undefined)) return undefined;
  return { ...plan, operations: plan.operations.map(({ repeats: _, ...once }) => once) };
}
