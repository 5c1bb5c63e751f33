/**
 * A small workload, and what becomes of it when a node ends at any point there is: before every call
 * and after it, after every sleep, before every turn of the loop.
 *
 * @module
 */
import type { Act, Operation, Plan } from "./plan.ts";
import { noFaults, usualPace } from "./postgres/fault_plan.ts";
import { runPlan, type RunReport } from "./run.ts";

const order = { is: "place", symbol: 0, orderType: "limit", timeInForce: "day" } as const;

/** A little of everything that leads to a write, a message, a job or a read. */
const acts: readonly Act[] = [
  { is: "open", purse: 0, amount: 100 },
  { is: "schedule", event: 0, plan: { capacity: 1, waitlistCapacity: 2, offerMinutes: 1 } },
  { is: "open", purse: 1, amount: 100 },
  { is: "publish", event: 0 },
  { is: "transfer", from: 0, to: 1, amount: 60 },
  { is: "append", register: 0, tells: 1, rings: true },
  { is: "register", event: 0, user: 1 },
  { is: "transfer", from: 1, to: 0, amount: 70 },
  { is: "register", event: 0, user: 2 },
  { is: "append", register: 1, hasJob: true },
  { is: "transfer", from: 0, to: 1, amount: 90 },
  { is: "append", register: 0, tells: 1, isUnhandleable: true },
  { is: "read", kind: "purse", index: 1, strength: "strong" },
  { is: "append", register: 0, isPoison: true },
  { is: "withdraw", event: 0, user: 1, registration: 106 },
  { is: "read", kind: "live_event", index: 0, strength: "session" },
  { is: "accept", event: 0, user: 2, registration: 108 },
  { is: "append", register: 1, tells: 0, rings: true, hasJob: true },
  { is: "trade", deal: { is: "quote", symbol: 0, price: 10 } },
  { is: "trade", deal: { is: "deposit", person: 0, amount: 60 } },
  { is: "trade", deal: { is: "deposit shares", person: 1, symbol: 0, quantity: 5 } },
  { is: "trade", deal: { ...order, person: 1, side: "sell", limit: 10, quantity: 5 } },
  { is: "trade", deal: { ...order, person: 0, side: "buy", limit: 12, quantity: 3 } },
  { is: "trade", deal: { is: "withdraw", person: 0, amount: 20 } },
  { is: "read", kind: "market", index: 0, strength: "strong" },
  { is: "read", kind: "account", index: 0, strength: "session" },
  { is: "read", kind: "order", index: 121, strength: "strong" },
  { is: "trade", deal: { is: "cancel", person: 1, order: 121 } },
];

const CLIENTS = 3;
const FIRST_ID = 100;

/** Nothing fails in it but what is added. */
export const referencePlan: Plan = {
  seed: 1,
  nodes: [{ skewMs: 0, rate: 1 }, { skewMs: 0, rate: 1 }],
  clients: CLIENTS,
  operations: acts.map((act, index): Operation => ({
    id: FIRST_ID + index,
    client: index % CLIENTS,
    afterMs: 30,
    node: index >> 1,
    act,
    ...(act.is !== "read" && { key: `key-${index}`, repeats: index % 4 === 0 ? 1 : 0 }),
  })),
  faults: [],
  limits: {
    snapshotEvery: 3,
    residentMax: 1_000,
    idleMs: 2_000,
    turnMax: 1_000,
    giveUpMs: 2_000,
    leaseMs: 1_000,
  },
  database: noFaults,
  pace: usualPace,
  networkMs: 5,
  healAtMs: 3_000,
};

/** The run with those crashes; it fails as well where one of them did not come about. */
export async function crashedRun(points: readonly number[]): Promise<RunReport> {
  const report = await runPlan(referencePlan, { crashAtPoints: points });
  const missing = points.filter((wanted) =>
    !report.crashedAt.some(({ point }) => point === wanted)
  );
  if (report.failure !== undefined || missing.length === 0) return report;
  const message = `no node ended at point ${missing.join()}, of ${report.points}`;
  return { ...report, failure: { invariant: "crashes", message } };
}

/** As reports name it. */
export function whereCrashed({ crashedAt }: RunReport): string {
  return crashedAt.map(({ point, call, side }) => `${point}, ${side} ${call}`).join(", then ");
}

/** Two points at which nodes end in one run: the second is one that the first leads to. */
export async function crashedTwice(chance: () => number, points: number): Promise<RunReport> {
  const first = 1 + Math.floor(chance() * points);
  const once = await crashedRun([first]);
  if (once.failure !== undefined || once.points === first) return once;
  const second = first + 1 + Math.floor(chance() * (once.points - first));
  return await crashedRun([first, second]);
}
