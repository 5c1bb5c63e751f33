/** How the state of a flow is written down: its plan, and how far each node is, in the same order. */
import { z } from "zod";
import type { SnapshotCodec } from "../../runtime/aggregate.ts";
import { PersistentMap } from "../../runtime/persistent_map.ts";
import { ReportTarget } from "./events.ts";
import { bytesOf, FlowPlan } from "./plan.ts";
import {
  flowStatuses,
  initial,
  noCounts,
  nodeStatuses,
  type Progress,
  progressAt,
  type State,
  treeOf,
} from "./state.ts";

const count = z.int().nonnegative();

const EncodedProgress = z.strictObject({
  status: z.enum(nodeStatuses),
  open: count,
  rank: count.exactOptional(),
  jobId: z.string().exactOptional(),
  result: z.unknown().exactOptional(),
  error: z.string().exactOptional(),
  undoing: z.strictObject({
    status: z.enum(["running", "completed", "failed"]),
    jobId: z.string().exactOptional(),
    error: z.string().exactOptional(),
  }).exactOptional(),
});

const EncodedCompensation = z.strictObject({
  because: z.string(),
  outstanding: count,
  queue: z.array(count).exactOptional(),
  next: count,
});

const Encoded = z.strictObject({
  status: z.enum(flowStatuses),
  nodes: FlowPlan,
  progress: z.array(EncodedProgress),
  compensations: z.array(z.tuple([count, EncodedCompensation])),
  reportTo: ReportTarget.exactOptional(),
  cancelledBy: z.string().exactOptional(),
});
type Encoded = z.infer<typeof Encoded>;

/** A flow that was never started is written as null. */
export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: (state) => state.status === "unstarted" ? null : encode(state, state.status),
  decode: (encoded) => encoded === null ? initial : decode(Encoded.parse(encoded)),
};

function encode(state: State, status: Encoded["status"]): Encoded {
  const { tree, compensations, reportTo, cancelledBy } = state;
  const places = [...tree.nodes.keys()];
  return {
    status,
    nodes: tree.nodes,
    progress: places.map((place) => progressAt(state, place)),
    compensations: compensations.size === 0 ? [] : places.flatMap((place) => {
      const compensation = compensations.get(place);
      if (compensation === undefined) return [];
      const { queue, ...rest } = compensation;
      return [[place, { ...rest, ...(queue !== undefined && { queue: [...queue] }) }]];
    }),
    ...(reportTo !== undefined && { reportTo }),
    ...(cancelledBy !== undefined && { cancelledBy }),
  };
}

/** What can be counted is counted anew. */
function decode({ status, nodes, progress, compensations, ...rest }: Encoded): State {
  if (progress.length !== nodes.length) {
    throw new TypeError("Cannot decode a flow: not every node has a place in its progress");
  }
  const counts = { ...noCounts };
  let [ranks, resultBytes] = [0, 0];
  for (const { status, rank = 0, result } of progress) {
    counts[status]++;
    ranks = Math.max(ranks, rank);
    if (status === "completed") resultBytes += bytesOf(result);
  }
  return {
    status,
    tree: treeOf(nodes),
    progress: PersistentMap.of(progress.map((each, place): [number, Progress] => [place, each])),
    counts,
    compensations: PersistentMap.of(compensations),
    ranks,
    resultBytes,
    ...rest,
  };
}
