/** What can be read of a flow. */
import type { Cause } from "../../runtime/envelope.ts";
import type { ActorSystem } from "../../runtime/system.ts";
import type { ReportTarget } from "../job.ts";
import * as Flow from "./aggregate.ts";
import type { FailurePolicy } from "./plan.ts";
import {
  hasEnded,
  nodeAt,
  nodeStatuses,
  type Progress,
  progressAt,
  reporterOf,
  ROOT,
  type State,
  type Undoing,
} from "./state.ts";

/** How a child ended, as its parent's job sees it. */
export type ChildResult =
  & { readonly node: string }
  & (
    | { readonly outcome: "completed"; readonly result: unknown }
    | { readonly outcome: "failed"; readonly error: string }
    | { readonly outcome: "cancelled" }
  );

/**
 * What the job that reports as `reporter` builds upon: how the children of its node ended, in the
 * order in which they were asked for. What undoes a node is given how that node itself ended.
 */
export function childResults(state: State, reporter: string): readonly ChildResult[] {
  const found = reporterOf(state, reporter);
  if (found === undefined) return [];
  const { place, isUndoing } = found;
  const places = isUndoing ? [place] : state.tree.children[place]!;
  return places.map((place) => childResult(state, place));
}

function childResult(state: State, place: number): ChildResult {
  const { name: node } = state.tree.nodes[place]!;
  const { status, result, error } = progressAt(state, place);
  if (status === "completed") return { node, outcome: status, result };
  if (status === "failed") return { node, outcome: status, error: error! };
  return { node, outcome: "cancelled" };
}

/**
 * What a job builds upon, by its `reportTo`; empty unless that is a flow.
 *
 * @throws {TransientFault} like `ActorSystem.read`.
 */
export async function readChildResults(
  system: Pick<ActorSystem, "read">,
  { to, node }: ReportTarget,
  cause: Cause,
): Promise<readonly ChildResult[]> {
  if (to.kind !== Flow.kind) return [];
  // Strong, for another node may have handled the reports that this one has not heard of.
  const options = { isStrong: true };
  const { view } = await system.read(
    Flow,
    to.key,
    cause,
    (state) => childResults(state, node),
    options,
  );
  return view;
}

/** Of a job that may still run though the flow is over: nothing follows from it any more. */
export const shownStatuses = [...nodeStatuses, "abandoned"] as const;
type ShownStatus = typeof shownStatuses[number];

export interface FlowView {
  readonly status: Exclude<State["status"], "unstarted">;
  readonly nodes: Readonly<Record<ShownStatus | "total", number>>;
  /** Of a flow that completed: what its root gave. */
  readonly result?: unknown;
  /** Of a flow that failed: why its root did. */
  readonly error?: string;
  readonly cancelledBy?: string;
}

/** Undefined of a flow that was never started. */
export function flowView(state: State): FlowView | undefined {
  const { status, counts, cancelledBy, tree } = state;
  if (status === "unstarted") return undefined;
  const { result, error } = progressAt(state, ROOT);
  const abandoned = hasEnded(state) ? counts.running : 0;
  return {
    status,
    nodes: {
      total: tree.nodes.length,
      ...counts,
      running: counts.running - abandoned,
      abandoned,
    },
    ...(status === "completed" && { result }),
    ...(status === "failed" && { error: error ?? "Its root was cancelled" }),
    ...(cancelledBy !== undefined && { cancelledBy }),
  };
}

export interface NodeView extends Pick<Progress, "jobId" | "result" | "error"> {
  /** In the plan, where every parent comes before its children. */
  readonly place: number;
  readonly name: string;
  readonly parent?: string;
  readonly type: string;
  readonly payload: unknown;
  readonly onChildFailure: FailurePolicy;
  readonly status: ShownStatus;
  /** How the job stands that undoes it; absent before it is enqueued. */
  readonly compensation?: Undoing;
}

function nodeView(state: State, place: number): NodeView {
  const { name, parent, job, onChildFailure } = nodeAt(state, place);
  const { jobId, result, error, undoing } = progressAt(state, place);
  const status = shownStatus(state, place);
  return {
    place,
    name,
    ...(parent !== undefined && { parent: nodeAt(state, parent).name }),
    type: job.type,
    payload: job.payload,
    onChildFailure,
    status,
    ...(jobId !== undefined && { jobId }),
    ...(status === "completed" && { result }),
    ...(error !== undefined && { error }),
    ...(undoing !== undefined && { compensation: undoing }),
  };
}

function shownStatus(state: State, place: number): ShownStatus {
  const { status } = progressAt(state, place);
  return status === "running" && hasEnded(state) ? "abandoned" : status;
}

export interface NodeQuery {
  readonly status?: ShownStatus;
  /** The place from which on nodes are shown. */
  readonly from?: number;
  readonly limit?: number;
}

/** By their places. */
export function nodeViews(
  state: State,
  { status, from = 0, limit = Infinity }: NodeQuery = {},
): readonly NodeView[] {
  const views: NodeView[] = [];
  for (let place = from; place < state.tree.nodes.length && views.length < limit; place++) {
    if (status !== undefined && status !== shownStatus(state, place)) continue;
    views.push(nodeView(state, place));
  }
  return views;
}
