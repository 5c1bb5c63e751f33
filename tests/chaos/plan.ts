/**
 * What goes wrong, and in which order: drawn from a seed before anything begins, and written down.
 *
 * @module
 */
import { VirtualEnv } from "../support/virtual_env.ts";

/** Which part of the way a network fault is on. */
export type Edge = "clients" | "database" | "redis";

export const faultKinds = [
  "kill",
  "database-immediate",
  "cut-after-commit",
  "pause",
  "backend-kill",
  "wal-error",
  "cut-before-commit",
  "dead-to-server",
  "postmaster-kill",
  "reset",
  "connections",
  "clock",
  "data-full",
  "database-fast",
  "latency",
  "held",
  "lock-storm",
  "slow-disk",
  "wal-full",
  "cut-during-commit",
  "dead-to-client",
  "dead",
  "slices",
  "narrow",
  "redis-kill",
  "redis-pause",
  "redis-flush",
] as const;
export type FaultKind = typeof faultKinds[number];

/** One fault; what it does not need it does not look at. */
export interface Fault {
  readonly kind: FaultKind;
  /** The places of the nodes that it befalls. */
  readonly nodes: readonly number[];
  readonly edge: Edge;
  /** How long it lasts, or for how long something is down. */
  readonly ms: number;
  /** Of a clock: how far it jumps, in seconds. */
  readonly seconds: number;
}

export interface Plan {
  readonly seed: number;
  /** What happens together begins together; the next begins after all is well again. */
  readonly episodes: readonly (readonly Fault[])[];
}

/** How often each is drawn, once all have had their turn. */
const weights: Partial<Record<FaultKind, number>> = {
  "kill": 60,
  "database-immediate": 16,
  "backend-kill": 14,
  "postmaster-kill": 14,
  "wal-error": 8,
  "reset": 6,
  "cut-before-commit": 5,
  "cut-during-commit": 5,
  "cut-after-commit": 6,
};
const WEIGHT = 4;

/** One in so many episodes is of two faults at once. */
const TOGETHER_ONE_IN = 12;

/** How long each lasts, from and to; shorter where little time is left for all. */
const lengths: Record<FaultKind, readonly [fromMs: number, toMs: number]> = {
  "kill": [0, 2_000],
  "pause": [1_000, 45_000],
  "clock": [2_000, 6_000],
  "database-fast": [0, 2_000],
  "database-immediate": [0, 2_000],
  "backend-kill": [0, 0],
  "postmaster-kill": [0, 2_000],
  "wal-error": [2_000, 2_000],
  "slow-disk": [2_000, 5_000],
  "data-full": [2_000, 5_000],
  "wal-full": [2_000, 5_000],
  "connections": [2_000, 6_000],
  "lock-storm": [4_000, 10_000],
  "latency": [2_000, 8_000],
  "narrow": [2_000, 6_000],
  "slices": [2_000, 6_000],
  "reset": [0, 0],
  "held": [1_000, 12_000],
  "dead": [1_000, 10_000],
  "dead-to-server": [1_000, 10_000],
  "dead-to-client": [1_000, 10_000],
  "cut-before-commit": [2_000, 2_000],
  "cut-during-commit": [2_000, 2_000],
  "cut-after-commit": [2_000, 2_000],
  "redis-kill": [0, 3_000],
  "redis-pause": [1_000, 5_000],
  "redis-flush": [0, 0],
};

/** In a short run nothing lasts longer. */
const SHORT_MS_MAX = 2_500;
const SHORT_RUN_MS = 300_000;
const CLOCK_SECONDS_MAX = 600;

export interface PlanOptions {
  readonly seed: number;
  readonly forMs: number;
  readonly nodes: number;
  readonly edges: readonly Edge[];
  /** What this machine can do. */
  readonly kinds: readonly FaultKind[];
}

/**
 * More than there is time for, so that it does not run out. In its first round every kind has its
 * turn: in the order above where the run is short, so that the most telling do, and else in any.
 */
export function drawnPlan({ seed, forMs, nodes, edges, kinds }: PlanOptions): Plan {
  const chance = new VirtualEnv(seed);
  const below = (limit: number) => Math.floor(chance.random() * limit);
  const isShort = forMs < SHORT_RUN_MS;
  const fault = (kind: FaultKind): Fault => {
    const [from, to] = lengths[kind];
    // Most are short: the square of what is even.
    const ms = Math.round(from + (to - from) * chance.random() ** 2);
    const first = below(nodes);
    const others = Array.from({ length: nodes - 1 }, (_, n) => (first + n + 1) % nodes);
    const struck = [first, ...others].slice(0, kind === "kill" ? 1 + below(nodes) : 1);
    return {
      kind,
      nodes: struck,
      // Who cuts at a commit has to be where commits pass.
      edge: kind.startsWith("cut-") ? "database" : edges[below(edges.length)]!,
      ms: isShort ? Math.min(ms, Math.max(from, SHORT_MS_MAX)) : ms,
      seconds: below(2 * CLOCK_SECONDS_MAX + 1) - CLOCK_SECONDS_MAX,
    };
  };
  const inFirstRound = isShort ? kinds : shuffled(kinds, below);
  const urn = kinds.flatMap((kind) => Array<FaultKind>(weights[kind] ?? WEIGHT).fill(kind));
  const episodes = inFirstRound.map((kind) => [fault(kind)]);
  const more = Math.ceil(forMs / 3_000);
  while (episodes.length < kinds.length + more) {
    const kind = urn[below(urn.length)]!;
    const isAlone = below(TOGETHER_ONE_IN) > 0 || kind === "kill" || !kinds.includes("kill");
    episodes.push(isAlone ? [fault(kind)] : [fault(kind), fault("kill")]);
  }
  return { seed, episodes };
}

function shuffled<Item>(items: readonly Item[], below: (limit: number) => number): Item[] {
  const left = [...items];
  return items.map(() => left.splice(below(left.length), 1)[0]!);
}
