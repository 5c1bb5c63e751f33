/**
 * What a flow is to do: jobs in a tree, each run after its children.
 *
 * A flow is asked for as a list in which every node names its parent: nothing to nest, so each fault
 * has a short path, and no depth can overrun whoever reads it. That list may say what no tree can be:
 * {@linkcode planFlow} tells where, or gives the plan, in which every parent stands before its
 * children. Such a plan has one root and no cycle by its form alone.
 *
 * @module
 */
import { z } from "zod";
import { type EnqueueOptions, type JobDefinition, PAYLOAD_BYTES_MAX } from "../job.ts";

/** A start is one commit: some 15 MB of SQL parameter at the most. */
export const NODES_MAX = 10_000;
/** Each level is a wait for the one below; failures climb them all in one decision. */
export const DEPTH_MAX = 50;
/** A parent is handed the results of its children in one go. */
export const CHILDREN_MAX = 5_000;
/** Of all nodes together. */
export const PAYLOADS_BYTES_MAX = 2 * 1_024 * 1_024;
/** A job also says where to report, for which this leaves room. */
export const NODE_PAYLOAD_BYTES_MAX = PAYLOAD_BYTES_MAX - 4 * 1_024;

/** Shown, logged and put into paths: nothing invisible, and no slash. */
export const NodeName = z.string().regex(/^[^\p{C}/]{1,100}$/u, {
  error: "Must be 1 to 100 visible characters without a slash",
});

export const failurePolicies = ["fail", "ignore", "compensate"] as const;
export type FailurePolicy = typeof failurePolicies[number];

/**
 * Without a unique key: a job that is not enqueued because another is there already never reports, and
 * the flow would wait for it for ever.
 */
export type NodeOptions = Pick<
  EnqueueOptions,
  "delayMs" | "priority" | "concurrencyKey" | "attemptsMax"
>;

export interface JobSpec {
  readonly type: string;
  readonly payload: unknown;
}

/** A node as it is asked for. */
export interface NodeSpec extends JobSpec {
  /** Unique in the flow. */
  readonly name: string;
  /** The name of the node that runs after this one; all but one node have one. */
  readonly parent?: string;
  /**
   * What becomes of this node when a child of it fails: it fails as well; it runs without that result;
   * or what was done below it is undone, and then it fails. "fail" unless said. Its own failure is its
   * parent's to deal with.
   */
  readonly onChildFailure?: FailurePolicy;
  /** What undoes this node once it has completed. */
  readonly compensate?: JobSpec;
  readonly options?: NodeOptions;
}

/** The definitions of the jobs that flows may be made of, by type. */
export type JobCatalog = ReadonlyMap<string, JobDefinition>;

const PlannedJob = z.object({
  type: z.string(),
  queue: z.string(),
  schema: z.int(),
  priority: z.int(),
  payload: z.unknown(),
  options: z.object({
    delayMs: z.number().exactOptional(),
    concurrencyKey: z.string().exactOptional(),
    attemptsMax: z.int().exactOptional(),
  }),
});
export type PlannedJob = z.infer<typeof PlannedJob>;

const PlannedNode = z.object({
  // What undoes a node reports under its name, a slash and more.
  name: z.string().regex(/^[^/]*$/),
  /** The place of its parent in the plan; only the first has none. */
  parent: z.int().exactOptional(),
  onChildFailure: z.enum(failurePolicies),
  job: PlannedJob,
  compensation: PlannedJob.exactOptional(),
});
export type PlannedNode = z.infer<typeof PlannedNode>;

/** Every parent before its children, and the children of one parent together. */
export const FlowPlan = z.array(PlannedNode).refine(isTree, {
  error: "Must be a tree whose parents come before their children",
}).readonly();
export type FlowPlan = z.infer<typeof FlowPlan>;

function isTree(nodes: readonly PlannedNode[]): boolean {
  return nodes.length > 0 && new Set(nodes.map(({ name }) => name)).size === nodes.length &&
    nodes.every(({ parent }, index) =>
      index === 0 ? parent === undefined : parent !== undefined && parent >= 0 && parent < index
    );
}

/** What is wrong with a plan, where; it never repeats what was asked for. */
export interface PlanFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export type Planning =
  | { readonly plan: FlowPlan }
  | { readonly faults: readonly PlanFault[] };

/** The plan of a flow of these nodes, or all that is in its way, by the places of the nodes. */
export function planFlow(nodes: readonly NodeSpec[], catalog: JobCatalog): Planning {
  if (nodes.length === 0 || nodes.length > NODES_MAX) {
    return { faults: [{ path: ["nodes"], message: `Must be 1 to ${NODES_MAX} nodes` }] };
  }
  const jobFaults = [...faultsOfNames(nodes), ...faultsOfJobs(nodes, catalog)];
  const tree = treeOf(nodes);
  const faults = [...jobFaults, ...tree.faults];
  return faults.length > 0 ? { faults } : { plan: planned(nodes, tree.order, catalog) };
}

function* faultsOfNames(nodes: readonly NodeSpec[]): Generator<PlanFault> {
  const names = new Set<string>();
  for (const [index, { name }] of nodes.entries()) {
    const path = ["nodes", index, "name"];
    const shape = NodeName.safeParse(name);
    if (!shape.success) yield { path, message: shape.error.issues[0]!.message };
    if (names.has(name)) yield { path, message: "Another node has this name" };
    names.add(name);
  }
}

function* faultsOfJobs(nodes: readonly NodeSpec[], catalog: JobCatalog): Generator<PlanFault> {
  let bytes = 0;
  for (const [index, { type, payload, compensate }] of nodes.entries()) {
    const jobs = [{ at: ["nodes", index], job: { type, payload } }];
    if (compensate !== undefined) {
      jobs.push({ at: ["nodes", index, "compensate"], job: compensate });
    }
    for (const { at, job } of jobs) {
      yield* faultsOfJob(job, at, catalog);
      bytes += bytesOf(job.payload);
    }
  }
  if (bytes > PAYLOADS_BYTES_MAX) {
    yield {
      path: ["nodes"],
      message: `The payloads must not have more than ${PAYLOADS_BYTES_MAX} bytes together`,
    };
  }
}

function* faultsOfJob(
  { type, payload }: JobSpec,
  at: readonly (string | number)[],
  catalog: JobCatalog,
): Generator<PlanFault> {
  const definition = catalog.get(type);
  if (definition === undefined) {
    yield { path: [...at, "type"], message: "There is no such job" };
    return;
  }
  if (bytesOf(payload) > NODE_PAYLOAD_BYTES_MAX) {
    yield {
      path: [...at, "payload"],
      message: `Must not have more than ${NODE_PAYLOAD_BYTES_MAX} bytes`,
    };
  }
  for (const { path, message } of issuesOf(definition, payload)) {
    yield { path: [...at, "payload", ...path], message };
  }
}

/** As zod tells them; of any other parser only that it refused. */
function issuesOf({ payload: parser }: JobDefinition, payload: unknown): readonly PlanFault[] {
  try {
    parser.parse(payload);
    return [];
  } catch (error) {
    if (!(error instanceof z.ZodError)) return [{ path: [], message: "The job refuses this" }];
    return error.issues.flatMap((issue) => {
      const path = issue.path.map((part) => typeof part === "number" ? part : String(part));
      if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
      return issue.keys.map((key) => ({ path: [...path, key], message: "Unknown field" }));
    });
  }
}

interface Tree {
  /** The places of the nodes as they were asked for, level by level. */
  readonly order: readonly number[];
  readonly faults: readonly PlanFault[];
}

function treeOf(nodes: readonly NodeSpec[]): Tree {
  const places = new Map(nodes.map(({ name }, index) => [name, index]));
  const children = nodes.map((): number[] => []);
  const roots: number[] = [];
  const faults: PlanFault[] = [];
  const refuse = (index: number, message: string) => {
    faults.push({ path: ["nodes", index, "parent"], message });
  };
  for (const [index, { parent }] of nodes.entries()) {
    const place = parent === undefined ? undefined : places.get(parent);
    if (place !== undefined) children[place]!.push(index);
    else if (parent !== undefined) refuse(index, "There is no node of this name");
    else if (roots.push(index) > 1) refuse(index, "Only one node may be without a parent");
  }
  if (roots.length === 0) {
    faults.push({ path: ["nodes"], message: "One node must be without a parent" });
  }
  for (const index of inCycles(nodes, places)) refuse(index, "Must not lead back to the node");

  for (const below of children) {
    if (below.length <= CHILDREN_MAX) continue;
    refuse(below[CHILDREN_MAX]!, `A node must not have more than ${CHILDREN_MAX} children`);
  }
  const levels = levelsFrom(roots, children);
  const tooDeep = levels[DEPTH_MAX]?.[0];
  if (tooDeep !== undefined) refuse(tooDeep, `A flow must not be deeper than ${DEPTH_MAX} nodes`);
  return { order: levels.flat(), faults };
}

/** Every node from which the way from parent to parent comes back to it. */
function inCycles(nodes: readonly NodeSpec[], places: ReadonlyMap<string, number>): number[] {
  const found: number[] = [];
  /** On whose way each node was met first. */
  const metOn = new Map<number, number>();
  for (const start of nodes.keys()) {
    let at: number | undefined = start;
    while (at !== undefined && !metOn.has(at)) {
      metOn.set(at, start);
      at = parentPlace(nodes[at]!, places);
    }
    if (at === undefined || metOn.get(at) !== start) continue;
    const first = at;
    do {
      found.push(at);
      at = parentPlace(nodes[at]!, places)!;
    } while (at !== first);
  }
  return found;
}

function parentPlace(
  { parent }: NodeSpec,
  places: ReadonlyMap<string, number>,
): number | undefined {
  return parent === undefined ? undefined : places.get(parent);
}

function levelsFrom(
  roots: readonly number[],
  children: readonly (readonly number[])[],
): number[][] {
  const levels: number[][] = [];
  for (let level = [...roots]; level.length > 0;) {
    levels.push(level);
    level = level.flatMap((index) => children[index]!);
  }
  return levels;
}

function planned(
  nodes: readonly NodeSpec[],
  order: readonly number[],
  catalog: JobCatalog,
): FlowPlan {
  const placeOf = new Map(order.map((index, place) => [nodes[index]!.name, place]));
  return order.map((index): PlannedNode => {
    const { name, parent, onChildFailure = "fail", compensate, options, ...job } = nodes[index]!;
    return {
      name,
      ...(parent !== undefined && { parent: placeOf.get(parent)! }),
      onChildFailure,
      job: plannedJob(job, catalog, options),
      ...(compensate !== undefined && { compensation: plannedJob(compensate, catalog) }),
    };
  });
}

function plannedJob(
  { type, payload }: JobSpec,
  catalog: JobCatalog,
  { priority, ...options }: NodeOptions = {},
): PlannedJob {
  const definition = catalog.get(type)!;
  const { queue, schema } = definition;
  return { type, queue, schema, priority: priority ?? definition.priority, payload, options };
}

/** As JSON in UTF-8. */
export function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value) ?? "").length;
}
