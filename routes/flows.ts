/**
 * Flows for administrators: jobs in a tree, started together, and what becomes of them.
 *
 * @module
 */
import { answer } from "../lib/http/answer.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { invalidBodyFor } from "../lib/http/parsed.ts";
import { problemResponse } from "../lib/http/problem.ts";
import { refusals } from "../lib/http/refusals.ts";
import * as Flow from "../lib/jobs/flow/aggregate.ts";
import type { FlowListing, ListedFlow } from "../lib/jobs/flow/listing.ts";
import { planFlow } from "../lib/jobs/flow/plan.ts";
import { flowView, type NodeView, nodeViews } from "../lib/jobs/flow/views.ts";
import type { JobDefinition } from "../lib/jobs/job.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Accepted } from "../lib/runtime/turn.ts";
import { awaitToken, headersOf, readOptionsOf, type Showing } from "./consistency.ts";
import * as Schema from "./flow_schemas.ts";

export interface FlowOptions {
  readonly system: ActorSystem;
  readonly flows: FlowListing;
  readonly flowListing: Showing;
  /** What flows can be made of. */
  readonly jobDefinitions: readonly JobDefinition[];
  readonly consistencyWaitMs: number;
}

/** As many nodes as there may be, each with what it takes to name it; payloads have less. */
export const FLOW_BODY_BYTES_MAX = 4 * 1_024 * 1_024;

const { problemOf, known, refused } = refusals<Flow.Reason>("flow", "flow", {
  "not-found": { status: 404, title: "No such flow" },
  "already-exists": { status: 409, title: "The flow exists already" },
  "ended": { status: 409, title: "The flow has ended, or only undoes what it did" },
});

export function flows(options: FlowOptions): readonly Route[] {
  return [...commands(options), ...queries(options)];
}

const toFlow = { tag: "flows", access: ["admin"], asks: "actor" } as const;

function commands({ system, jobDefinitions }: FlowOptions): readonly Route[] {
  const catalog = new Map(jobDefinitions.map((job) => [job.type, job]));
  return [
    route({
      ...toFlow,
      id: "startFlow",
      act: { name: "flow start", on: "flow" },
      locates: true,
      method: "post",
      path: "/api/v1/flows",
      summary: "Starts a tree of jobs, in which each runs after its children",
      body: Schema.NewFlow,
      bodyOptions: { bytesMax: FLOW_BODY_BYTES_MAX },
      answers: { 201: Schema.Flow },
      problems: known("already-exists"),
    }, async (c, { body: { nodes } }) => {
      const planning = planFlow(nodes, catalog);
      if ("faults" in planning) throw invalidBodyFor(planning.faults);
      const cause = causeOf(c);
      const id = idOfNew(cause);
      const command = { type: "Start", nodes: planning.plan } as const;
      const outcome = await system.ask(Flow, id, command, cause, flowAnswer(id), {
        isFirst: true,
      });
      if (!outcome.accepted) return refused(c, outcome);
      const Location = `/api/v1/flows/${id}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    }),
    route({
      ...toFlow,
      id: "cancelFlow",
      act: { name: "flow cancel", on: "flow" },
      method: "post",
      path: "/api/v1/flows/{id}/cancel",
      summary: "Ends a flow, once what it has begun to undo is undone",
      description: "200 where it is over with that; 202 where something is still to be undone.",
      params: Schema.FlowPath,
      answers: { 200: Schema.Flow, 202: Schema.Flow },
      problems: known("not-found", "ended"),
    }, async (c, { params: { id } }) => {
      const outcome = await system.ask(Flow, id, { type: "Cancel" }, causeOf(c), flowAnswer(id));
      if (!outcome.accepted) return refused(c, outcome);
      const isOver = outcome.answer?.status === "cancelled";
      return answer(c, isOver ? 200 : 202, outcome.answer, headersOf(outcome));
    }),
  ];
}

function queries({ system, flows, flowListing, consistencyWaitMs }: FlowOptions) {
  return [
    route({
      ...toFlow,
      id: "listFlows",
      method: "get",
      path: "/api/v1/flows",
      summary: "Flows, the newest first",
      asks: "projection",
      class: "list",
      query: Schema.FlowListQuery,
      answers: { 200: Schema.Flows },
    }, async (c, { query: { cursor, limit, ...filter } }) => {
      await awaitToken(c, flowListing, consistencyWaitMs);
      const before = cursor && { startedAt: cursor[0], id: cursor[1] };
      const query = { ...filter, ...(before && { before }), limit: limit + 1 };
      const rows = await flows.list(query);
      return answer(c, 200, pageOf(rows, limit, itemOf, ({ startedAt, id }) => [startedAt, id]));
    }),
    route({
      ...toFlow,
      id: "getFlow",
      method: "get",
      path: "/api/v1/flows/{id}",
      summary: "How a flow stands",
      params: Schema.FlowPath,
      answers: { 200: Schema.Flow },
      problems: known("not-found"),
    }, async (c, { params: { id } }) => {
      const { view, ...reading } = await system.read(
        Flow,
        id,
        causeOf(c),
        (state, version) => shown(id, state, version),
        readOptionsOf(c),
      );
      if (view === undefined) return problemResponse(c, ...problemOf("not-found"));
      return answer(c, 200, view, headersOf(reading));
    }),
    route({
      ...toFlow,
      id: "listFlowNodes",
      method: "get",
      path: "/api/v1/flows/{id}/nodes",
      summary: "The nodes of a flow, each parent before its children",
      params: Schema.FlowPath,
      query: Schema.NodesQuery,
      answers: { 200: Schema.Nodes },
      problems: known("not-found"),
    }, async (c, { params: { id }, query: { cursor, limit, ...filter } }) => {
      const query = { ...filter, from: cursor === undefined ? 0 : cursor[0] + 1, limit: limit + 1 };
      const { view: nodes, ...reading } = await system.read(
        Flow,
        id,
        causeOf(c),
        (state) => state.status === "unstarted" ? undefined : nodeViews(state, query),
        readOptionsOf(c),
      );
      if (nodes === undefined) return problemResponse(c, ...problemOf("not-found"));
      const page = pageOf(nodes, limit, withoutPlace, ({ place }) => [place]);
      return answer(c, 200, page, headersOf(reading));
    }),
  ];
}

function flowAnswer(id: string) {
  return ({ state, version }: Accepted<Flow.State, Flow.Event>) => shown(id, state, version);
}

function shown(id: string, state: Flow.State, version: number) {
  const view = flowView(state);
  return view && { id, ...view, version };
}

function itemOf({ endedAt, ...flow }: ListedFlow) {
  return { ...flow, ...(endedAt !== null && { endedAt }) };
}

function withoutPlace({ place: _, ...node }: NodeView) {
  return node;
}
