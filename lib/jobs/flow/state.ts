/** Where a flow stands: its plan, and how far each node is. */
import { PersistentMap } from "../../runtime/persistent_map.ts";
import type { ReportTarget } from "../job.ts";
import type { FlowPlan, PlannedNode } from "./plan.ts";

export const flowStatuses = ["running", "cancelling", "completed", "failed", "cancelled"] as const;
export type FlowStatus = typeof flowStatuses[number];

export const nodeStatuses = [
  /** Its children have not all ended. */
  "waiting",
  /** Its job is enqueued, or runs. */
  "running",
  /** A child failed, and what was done below is being undone. */
  "compensating",
  "completed",
  "failed",
  /** Its job was cancelled, or will never be enqueued. */
  "cancelled",
] as const;
export type NodeStatus = typeof nodeStatuses[number];

/** How the job stands that undoes a node. */
export interface Undoing {
  readonly status: "running" | "completed" | "failed";
  readonly jobId?: string;
  readonly error?: string;
}

/** How far a node is. */
export interface Progress {
  readonly status: NodeStatus;
  /** Children that have not ended. */
  readonly open: number;
  /** Where it stands among those that completed, from 1. */
  readonly rank?: number;
  /** The job that it ended with. */
  readonly jobId?: string;
  readonly result?: unknown;
  readonly error?: string;
  readonly undoing?: Undoing;
}

/** What a node does whose child has failed, until it fails itself. */
export interface Compensation {
  readonly because: string;
  /** What still runs below it: nothing is undone before that has ended. */
  readonly outstanding: number;
  /** What is to be undone, in that order; undefined before it is known. */
  readonly queue?: readonly number[];
  /** The place in `queue` of what is being undone. */
  readonly next: number;
}

/** The plan, with ways through it. */
export interface Tree {
  readonly nodes: FlowPlan;
  readonly children: readonly (readonly number[])[];
  readonly places: ReadonlyMap<string, number>;
}

export interface State {
  readonly status: "unstarted" | FlowStatus;
  readonly tree: Tree;
  readonly reportTo?: ReportTarget;
  /** By the place of the node in the plan. */
  readonly progress: PersistentMap<number, Progress>;
  readonly counts: Readonly<Record<NodeStatus, number>>;
  readonly compensations: PersistentMap<number, Compensation>;
  /** Nodes that have completed by now. */
  readonly ranks: number;
  /** Of all results kept, as JSON. */
  readonly resultBytes: number;
  /** Who cancelled it. */
  readonly cancelledBy?: string;
}

export const noCounts: State["counts"] = {
  waiting: 0,
  running: 0,
  compensating: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
};

export const initial: State = {
  status: "unstarted",
  tree: { nodes: [], children: [], places: new Map() },
  progress: PersistentMap.of(),
  counts: noCounts,
  compensations: PersistentMap.of(),
  ranks: 0,
  resultBytes: 0,
};

export const ROOT = 0;

/** What a node reports as whose compensation it is; no node is called so. */
const UNDOING = "/compensation";

/** The name under which the job reports that undoes the node. */
export function undoingName(name: string): string {
  return `${name}${UNDOING}`;
}

/** Which node a report is about, and whether about its job or about what undoes it. */
export function reporterOf(
  { tree }: State,
  reporter: string,
): { readonly place: number; readonly isUndoing: boolean } | undefined {
  const isUndoing = reporter.endsWith(UNDOING);
  const name = isUndoing ? reporter.slice(0, -UNDOING.length) : reporter;
  const place = tree.places.get(name);
  return place === undefined ? undefined : { place, isUndoing };
}

export function treeOf(nodes: FlowPlan): Tree {
  const children = nodes.map((): number[] => []);
  for (const [place, { parent }] of nodes.entries()) {
    if (parent !== undefined) children[parent]!.push(place);
  }
  return { nodes, children, places: new Map(nodes.map(({ name }, place) => [name, place])) };
}

export function hasEnded({ status }: State): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** Nothing can be made of the node any more. */
export function isOver({ status }: Progress): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

export function nodeAt({ tree }: State, place: number): PlannedNode {
  return tree.nodes[place]!;
}

export function progressAt({ progress }: State, place: number): Progress {
  return progress.get(place)!;
}

/** From the parent of the node up to the root. */
export function* ancestorsOf({ tree }: State, place: number): Generator<number> {
  for (let { parent } = tree.nodes[place]!; parent !== undefined;) {
    yield parent;
    parent = tree.nodes[parent]!.parent;
  }
}

/** All below the node, level by level, but for what is below those that `isDeeper` leaves out. */
export function* below(
  { tree }: State,
  place: number,
  isDeeper: (place: number) => boolean = () => true,
): Generator<number> {
  const ahead = [...tree.children[place]!];
  // The array grows while it is walked.
  for (const next of ahead) {
    yield next;
    if (isDeeper(next)) { for (const child of tree.children[next]!) ahead.push(child); }
  }
}

/** The ancestor that is having this node undone, if one is. */
export function compensatorOf(state: State, place: number): number | undefined {
  for (const ancestor of ancestorsOf(state, place)) {
    const compensation = state.compensations.get(ancestor);
    if (compensation?.queue?.[compensation.next] === place) return ancestor;
  }
  return undefined;
}
