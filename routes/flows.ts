/**
 * Flows for administrators: jobs in a tree, started together, and what becomes of them.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { pageOf, pageParameters, placeIn } from "../lib/http/pages.ts";
import { type BodyParser, invalidBodyFor, parsedParams, parsedQuery } from "../lib/http/parsed.ts";
import { problemResponse } from "../lib/http/problem.ts";
import { refusals } from "../lib/http/refusals.ts";
import * as Flow from "../lib/jobs/flow/aggregate.ts";
import type { FlowListing, ListedFlow } from "../lib/jobs/flow/listing.ts";
import { failurePolicies, NodeName, NODES_MAX, planFlow } from "../lib/jobs/flow/plan.ts";
import { flowStatuses } from "../lib/jobs/flow/state.ts";
import { flowView, type NodeView, nodeViews, shownStatuses } from "../lib/jobs/flow/views.ts";
import type { JobDefinition } from "../lib/jobs/job.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Accepted } from "../lib/runtime/turn.ts";
import { awaitToken, headersOf, readOptionsOf, type Showing } from "./consistency.ts";
import { chosen, wanted } from "./jobs.ts";

export interface FlowOptions {
  readonly system: ActorSystem;
  readonly flows: FlowListing;
  readonly flowListing: Showing;
  /** What flows can be made of. */
  readonly jobDefinitions: readonly JobDefinition[];
  readonly parseBody: BodyParser;
  readonly consistencyWaitMs: number;
}

/** As many nodes as there may be, each with what it takes to name it; payloads have less. */
export const FLOW_BODY_BYTES_MAX = 4 * 1_024 * 1_024;

const NewNode = z.strictObject({
  ...wanted,
  name: NodeName,
  parent: NodeName.exactOptional(),
  onChildFailure: z.enum(failurePolicies).exactOptional(),
  compensate: z.strictObject(wanted).exactOptional(),
  options: z.strictObject(chosen).exactOptional(),
});

const NewFlow = z.strictObject({ nodes: z.array(NewNode).min(1).max(NODES_MAX) });

const FlowPath = z.object({ id: z.uuid().toLowerCase() });
const Nothing = z.strictObject({});

const date = z.iso.datetime().transform((time) => new Date(time));

const ListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([date, z.uuid()])).exactOptional(),
  status: z.enum(flowStatuses).exactOptional(),
});

const NodesQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.int().min(0)])).exactOptional(),
  status: z.enum(shownStatuses).exactOptional(),
});

export function flows(options: FlowOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .use(async (c, next) => {
      requireRole(c, "admin");
      await next();
    })
    .route("/", flowCommands(options))
    .route("/", flowQueries(options));
}

function flowCommands({ system, jobDefinitions, parseBody }: FlowOptions) {
  const catalog = new Map(jobDefinitions.map((job) => [job.type, job]));
  return new Hono<CallerEnv>()
    .post("/", async (c) => {
      const { nodes } = await parseBody(c, NewFlow, { bytesMax: FLOW_BODY_BYTES_MAX });
      const planning = planFlow(nodes, catalog);
      if ("faults" in planning) throw invalidBodyFor(planning.faults);
      const cause = causeOf(c);
      const id = idOfNew(cause);
      const command = { type: "Start", nodes: planning.plan } as const;
      const outcome = await system.ask(Flow, id, command, cause, flowAnswer(id));
      if (!outcome.accepted) return refused(c, outcome);
      const Location = `/api/v1/flows/${id}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    })
    .post("/:id/cancel", async (c) => {
      const { id } = parsedParams(c, FlowPath);
      await parseBody(c, Nothing, { absent: {} });
      const outcome = await system.ask(Flow, id, { type: "Cancel" }, causeOf(c), flowAnswer(id));
      if (!outcome.accepted) return refused(c, outcome);
      const isOver = outcome.answer?.status === "cancelled";
      return answer(c, isOver ? 200 : 202, outcome.answer, headersOf(outcome));
    });
}

function flowQueries({ system, flows, flowListing, consistencyWaitMs }: FlowOptions) {
  return new Hono<CallerEnv>()
    .get("/", async (c) => {
      const { cursor, limit, ...filter } = parsedQuery(c, ListQuery);
      await awaitToken(c, flowListing, consistencyWaitMs);
      const before = cursor && { startedAt: cursor[0], id: cursor[1] };
      const query = { ...filter, ...(before && { before }), limit: limit + 1 };
      const rows = await flows.list(query);
      return answer(c, 200, pageOf(rows, limit, itemOf, ({ startedAt, id }) => [startedAt, id]));
    })
    .get("/:id", async (c) => {
      const { id } = parsedParams(c, FlowPath);
      const { view, ...reading } = await system.read(
        Flow,
        id,
        causeOf(c),
        (state, version) => shown(id, state, version),
        readOptionsOf(c),
      );
      if (view === undefined) return problemResponse(c, ...problemOf("not-found"));
      return answer(c, 200, view, headersOf(reading));
    })
    .get("/:id/nodes", async (c) => {
      const { id } = parsedParams(c, FlowPath);
      const { cursor, limit, ...filter } = parsedQuery(c, NodesQuery);
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
    });
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

const { problemOf, refused } = refusals<Flow.Reason>("flow", "flow", {
  "not-found": { status: 404, title: "No such flow" },
  "already-exists": { status: 409, title: "The flow exists already" },
  "ended": { status: 409, title: "The flow has ended, or only undoes what it did" },
});
