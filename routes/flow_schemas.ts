/** What the flow routes accept and answer. */
import { z } from "zod";
import { date, time } from "../lib/http/instant.ts";
import { pageParameters, pageSchema, placeIn } from "../lib/http/pages.ts";
import { failurePolicies, NodeName, NODES_MAX } from "../lib/jobs/flow/plan.ts";
import { flowStatuses } from "../lib/jobs/flow/state.ts";
import { shownStatuses } from "../lib/jobs/flow/views.ts";
import { chosen, wanted } from "./job_schemas.ts";

const NewNode = z.strictObject({
  ...wanted,
  name: NodeName,
  parent: NodeName.exactOptional()
    .describe("The node that runs after this one; all but one node have one"),
  onChildFailure: z.enum(failurePolicies).exactOptional(),
  compensate: z.strictObject(wanted).exactOptional()
    .describe("The job that undoes this node once it has completed"),
  options: z.strictObject(chosen).exactOptional(),
}).meta({ id: "NewFlowNode" });

const told = {
  type: "live_event.tell_attendees",
  payload: {
    eventId: "3f0c1d6e-3c0c-4c4b-9a53-0a6a2f2d4a11",
    type: "reminder",
    at: "2040-05-31T18:00:00.000Z",
  },
};

export const NewFlow = z.strictObject({ nodes: z.array(NewNode).min(1).max(NODES_MAX) }).meta({
  id: "NewFlow",
  examples: [{
    nodes: [
      { name: "last", ...told },
      { name: "first", parent: "last", ...told, options: { delayMs: 60_000 } },
    ],
  }],
});

export const FlowPath = z.object({ id: z.uuid().toLowerCase() });

export const FlowListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([date, z.uuid()])).exactOptional(),
  status: z.enum(flowStatuses).exactOptional(),
});

export const NodesQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.int().min(0)])).exactOptional(),
  status: z.enum(shownStatuses).exactOptional(),
});

const count = z.int().min(0);
const id = z.uuid();
const version = z.int().min(1).describe("How many events it has; its `ETag`");

export const Flow = z.strictObject({
  id,
  status: z.enum(flowStatuses),
  nodes: z.strictObject({
    total: count,
    waiting: count.describe("Those whose children have not all ended"),
    running: count,
    compensating: count.describe("Those of which a child failed, and what was done is undone"),
    completed: count,
    failed: count,
    cancelled: count,
    abandoned: count.describe("Those whose jobs may still run though the flow is over"),
  }),
  result: z.unknown().optional().describe("What its root gave, once it completed"),
  error: z.string().exactOptional().describe("Why its root failed"),
  cancelledBy: z.string().exactOptional(),
  version,
}).meta({ id: "Flow" });

const ListedFlow = z.strictObject({
  id,
  name: z.string().describe("Of its root"),
  status: z.enum(flowStatuses),
  nodes: count,
  completed: count,
  failed: count,
  startedBy: z.string(),
  correlationId: z.guid(),
  startedAt: time,
  endedAt: time.exactOptional(),
  version,
}).meta({ id: "ListedFlow" });
export const Flows = pageSchema(ListedFlow);

const Node = z.strictObject({
  name: z.string(),
  parent: z.string().exactOptional(),
  type: z.string(),
  payload: z.unknown(),
  onChildFailure: z.enum(failurePolicies),
  status: z.enum(shownStatuses),
  jobId: id.exactOptional().describe("The job that it ended with"),
  result: z.unknown().optional(),
  error: z.string().exactOptional(),
  compensation: z.strictObject({
    status: z.enum(["running", "completed", "failed"]),
    jobId: id.exactOptional(),
    error: z.string().exactOptional(),
  }).exactOptional().describe("How the job stands that undoes it"),
}).meta({ id: "FlowNode" });
export const Nodes = pageSchema(Node);
