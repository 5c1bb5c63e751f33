/**
 * The figures the service must reach, as data, and how samples are held against them.
 *
 * @module
 */

export type Store = "postgres" | "embedded";

/** "few": the same with few messages, where the figure is about many. */
export type ContestantName =
  | "real"
  | "no-op"
  | "row-lock"
  | "single-statement"
  | "bare"
  | "insert"
  /** The service as another checkout has it. */
  | "before"
  | "few"
  /** Of a rush, beside orders. */
  | "registrations"
  | "graphile-worker"
  | "graphile-worker defaults"
  | "pg-boss"
  | "bullmq";

/** Measured together, on servers of their own. */
export type Group =
  | "rush"
  | "spread"
  | "reads"
  | "latency"
  | "orders"
  | "messages"
  | "jobs"
  | "memory"
  | "start";

export const groups: readonly Group[] = [
  "rush",
  "spread",
  "reads",
  "latency",
  "orders",
  "messages",
  "jobs",
  "memory",
  "start",
];

export type Metric =
  | "perSecond"
  | "p50Ms"
  | "p99Ms"
  | "maxMs"
  | "residentMb"
  | "growthMb"
  | "startMs"
  | "outboxMb";

/** What one contestant did in one round. */
export interface Sample {
  readonly workload: string;
  readonly contestant: ContestantName;
  readonly round: number;
  readonly values: Readonly<Partial<Record<Metric, number>>>;
}

export interface Figure {
  readonly group: Group;
  readonly workload: string;
  readonly metric: Metric;
  /** Divides by what this contestant reached in the same round. */
  readonly against?: ContestantName;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Where it is measured; everywhere unless said. */
  readonly store?: Store;
}

export const figures: readonly Figure[] = [
  ratio("rush", "rush 256", "no-op", 0.4),
  ratio("rush", "rush 256", "row-lock", 20),
  ratio("rush", "rush 256", "single-statement", 8),
  ratio("rush", "rush 64", "no-op", 0.2),
  ratio("rush", "rush 256", "before", 0.97),
  ratio("spread", "spread 256", "no-op", 0.3),
  ratio("spread", "spread 256", "row-lock", 6),
  ratio("spread", "spread 256", "single-statement", 2.5),
  ratio("spread", "spread 64, first touch", "no-op", 0.13),
  { group: "rush", workload: "rush 64", metric: "p99Ms", atMost: 25 },
  { group: "rush", workload: "rush 256", metric: "p99Ms", atMost: 60 },
  { group: "spread", workload: "spread 64, first touch", metric: "p99Ms", atMost: 25 },
  { group: "spread", workload: "spread 64, second touch", metric: "p99Ms", atMost: 25 },
  { group: "spread", workload: "spread 256, first touch", metric: "p99Ms", atMost: 60 },
  { group: "spread", workload: "spread 256, second touch", metric: "p99Ms", atMost: 60 },
  ratio("reads", "reads 64", "no-op", 0.7),
  ratio("reads", "reads 256", "no-op", 0.7),
  {
    group: "latency",
    workload: "one connection",
    metric: "p50Ms",
    against: "insert",
    atMost: 2,
    store: "postgres",
  },
  ratio("orders", "orders 64", "registrations", 0.4),
  { group: "orders", workload: "orders, acknowledged to filled", metric: "p99Ms", atMost: 50 },
  {
    group: "messages",
    workload: "actor to actor, one hop",
    metric: "perSecond",
    atLeast: 8_000,
    store: "postgres",
  },
  {
    group: "messages",
    workload: "commit to delivery, idle",
    metric: "p50Ms",
    atMost: 5,
    store: "postgres",
  },
  {
    group: "messages",
    workload: "commit to delivery, idle",
    metric: "p99Ms",
    atMost: 25,
    store: "postgres",
  },
  {
    group: "messages",
    workload: "claims beside a million delayed",
    metric: "p50Ms",
    against: "few",
    atMost: 1.2,
    store: "postgres",
  },
  {
    group: "messages",
    workload: "claims from a queue beside a million delayed",
    metric: "p50Ms",
    against: "few",
    atMost: 1.2,
    store: "postgres",
  },
  {
    group: "messages",
    workload: "outbox after a million messages",
    metric: "outboxMb",
    against: "few",
    atMost: 1,
    store: "postgres",
  },
  jobsRatio("jobs drained", "graphile-worker", 0.8),
  jobsRatio("jobs drained", "graphile-worker defaults", 5),
  jobsRatio("jobs drained", "pg-boss", 1),
  jobsRatio("jobs drained", "bullmq", 1.5),
  // Against the better of the two.
  jobsRatio("jobs enqueued", "graphile-worker", 0.8),
  jobsRatio("jobs enqueued", "pg-boss", 0.8),
  { group: "memory", workload: "100,000 activated", metric: "residentMb", atMost: 400 },
  // A heap breathes by tens of megabytes; what must not happen is growth with what was touched.
  { group: "memory", workload: "a million touched, cap 50,000", metric: "growthMb", atMost: 64 },
  {
    group: "start",
    workload: "existing database of 100,000 events",
    metric: "startMs",
    atMost: 2_000,
    store: "embedded",
  },
];

function ratio(group: Group, workload: string, against: ContestantName, atLeast: number): Figure {
  const store = against === "row-lock" || against === "single-statement" ? "postgres" : undefined;
  return {
    group,
    workload,
    metric: "perSecond",
    against,
    atLeast,
    ...(store === undefined ? {} : { store }),
  };
}

/** All of them need a Postgres server, or are compared with what does. */
function jobsRatio(workload: string, against: ContestantName, atLeast: number): Figure {
  return { group: "jobs", workload, metric: "perSecond", against, atLeast, store: "postgres" };
}

export function nameOf({ group, workload, metric, against }: Figure): string {
  const counted = group === "jobs" ? "jobs/s" : "commands/s";
  const unit = metric === "perSecond" ? counted : metric;
  return `${workload}: ${unit}${against ? ` / ${against}` : ""}`;
}

export interface Finding {
  readonly figure: Figure;
  readonly name: string;
  /** One value per round in which everything it needs was measured. */
  readonly rounds: readonly number[];
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly isMet: boolean;
}

/** Compares within each round, as the machine's speed drifts between them; none without samples. */
export function findingOf(figure: Figure, samples: readonly Sample[]): Finding | undefined {
  const ofWorkload = samples.filter(({ workload }) => workload === figure.workload);
  const valueOf = (contestant: ContestantName, round: number) =>
    ofWorkload.find((sample) => sample.contestant === contestant && sample.round === round)
      ?.values[figure.metric];
  const rounds = ofWorkload
    .filter(({ contestant }) => contestant === "real")
    .flatMap(({ round }) => {
      const value = valueOf("real", round);
      const base = figure.against === undefined ? 1 : valueOf(figure.against, round);
      return value === undefined || base === undefined ? [] : [value / base];
    });
  if (rounds.length === 0) return undefined;
  const median = medianOf(rounds);
  return {
    figure,
    name: nameOf(figure),
    rounds,
    median,
    min: Math.min(...rounds),
    max: Math.max(...rounds),
    isMet: median >= (figure.atLeast ?? -Infinity) && median <= (figure.atMost ?? Infinity),
  };
}

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
