/**
 * A flow without a runtime: what it decides is written down, read back and evolved at once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { z } from "zod";
import * as Flow from "../../lib/jobs/flow/aggregate.ts";
import { type JobCatalog, type NodeSpec, planFlow } from "../../lib/jobs/flow/plan.ts";
import { defineJob, type JobCommand, type ReportTarget } from "../../lib/jobs/job.ts";
import { AT, KEY } from "./given.ts";

/** A job that takes anything, and one that is particular. */
export const work = defineJob({ type: "work", queue: "works", payload: z.unknown() });
export const undo = defineJob({ type: "undo", queue: "undoings", payload: z.unknown(), schema: 2 });
export const measure = defineJob({
  type: "measure",
  queue: "works",
  payload: z.strictObject({ size: z.strictObject({ cm: z.int() }) }),
  priority: 2,
});

export const catalog: JobCatalog = new Map([work, undo, measure].map((job) => [job.type, job]));

export function node(
  name: string,
  parent?: string,
  rest: Partial<Omit<NodeSpec, "name" | "parent">> = {},
): NodeSpec {
  return { name, type: "work", payload: name, ...(parent !== undefined && { parent }), ...rest };
}

/** One that knows how to be undone. */
export function undoable(name: string, parent?: string, rest: Partial<NodeSpec> = {}): NodeSpec {
  return node(name, parent, { compensate: { type: "undo", payload: name }, ...rest });
}

export function planOf(nodes: readonly NodeSpec[]) {
  const planning = planFlow(nodes, catalog);
  if ("faults" in planning) throw new Error(JSON.stringify(planning.faults));
  return planning.plan;
}

export class FlowRun {
  state = Flow.initial;
  readonly events: Flow.Event[] = [];
  /** The names under which jobs report, in the order in which they were enqueued. */
  readonly enqueued: string[] = [];
  /** What others than workers were told. */
  readonly told: unknown[] = [];
  #jobs = 0;

  constructor(nodes: readonly NodeSpec[], reportTo?: ReportTarget) {
    this.tell({ type: "Start", nodes: planOf(nodes), ...(reportTo && { reportTo }) });
  }

  /** What the command led to: events, and arrows for jobs. Undefined if it was refused. */
  tell(command: Flow.Command): readonly string[] {
    const principal = { id: "ana", roles: [] };
    const told = Flow.Command.parse(JSON.parse(JSON.stringify(command)));
    const decision = Flow.decide(this.state, told, { key: KEY, at: AT, principal });
    if (!decision.accepted) return [`refused: ${decision.reason}`];
    const happened: string[] = [];
    for (const decided of decision.events) {
      const event = Flow.Event.parse(JSON.parse(JSON.stringify(decided)));
      assert.deepEqual(event, decided);
      this.events.push(event);
      this.state = Flow.evolve(this.state, event);
      happened.push("node" in event ? `${event.type} ${event.node}` : event.type);
    }
    for (const { to, command } of decision.messages ?? []) {
      if (to.kind !== "job") {
        this.told.push({ to, command });
        continue;
      }
      const { node } = (command as JobCommand).reportTo!;
      this.enqueued.push(node);
      happened.push(`→ ${node}`);
    }
    return happened;
  }

  completes(node: string, result: unknown = `of ${node}`): readonly string[] {
    const jobId = this.#nextJob();
    return this.tell({ type: "Report", node, jobId, outcome: "completed", result });
  }

  fails(node: string, error = "boom"): readonly string[] {
    return this.tell({ type: "Report", node, jobId: this.#nextJob(), outcome: "failed", error });
  }

  isCancelled(node: string): readonly string[] {
    return this.tell({ type: "Report", node, jobId: this.#nextJob(), outcome: "cancelled" });
  }

  cancel(): readonly string[] {
    return this.tell({ type: "Cancel" });
  }

  #nextJob(): string {
    return `job-${++this.#jobs}`;
  }
}

export function roundTripped(state: Flow.State): Flow.State {
  return Flow.snapshot.decode(JSON.parse(JSON.stringify(Flow.snapshot.encode(state))));
}
