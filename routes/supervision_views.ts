/**
 * How supervision reads: what was kept away, and how those stand that work beside the actors.
 *
 * @module
 */
import { z } from "zod";
import { time } from "../lib/http/instant.ts";
import type { DataLossReport, SupervisionReport } from "../lib/runtime/supervision.ts";
import type { Quarantine, SupervisorReport } from "../lib/runtime/supervisor.ts";
import type { WorkerHealth } from "../lib/runtime/worker.ts";

/** Of one kind; a bad release can bring thousands of them. */
export const ACTORS_SHOWN_MAX = 100;

const quarantine = { since: time, until: time, why: z.string() };

/** How one of those stands that work beside the actors; `at` says how times are written there. */
function workerSchema<At extends z.ZodType>(at: At) {
  return z.strictObject({
    name: z.string(),
    state: z.enum(["configured", "running", "restarting", "quarantined", "draining", "stopped"]),
    inHand: z.int().describe("What it has begun and not ended"),
    failure: z.strictObject({ at, message: z.string() }).exactOptional()
      .describe("Absent while its last step went well"),
    restarts: z.int().exactOptional().describe("Lately, after defects"),
  });
}

/** As health has it, which is for machines: times in epoch milliseconds. */
export const WorkerStanding = workerSchema(z.number());

export const Supervision = z.strictObject({
  strategy: z.strictObject({ escalationsMax: z.int(), escalationWindowMs: z.number() }),
  escalations: z.int().describe("Within the last window"),
  dataLoss: z.strictObject({ firstAt: time, lastAt: time, actors: z.int(), error: z.string() })
    .exactOptional().describe("That the store lost events, until somebody has acknowledged that"),
  supervisors: z.array(z.strictObject({
    kind: z.string(),
    strategy: z.strictObject({
      restartsMax: z.int(),
      restartWindowMs: z.number(),
      pauseFirstMs: z.number(),
      pauseMostMs: z.number(),
      quarantineMs: z.number(),
      quarantinedMax: z.int(),
      kindStopMs: z.number(),
      troubledMax: z.int(),
    }),
    restarts: z.int().describe("Within the last window"),
    stopped: z.strictObject(quarantine).exactOptional().describe("While all of the kind is"),
    quarantined: z.int(),
    actors: z.array(z.strictObject({ key: z.string(), ...quarantine })).max(ACTORS_SHOWN_MAX)
      .describe("Of those in quarantine"),
  })),
  workers: z.array(workerSchema(time)),
}).meta({ id: "SupervisionReport" });

export function supervisionView(
  { dataLoss, supervisors, ...root }: SupervisionReport,
  workers: readonly WorkerHealth[],
) {
  return {
    ...root,
    ...(dataLoss !== undefined && { dataLoss: dataLossView(dataLoss) }),
    supervisors: supervisors.map(supervisorView),
    workers: workers.map(workerView),
  };
}

function supervisorView({ stopped, quarantined, ...supervisor }: SupervisorReport) {
  return {
    ...supervisor,
    ...(stopped !== undefined && { stopped: quarantineView(stopped) }),
    quarantined: quarantined.length,
    actors: quarantined.slice(0, ACTORS_SHOWN_MAX)
      .map(({ key, ...quarantine }) => ({ key, ...quarantineView(quarantine) })),
  };
}

function quarantineView({ since, until, why }: Quarantine) {
  return { since: new Date(since).toISOString(), until: new Date(until).toISOString(), why };
}

function workerView({ failure, ...health }: WorkerHealth) {
  return {
    ...health,
    ...(failure !== undefined && {
      failure: { ...failure, at: new Date(failure.at).toISOString() },
    }),
  };
}

export function dataLossView({ firstAt, lastAt, actors, error }: DataLossReport) {
  return {
    firstAt: new Date(firstAt).toISOString(),
    lastAt: new Date(lastAt).toISOString(),
    actors,
    error,
  };
}
