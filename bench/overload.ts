/**
 * `deno task overload`: asks ten times what the service can serve, for a minute, and says whether
 * what it still serves is worth the name.
 *
 *     overload.ts [--factor=10] [--seconds=60] [--quick]
 *
 * First the peak is found in a closed loop. Then requests come in an open loop, at half the peak, at
 * the factor times the peak, and at half the peak again. Lists and single reads come beside
 * commands, as the service is to refuse the former first.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { createRealEvents, People, startReal } from "./contestants.ts";
import type { CrowdPlan, CrowdReport, KindReport, RequestKind } from "./crowd.ts";
import { createDatabase, databaseServer, LineProcess, LoadProcess, settle } from "./processes.ts";

const events = 2_000;
const capacity = 100_000;
const connectionsMax = 5_000;
/** Whoever waits longer has gone elsewhere. */
const patienceMs = 1_000;
/** How soon after it a normal load has to be served as before. */
const recoveryMs = 10_000;
const goodputShareMin = 0.8;
/** Of all requests: neither served nor refused, but kept waiting or cut off. */
const neitherShareMax = 0.01;
const peakRefusedShareMax = 0.01;
const concurrencies = [16, 64, 256] as const;

const kinds: readonly RequestKind[] = [
  {
    name: "command",
    share: 2,
    method: "POST",
    path: "/api/v1/events/{id}/registrations",
    body: `{"userId":"person-{i}"}`,
  },
  { name: "read", share: 2, method: "GET", path: "/api/v1/events/{id}" },
  { name: "list", share: 6, method: "GET", path: "/api/v1/events?limit=100" },
];

interface Phase {
  readonly name: string;
  readonly perSecond: number;
  readonly goodPerSecond: number;
  readonly refusedShare: number;
  readonly p99Ms: number;
  readonly other: Readonly<Record<string, number>>;
  readonly byKind: Readonly<Record<string, number>>;
  /** p99 of every second. */
  readonly p99BySecond: readonly number[];
  readonly withoutRetryAfter: number;
}

class Overload {
  readonly #plan: Omit<CrowdPlan, "pace" | "seconds" | "firstIndex">;
  readonly #crowd: LineProcess<CrowdPlan, CrowdReport>;
  #index = 0;

  constructor(target: string, ids: readonly string[], token: string) {
    this.#plan = { target, ids, token, kinds, connectionsMax, patienceMs };
    this.#crowd = new LineProcess("crowd.ts");
  }

  /**
   * What a closed loop gets through of the same mix, with the number of callers that suits it best.
   * Where many are refused it is another mix that is served, so such a loop does not count.
   */
  async peak(seconds: number): Promise<number> {
    let best = 0;
    for (const callers of concurrencies) {
      const phase = await this.#fire(`${callers} callers`, { callers }, seconds);
      if (phase.refusedShare <= peakRefusedShareMax) best = Math.max(best, phase.goodPerSecond);
    }
    return best;
  }

  phase(name: string, perSecond: number, seconds: number): Promise<Phase> {
    return this.#fire(name, { perSecond }, seconds);
  }

  async #fire(name: string, pace: CrowdPlan["pace"], seconds: number): Promise<Phase> {
    const report = await this.#crowd.ask({ ...this.#plan, pace, seconds, firstIndex: this.#index });
    this.#index += report.sent;
    const phase = phaseOf(name, report);
    console.log(printed(phase));
    return phase;
  }

  async close(): Promise<void> {
    await this.#crowd.close();
  }
}

function phaseOf(name: string, { seconds, sent }: CrowdReport): Phase {
  const all = seconds.flatMap((kinds) => Object.entries(kinds));
  const sum = (of: (report: KindReport) => number) =>
    all.reduce((total, [, report]) => total + of(report), 0);
  const other: Record<string, number> = {};
  const byKind: Record<string, number> = {};
  for (const [kind, report] of all) {
    byKind[kind] = (byKind[kind] ?? 0) + report.good / seconds.length;
    for (const [what, times] of Object.entries(report.other)) {
      other[what] = (other[what] ?? 0) + times;
    }
  }
  const good = sum((report) => report.good);
  return {
    name,
    perSecond: sent / seconds.length,
    goodPerSecond: good / seconds.length,
    refusedShare: sum((report) => report.refused) / sent,
    p99Ms: p99(all.flatMap(([, report]) => report.latenciesMs)),
    other,
    byKind,
    p99BySecond: seconds.map((kinds) =>
      p99(Object.values(kinds).flatMap(({ latenciesMs }) => latenciesMs))
    ),
    withoutRetryAfter: sum((report) => report.withoutRetryAfter.count),
  };
}

function p99(latenciesMs: readonly number[]): number {
  const sorted = Float64Array.from(latenciesMs).sort();
  return sorted[Math.floor(sorted.length * 0.99)] ?? NaN;
}

function printed(phase: Phase): string {
  const rates = Object.entries(phase.byKind).map(([kind, rate]) => `${kind} ${Math.round(rate)}/s`);
  const other = Object.entries(phase.other).map(([what, times]) => `${what} ${times}`);
  return [
    `${phase.name}: asked ${Math.round(phase.perSecond)}/s, good ${
      Math.round(phase.goodPerSecond)
    }/s (${rates.join(", ")})`,
    `  refused ${(phase.refusedShare * 100).toFixed(1)} %, p99 ${phase.p99Ms.toFixed(1)} ms` +
    (other.length > 0 ? `, other: ${other.join(", ")}` : ""),
  ].join("\n");
}

interface Verdict {
  readonly what: string;
  readonly isMet: boolean;
}

function verdicts(peak: number, before: Phase, during: Phase, after: Phase): Verdict[] {
  const share = during.goodPerSecond / peak;
  const neither = 1 - during.refusedShare - during.goodPerSecond / during.perSecond;
  const strange = Object.keys(during.other).filter((what) =>
    /^[0-9]+$/.test(what) && what !== "409"
  );
  const normalMs = 2 * before.p99Ms;
  const recovered = after.p99BySecond.findIndex((_, second) =>
    after.p99BySecond.slice(second).every((p99Ms) => p99Ms <= normalMs)
  );
  return [
    {
      what: `goodput ${(share * 100).toFixed(0)} % of the peak, at least ${
        goodputShareMin * 100
      } %`,
      isMet: share >= goodputShareMin,
    },
    {
      what: `neither served nor refused in time ${(neither * 100).toFixed(1)} %, at most ` +
        `${neitherShareMax * 100} %`,
      isMet: neither <= neitherShareMax,
    },
    {
      what: `all else refused with 429 or 503 and Retry-After (statuses ${
        strange.join(", ") || "none else"
      }, ${during.withoutRetryAfter} without)`,
      isMet: strange.length === 0 && during.withoutRetryAfter === 0,
    },
    {
      what: `p99 within twice the normal ${before.p99Ms.toFixed(1)} ms ` +
        (recovered < 0 ? "never again" : `${recovered} s after it`),
      isMet: recovered >= 0 && recovered * 1_000 <= recoveryMs,
    },
  ];
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      factor: { type: "string", default: "10" },
      seconds: { type: "string", default: "60" },
      quick: { type: "boolean", default: false },
    },
  });
  const seconds = values.quick ? 10 : Number(values.seconds);
  const people = await People.create();
  const token = await people.organizer();
  await using closing = new AsyncDisposableStack();
  const database = await createDatabase(databaseServer());
  closing.defer(database.drop);
  const dataDir = await Deno.makeTempDir({ prefix: "troupe_overload_" });
  closing.defer(() => Deno.remove(dataDir, { recursive: true }));
  const { secret } = people;
  // All that come stand for callers of many addresses.
  const env = { CONNECTIONS_PER_ADDRESS_MAX: "100000", CONNECTIONS_MAX: "100000" };
  const server = await startReal({ secret, dataDir, databaseUrl: database.url, env });
  closing.defer(server.stop);
  const load = new LoadProcess();
  closing.defer(() => load.close());
  const ids = await createRealEvents(server.url, { load, token, count: events, capacity });
  await settle(server.pid);
  const overload = new Overload(server.url, ids, token);
  closing.defer(() => overload.close());

  const peak = await overload.peak(values.quick ? 2 : 5);
  const before = await overload.phase("normal", peak / 2, 10);
  const during = await overload.phase("overload", peak * Number(values.factor), seconds);
  const after = await overload.phase("normal again", peak / 2, 20);
  const found = verdicts(peak, before, during, after);
  for (const { what, isMet } of found) console.log(`${isMet ? "ok    " : "MISSED"}  ${what}`);
  return found.every(({ isMet }) => isMet) ? 0 : 1;
}

process.exitCode = await main(Deno.args);
