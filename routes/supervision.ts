/**
 * For administrators: what this node has kept away because it failed, and letting it go on.
 *
 * @module
 */
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { type KnownProblem, ProblemError } from "../lib/http/problem.ts";
import { storable } from "../lib/http/text.ts";
import type { Audit } from "../lib/runtime/audit.ts";
import { addressText } from "../lib/runtime/envelope.ts";
import type { Supervision } from "../lib/runtime/supervision.ts";
import type { WorkerHealth } from "../lib/runtime/worker.ts";
import { record } from "./audited.ts";
import * as View from "./supervision_views.ts";

export interface SupervisionOptions {
  readonly supervision: Supervision;
  readonly workers: () => readonly WorkerHealth[];
  readonly audit: Audit;
}

const KindPath = z.object({ kind: storable({ min: 1, max: 100 }) });
const ActorPath = KindPath.extend({ key: storable({ min: 1, max: 500 }) });

const NOT_IN_QUARANTINE: KnownProblem = {
  type: "/problems/not-in-quarantine",
  problem: { status: 404, title: "This is not in quarantine on this node" },
};
const NO_DATA_LOSS: KnownProblem = {
  type: "/problems/no-data-loss",
  problem: { status: 404, title: "This node has found no loss of data" },
};

const byAdmin = { tag: "operations", access: ["admin"], class: "operator" } as const;

export function supervision(
  { supervision, workers, audit }: SupervisionOptions,
): readonly Route[] {
  const releasing = { ...byAdmin, method: "post", answers: { 204: null } } as const;
  return [
    route({
      ...byAdmin,
      id: "getSupervision",
      method: "get",
      path: "/api/v1/supervision",
      summary: "What this node has kept away because it failed",
      answers: { 200: View.Supervision },
    }, (c) => answer(c, 200, View.supervisionView(supervision.report(), workers()))),
    // What is done is written down first: if that cannot be, it is not done.
    route({
      ...releasing,
      id: "releaseActor",
      act: { name: "quarantine release", on: "actor", isKeptWithin: true },
      path: "/api/v1/supervision/quarantine/{kind}/{key}/release",
      summary: "Ends the quarantine of an actor",
      params: ActorPath,
      problems: [NOT_IN_QUARANTINE],
    }, async (c, { params: address }) => {
      if (!supervision.isQuarantined(address)) throw ProblemError.of(NOT_IN_QUARANTINE);
      const subject = `actor/${addressText(address)}`;
      await record(c, audit, { act: "quarantine release", subject });
      supervision.release(address);
      return answer(c, 204);
    }),
    route({
      ...releasing,
      id: "releaseKind",
      act: { name: "quarantine release", on: "kind", isKeptWithin: true },
      path: "/api/v1/supervision/quarantine/{kind}/release",
      summary: "Ends the stop of all actors of a kind",
      params: KindPath,
      problems: [NOT_IN_QUARANTINE],
    }, async (c, { params: { kind } }) => {
      if (!supervision.isStopped(kind)) throw ProblemError.of(NOT_IN_QUARANTINE);
      await record(c, audit, { act: "quarantine release", subject: `kind/${kind}` });
      supervision.releaseKind(kind);
      return answer(c, 204);
    }),
    route({
      ...releasing,
      id: "acknowledgeDataLoss",
      act: { name: "data-loss acknowledge", on: "node", isKeptWithin: true },
      path: "/api/v1/supervision/data-loss/acknowledge",
      summary: "Says that somebody has seen to the events that were lost",
      problems: [NO_DATA_LOSS],
    }, async (c) => {
      const { dataLoss } = supervision;
      if (dataLoss === undefined) throw ProblemError.of(NO_DATA_LOSS);
      const detail = View.dataLossView(dataLoss);
      await record(c, audit, { act: "data-loss acknowledge", subject: "node/data-loss", detail });
      supervision.acknowledgeDataLoss();
      return answer(c, 204);
    }),
  ];
}
