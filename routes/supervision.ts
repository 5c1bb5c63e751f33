/**
 * For administrators: what this node has kept away because it failed, and letting it go on.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { type BodyParser, parsedParams, parsedQuery } from "../lib/http/parsed.ts";
import { ProblemError } from "../lib/http/problem.ts";
import { text } from "../lib/http/text.ts";
import type { Audit } from "../lib/runtime/audit.ts";
import { addressText } from "../lib/runtime/envelope.ts";
import type { DataLossReport, Supervision } from "../lib/runtime/supervision.ts";
import type { Quarantine, SupervisorReport } from "../lib/runtime/supervisor.ts";
import type { WorkerHealth } from "../lib/runtime/worker.ts";

export interface SupervisionOptions {
  readonly supervision: Supervision;
  readonly workers: () => readonly WorkerHealth[];
  readonly audit: Audit;
  readonly parseBody: BodyParser;
}

/** Of one kind; a bad release can bring thousands of them. */
export const ACTORS_SHOWN_MAX = 100;

const Nothing = z.strictObject({});
const KindPath = z.object({ kind: text({ min: 1, max: 100 }) });
const ActorPath = KindPath.extend({ key: text({ min: 1, max: 500 }) });

export function supervision(
  { supervision, workers, audit, parseBody }: SupervisionOptions,
): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .use(async (c, next) => {
      requireRole(c, "admin");
      await next();
    })
    .get("/", (c) => {
      parsedQuery(c, Nothing);
      const { dataLoss, supervisors, ...root } = supervision.report();
      return answer(c, 200, {
        ...root,
        ...(dataLoss !== undefined && { dataLoss: dataLossView(dataLoss) }),
        supervisors: supervisors.map(supervisorView),
        workers: workers().map(workerView),
      });
    })
    // What is done is written down first: if that cannot be, it is not done.
    .post("/quarantine/:kind/:key/release", async (c) => {
      const address = parsedParams(c, ActorPath);
      await parseBody(c, Nothing, { absent: {} });
      if (!supervision.isQuarantined(address)) throw notInQuarantine();
      const subject = `actor/${addressText(address)}`;
      const entry = { act: "quarantine release", subject, detail: {} };
      await audit.record(entry, c.get("caller").principal);
      supervision.release(address);
      return answer(c, 204);
    })
    .post("/quarantine/:kind/release", async (c) => {
      const { kind } = parsedParams(c, KindPath);
      await parseBody(c, Nothing, { absent: {} });
      if (!supervision.isStopped(kind)) throw notInQuarantine();
      const entry = { act: "quarantine release", subject: `kind/${kind}`, detail: {} };
      await audit.record(entry, c.get("caller").principal);
      supervision.releaseKind(kind);
      return answer(c, 204);
    })
    .post("/data-loss/acknowledge", async (c) => {
      await parseBody(c, Nothing, { absent: {} });
      const { dataLoss } = supervision;
      if (dataLoss === undefined) {
        throw new ProblemError("/problems/no-data-loss", {
          status: 404,
          title: "This node has found no loss of data",
        });
      }
      const detail = dataLossView(dataLoss);
      const entry = { act: "data-loss acknowledge", subject: "node/data-loss", detail };
      await audit.record(entry, c.get("caller").principal);
      supervision.acknowledgeDataLoss();
      return answer(c, 204);
    });
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

function dataLossView({ firstAt, lastAt, actors, error }: DataLossReport) {
  return {
    firstAt: new Date(firstAt).toISOString(),
    lastAt: new Date(lastAt).toISOString(),
    actors,
    error,
  };
}

function notInQuarantine(): ProblemError {
  return new ProblemError("/problems/not-in-quarantine", {
    status: 404,
    title: "This is not in quarantine on this node",
  });
}
