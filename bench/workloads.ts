/**
 * What is measured: each group starts the servers it needs, lets them take turns, and yields samples.
 *
 * @module
 */
import { Arena, type Bench, rotated } from "./arena.ts";
import { type Contestant, createRealEvents } from "./contestants.ts";
import { faultsInRush } from "./exactness.ts";
import type { ContestantName, Group, Sample } from "./figures.ts";
import { insertOneByOne } from "./insert_baseline.ts";
import { jobs } from "./jobs.ts";
import type { LoadReport } from "./load_generator.ts";
import { MessageBench } from "./messages.ts";
import { orders } from "./orders.ts";
import { figuresOf, settle } from "./processes.ts";
import { inRounds, measure, registrations } from "./rounds.ts";

const seats = 1_000;
const connectionCounts = [64, 256] as const;
/** Of the events touched in turn, the part that may be resident: 50,000 of a million. */
const residentShare = 0.05;

// Found by trial on 2 cores, as commands/s. Hot row: row_lock with 2, 4, 8, 12 connections 1,010,
// 590, 510, 660; single_statement with 1, 2, 4, 8, 16: 2,650, 2,300, 2,100, 1,430, 870. Spread:
// row_lock with 2, 8, 16, 32: 1,110, 1,210, 1,550, 1,050; single_statement with 1, 2, 4, 8, 16:
// 2,640, 3,040, 3,500, 2,140, 2,400.
const poolMax = {
  rush: { row_lock: 2, single_statement: 2 },
  spread: { row_lock: 16, single_statement: 4 },
} as const;

export const workloads: Readonly<Record<Group, (bench: Bench) => Promise<void>>> = {
  rush,
  spread,
  reads,
  latency,
  orders,
  messages,
  jobs,
  memory,
  start,
};

/** One event that everybody wants. */
async function rush(bench: Bench): Promise<void> {
  await using arena = await Arena.open(bench, "rush");
  const all = await arena.all(poolMax.rush);
  await inRounds(bench, async (round) => {
    for (const connections of connectionCounts) {
      for (const contestant of rotated(all, round)) {
        const ids = await contestant.createEvents(1, seats);
        const plan = registrations(bench, contestant, { ids, connections });
        const report = await measure(bench, `rush ${connections}`, { contestant, round, plan });
        if (contestant.name === "no-op" || contestant.name === "bare") continue;
        for (const fault of faultsInRush(report.answers ?? [], seats)) {
          bench.fault(`rush ${connections}, ${contestant.name}: ${fault}`);
        }
      }
    }
  });
}

/** Many events, each wanted twice; every event is new to the server at its first touch. */
async function spread(bench: Bench): Promise<void> {
  const { sizes } = bench;
  await using arena = await Arena.open(bench, "spread");
  const sets = (sizes.rounds + 1) * connectionCounts.length;
  const events = await arena.createUnseen(sets * sizes.spreadEvents);
  const all = await arena.all(poolMax.spread);
  let set = 0;
  await inRounds(bench, async (round) => {
    for (const connections of connectionCounts) {
      const ids = events.slice(set * sizes.spreadEvents, ++set * sizes.spreadEvents);
      for (const contestant of rotated(all, round)) {
        await spreadOver(bench, { contestant, round, connections, ids });
      }
    }
  });
}

async function spreadOver(
  bench: Bench,
  { contestant, round, connections, ids }: {
    readonly contestant: Contestant;
    readonly round: number;
    readonly connections: number;
    readonly ids: readonly string[];
  },
): Promise<void> {
  const { name } = contestant;
  const isBaseline = name === "row-lock" || name === "single-statement";
  const own = isBaseline ? await contestant.createEvents(bench.sizes.baselineRequests, 1) : ids;
  const reports: LoadReport[] = [];
  for (const [touch, firstIndex] of [["first", 0], ["second", own.length]] as const) {
    const plan = {
      ...registrations(bench, contestant, { ids: own, connections }),
      requests: own.length,
      firstIndex,
    };
    const workload = `spread ${connections}, ${touch} touch`;
    const report = await measure(bench, workload, { contestant, round, plan });
    reports.push(report);
    const status = touch === "first" ? `"confirmed"` : `"waitlisted"`;
    const others = (report.answers ?? []).filter(({ body }) => !body.includes(status));
    if (others.length === 0 || name === "no-op" || name === "bare") continue;
    bench.fault(`${workload}, ${name}: ${others.length} not ${status}, as in ${others[0]!.body}`);
  }
  if (round === 0) return;
  const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
  const perSecond = reports.reduce((sum, report) => sum + report.requests, 0) / seconds;
  bench.tell({
    workload: `spread ${connections}`,
    contestant: name,
    round,
    values: { perSecond },
  });
}

/** One activated event, read. */
async function reads(bench: Bench): Promise<void> {
  await using arena = await Arena.open(bench, "reads");
  const all = await arena.realAndNoop();
  const ids = await all[0]!.createEvents(1, seats);
  await inRounds(bench, async (round) => {
    for (const connections of connectionCounts) {
      for (const contestant of rotated(all, round)) {
        const post = registrations(bench, contestant, { ids, connections });
        const { body: _, ...get } = { ...post, method: "GET", path: "/api/v1/events/{id}" };
        const plan = contestant.name === "real" ? get : post;
        await measure(bench, `reads ${connections}`, { contestant, round, plan });
      }
    }
  });
}

/** One command at a time, beside one insert at a time. */
async function latency(bench: Bench): Promise<void> {
  const { sizes, adminUrl } = bench;
  await using arena = await Arena.open(bench, "latency");
  const contestant = (await arena.realAndNoop())[0]!;
  const insertUrl = bench.store === "postgres" ? await arena.database(adminUrl) : undefined;
  await inRounds(bench, async (round) => {
    const ids = await contestant.createEvents(1, seats);
    const full = registrations(bench, contestant, { ids, connections: 1 });
    const plan = { ...full, requests: sizes.oneByOneRequests };
    await measure(bench, "one connection", { contestant, round, plan });
    if (insertUrl === undefined) return;
    const { p50Ms, p99Ms } = await insertOneByOne(insertUrl, sizes.oneByOneRequests);
    if (round === 0) return;
    const values = { p50Ms, p99Ms };
    bench.tell({ workload: "one connection", contestant: "insert", round, values });
  });
}

/** Through the outbox, from actor to actor. */
async function messages(bench: Bench): Promise<void> {
  const { sizes, adminUrl } = bench;
  await using arena = await Arena.open(bench, "messages");
  const tell = (workload: string, contestant: ContestantName, round: number, values: Values) =>
    bench.tell({ workload, contestant, round, values });
  {
    await using hopping = await MessageBench.open(await arena.database(adminUrl));
    await inRounds(bench, async (round) => {
      const perSecond = await hopping.hops(sizes.hops);
      const delaysMs = await hopping.delaysMs(sizes.oneByOneRequests);
      if (round === 0) return;
      tell("actor to actor, one hop", "real", round, { perSecond });
      const [p50Ms, p99Ms] = [percentile(delaysMs, 0.5), percentile(delaysMs, 0.99)];
      tell("commit to delivery, idle", "real", round, { p50Ms, p99Ms });
    });
  }
  {
    const workload = "claims beside a million delayed";
    await using few = await MessageBench.open(await arena.database(adminUrl));
    await using many = await MessageBench.open(await arena.database(adminUrl));
    await few.delayTo(sizes.delayed / 1_000);
    await many.delayTo(sizes.delayed);
    await inRounds(bench, async (round) => {
      for (const [contestant, delayed] of [["few", few], ["real", many]] as const) {
        const p50Ms = percentile(await delayed.claimsMs(), 0.5);
        const jobsP50Ms = percentile(await delayed.jobClaimsMs(), 0.5);
        if (round === 0) continue;
        tell(workload, contestant, round, { p50Ms });
        tell("claims from a queue beside a million delayed", contestant, round, {
          p50Ms: jobsP50Ms,
        });
      }
    });
  }
  {
    const workload = "outbox after a million messages";
    await using many = await MessageBench.open(await arena.database(adminUrl));
    await many.hops(sizes.messagesFew);
    tell(workload, "few", 1, { outboxMb: await many.outboxMb() });
    await many.hops(sizes.messagesMany - sizes.messagesFew);
    tell(workload, "real", 1, { outboxMb: await many.outboxMb() });
  }
}

type Values = Sample["values"];

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.floor(sorted.length * share)] ?? 0;
}

async function memory(bench: Bench): Promise<void> {
  await activatedMemory(bench);
  await touchedMemory(bench);
}

async function activatedMemory(bench: Bench): Promise<void> {
  const { sizes, load, organizer } = bench;
  await using arena = await Arena.open(bench, "memory");
  const ids = await arena.createUnseen(sizes.activated);
  const limits = { RESIDENT_ACTORS_MAX: String(sizes.activated * 2), IDLE_MS: "3600000" };
  const server = await arena.real(limits);
  await load.fire({
    targets: [server.url],
    connections: 64,
    requests: sizes.activated,
    method: "GET",
    path: "/api/v1/events/{id}",
    ids,
    tokens: [organizer],
  });
  await settle(server.pid);
  const { residentMb } = await figuresOf(server.pid);
  const { residents } = await (await fetch(`${server.url}/bench`)).json() as { residents: number };
  if (residents !== sizes.activated) {
    bench.fault(`${residents} of ${sizes.activated} are activated`);
  }
  const workload = "100,000 activated";
  bench.tell({ workload, contestant: "real", round: 1, values: { residentMb } });
}

/** Scheduled events are touched once each: every one is activated, written and passivated again. */
async function touchedMemory(bench: Bench): Promise<void> {
  const { sizes, load, organizer } = bench;
  await using arena = await Arena.open(bench, "touched");
  const server = await arena.real({ RESIDENT_ACTORS_MAX: String(sizes.touched * residentShare) });
  const step = sizes.touched / 10;
  const residents: number[] = [];
  for (let touched = 0; touched < sizes.touched; touched += step) {
    await createRealEvents(server.url, { load, token: organizer, count: step, capacity: 10 });
    await settle(server.pid);
    const { residentMb } = await figuresOf(server.pid);
    const round = residents.push(residentMb);
    bench.tell({ workload: "touched in turn", contestant: "real", round, values: { residentMb } });
  }
  const growthMb = Math.max(...residents) - residents[0]!;
  const values = { growthMb, residentMb: residents.at(-1)! };
  bench.tell({ workload: "a million touched, cap 50,000", contestant: "real", round: 1, values });
}

async function start(bench: Bench): Promise<void> {
  const { sizes } = bench;
  await using arena = await Arena.open(bench, "start");
  await arena.createUnseen(sizes.startEvents);
  for (let round = 1; round <= sizes.rounds; round++) {
    const server = await arena.real();
    const workload = "existing database of 100,000 events";
    bench.tell({ workload, contestant: "real", round, values: { startMs: server.startMs } });
    await server.stop();
  }
}
