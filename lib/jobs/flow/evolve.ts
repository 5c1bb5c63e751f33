/**
 * What each event makes of a flow.
 *
 * A report costs a step per ancestor and no more: what has to look at a whole part of the tree, a
 * failure or a compensation, happens once to each part of it.
 *
 * @module
 */
import { PersistentMap } from "../../runtime/persistent_map.ts";
import type { Event, EventOf } from "./events.ts";
import { bytesOf } from "./plan.ts";
import {
  ancestorsOf,
  below,
  type Compensation,
  compensatorOf,
  initial,
  noCounts,
  type Progress,
  progressAt,
  ROOT,
  type State,
  treeOf,
} from "./state.ts";

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "FlowStarted":
      return started(event);
    case "FlowCancelling":
      return { ...withoutWaiting(state), status: "cancelling", cancelledBy: event.by };
    case "FlowCompleted":
      return { ...state, status: "completed" };
    case "FlowFailed":
      return { ...state, status: "failed" };
    case "FlowCancelled":
      return { ...withoutWaiting(state), status: "cancelled", cancelledBy: event.by };
  }

  const place = state.tree.places.get(event.node);
  return place === undefined ? state : nodeEvolved(state, place, event);
}

type NodeEvent = Extract<Event, { readonly node: string }>;

function nodeEvolved(state: State, place: number, event: NodeEvent): State {
  switch (event.type) {
    case "NodeEnqueued":
      return changed(state, place, { status: "running" });
    case "NodeCompleted":
      return completed(state, place, event);
    case "NodeFailed": {
      const { jobId, error } = event;
      const failed = { status: "failed", error, ...(jobId !== undefined && { jobId }) } as const;
      return ended(withoutWaitingBelow(state, place), place, failed);
    }
    case "NodeCancelled":
      return ended(state, place, { status: "cancelled", jobId: event.jobId });
    case "CompensationBegan":
      return compensating(state, place, event);
    case "CompensationPlanned": {
      const queue = event.undo.map((name) => state.tree.places.get(name)!);
      return withCompensation(state, place, { queue });
    }
    case "UndoingEnqueued":
      return changed(state, place, { undoing: { status: "running" } });
    case "NodeUndone":
      return undone(state, place, { status: "completed", jobId: event.jobId });
    case "UndoingFailed": {
      const { jobId, error } = event;
      return undone(state, place, { status: "failed", jobId, error });
    }
  }
}

function started({ nodes, reportTo }: EventOf<"FlowStarted">): State {
  const tree = treeOf(nodes);
  const progress = tree.children.map(({ length: open }, place): [number, Progress] => [
    place,
    { status: open > 0 ? "waiting" : "running", open },
  ]);
  const running = progress.filter(([, { status }]) => status === "running").length;
  return {
    ...initial,
    status: "running",
    tree,
    ...(reportTo !== undefined && { reportTo }),
    progress: PersistentMap.of(progress),
    counts: { ...noCounts, running, waiting: nodes.length - running },
  };
}

function completed(
  state: State,
  place: number,
  { jobId, result }: EventOf<"NodeCompleted">,
): State {
  const rank = state.ranks + 1;
  return {
    ...ended(state, place, { status: "completed", rank, jobId, result }),
    ranks: rank,
    resultBytes: state.resultBytes + bytesOf(result),
  };
}

/** Its parent has one less to wait for, and so has every ancestor that waits for what runs below. */
function ended(state: State, place: number, how: Partial<Progress>): State {
  const { status: before } = progressAt(state, place);
  const wasOutstanding = before === "running" || before === "compensating";
  let after = changed(state, place, how);
  if (before === "compensating") {
    after = { ...after, compensations: after.compensations.delete(place) };
  }
  const { parent } = state.tree.nodes[place]!;
  if (parent !== undefined) {
    after = changed(after, parent, { open: progressAt(after, parent).open - 1 });
  }
  // Most flows compensate nothing, at no time.
  if (!wasOutstanding || after.compensations.size === 0) return after;
  for (const ancestor of ancestorsOf(state, place)) {
    const compensation = after.compensations.get(ancestor);
    if (compensation === undefined) continue;
    after = withCompensation(after, ancestor, { outstanding: compensation.outstanding - 1 });
  }
  return after;
}

function compensating(
  state: State,
  place: number,
  { because }: EventOf<"CompensationBegan">,
): State {
  const after = changed(withoutWaitingBelow(state, place), place, { status: "compensating" });
  let outstanding = 0;
  for (const node of below(after, place)) {
    const { status } = progressAt(after, node);
    if (status === "running" || status === "compensating") outstanding++;
  }
  const compensation = { because, outstanding, next: 0 };
  return { ...after, compensations: after.compensations.set(place, compensation) };
}

function undone(state: State, place: number, undoing: Progress["undoing"] & object): State {
  const compensator = compensatorOf(state, place);
  const after = changed(state, place, { undoing });
  if (compensator === undefined) return after;
  const { next } = after.compensations.get(compensator)!;
  return withCompensation(after, compensator, { next: next + 1 });
}

function withCompensation(state: State, place: number, changes: Partial<Compensation>): State {
  const compensation = state.compensations.get(place);
  if (compensation === undefined) return state;
  const compensations = state.compensations.set(place, { ...compensation, ...changes });
  return { ...state, compensations };
}

/** What waits in a part of the tree whose top has failed is never enqueued. */
function withoutWaitingBelow(state: State, place: number): State {
  // Below what does not wait any more, nothing does.
  if (progressAt(state, place).status !== "waiting") return state;
  const isWaiting = (node: number) => progressAt(state, node).status === "waiting";
  const waiting = [...below(state, place, isWaiting)].filter(isWaiting);
  return waiting.reduce((after, node) => changed(after, node, { status: "cancelled" }), state);
}

function withoutWaiting(state: State): State {
  if (progressAt(state, ROOT).status === "waiting") {
    return changed(withoutWaitingBelow(state, ROOT), ROOT, { status: "cancelled" });
  }
  return state;
}

function changed(state: State, place: number, changes: Partial<Progress>): State {
  const before = progressAt(state, place);
  const after = { ...before, ...changes };
  const progress = state.progress.set(place, after);
  if (before.status === after.status) return { ...state, progress };
  const counts = { ...state.counts };
  counts[before.status]--;
  counts[after.status]++;
  return { ...state, progress, counts };
}
