/** What all workloads of the closed loop do alike: rounds, the requests of a rush, and one measurement. */
import type { Bench } from "./arena.ts";
import type { Contestant } from "./contestants.ts";
import type { LoadPlan, LoadReport } from "./load_generator.ts";
import { settle } from "./processes.ts";

/** Round 0 warms everybody up and is not told. */
export async function inRounds(bench: Bench, run: (round: number) => Promise<void>): Promise<void> {
  for (let round = 0; round <= bench.sizes.rounds; round++) await run(round);
}

export function registrations(
  bench: Bench,
  contestant: Contestant,
  { ids, connections }: { readonly ids: readonly string[]; readonly connections: number },
): LoadPlan {
  const { sizes, tokens } = bench;
  const isBaseline = contestant.name === "row-lock" || contestant.name === "single-statement";
  return {
    targets: [contestant.server.url],
    connections,
    requests: isBaseline ? sizes.baselineRequests : sizes.requests,
    method: "POST",
    path: contestant.path,
    ids,
    body: tokens.length > 1 ? "{}" : `{"userId":"person-{i}"}`,
    tokens,
    isCaptured: true,
  };
}

export async function measure(
  bench: Bench,
  workload: string,
  { contestant, round, plan }: {
    readonly contestant: Contestant;
    readonly round: number;
    readonly plan: LoadPlan;
  },
): Promise<LoadReport> {
  const report = await bench.load.fire(plan);
  await settle(contestant.server.pid);
  const { perSecond, p50Ms, p99Ms } = report;
  const sample = {
    workload,
    contestant: contestant.name,
    round,
    values: { perSecond, p50Ms, p99Ms },
  };
  if (round > 0) bench.tell(sample, report);
  const failed = Object.keys(report.statuses).filter((status) => !status.startsWith("2"));
  if (failed.length > 0) {
    bench.fault(`${workload}, ${contestant.name}: statuses ${JSON.stringify(report.statuses)}`);
  }
  return report;
}
