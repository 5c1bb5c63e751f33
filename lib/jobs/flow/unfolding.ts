/**
 * What follows from the end of one job: what is enqueued next, what fails with it, what is undone.
 *
 * It is worked out on a tentative state, each step on what those before it have led to; the events
 * that it leaves behind lead there again.
 *
 * @module
 */
import type { DecisionContext, Message } from "../../runtime/aggregate.ts";
import { enqueue, type JobReport, type ReportTarget } from "../job.ts";
import type { Event } from "./events.ts";
import { evolve } from "./evolve.ts";
import type { PlannedJob } from "./plan.ts";
import {
  ancestorsOf,
  below,
  compensatorOf,
  hasEnded,
  isOver,
  nodeAt,
  progressAt,
  ROOT,
  type State,
  undoingName,
} from "./state.ts";

/** What tells the reports of a flow from those of others, as it is written beside them. */
export interface FlowIdentity {
  readonly kind: string;
  readonly commandSchema: number;
}

export class Unfolding {
  readonly events: Event[] = [];
  readonly messages: Message[] = [];
  readonly #flow: FlowIdentity;
  readonly #key: string;
  #state: State;

  constructor(state: State, flow: FlowIdentity, { key }: Pick<DecisionContext, "key">) {
    this.#state = state;
    this.#flow = flow;
    this.#key = key;
  }

  get decision() {
    const { events, messages } = this;
    return { accepted: true, events, ...(messages.length > 0 && { messages }) } as const;
  }

  start(started: Extract<Event, { type: "FlowStarted" }>): void {
    this.#record(started);
    for (const [place, { name, job }] of this.#state.tree.nodes.entries()) {
      if (this.#state.tree.children[place]!.length === 0) this.#enqueue(job, name);
    }
  }

  /** The node has completed. */
  completed(place: number, jobId: string, result: unknown): void {
    this.#record({ type: "NodeCompleted", node: this.#name(place), jobId, result });
    this.#goOn(place);
  }

  failed(place: number, jobId: string, error: string): void {
    const node = this.#name(place);
    this.#record({ type: "NodeFailed", node, jobId, error });
    this.#goOn(place, `${node} failed: ${error}`);
  }

  cancelled(place: number, jobId: string): void {
    const node = this.#name(place);
    this.#record({ type: "NodeCancelled", node, jobId });
    this.#goOn(place, `${node} was cancelled`);
  }

  /** Whether it was undone or could not be, what is left to undo comes next. */
  undone(place: number, event: Extract<Event, { type: "NodeUndone" | "UndoingFailed" }>): void {
    const compensator = compensatorOf(this.#state, place);
    this.#record(event);
    if (compensator !== undefined) this.#undoNext(compensator);
  }

  cancel(by: string): void {
    if (this.#state.compensations.size > 0) this.#record({ type: "FlowCancelling", by });
    else this.#endCancelled(by);
  }

  /** What the end of a node leads to further up; `because` is why, unless it completed. */
  #goOn(place: number, because?: string): void {
    this.#compensateAbove(place);
    const { parent } = nodeAt(this.#state, place);
    // A parent that waits no more was given up when another child failed, or the flow was cancelled.
    if (parent === undefined || progressAt(this.#state, parent).status !== "waiting") {
      return this.#endIfOver();
    }
    const { onChildFailure } = nodeAt(this.#state, parent);
    if (because === undefined || onChildFailure === "ignore") return this.#enqueueIfReady(parent);
    if (onChildFailure === "fail") return this.#fail(parent, because);
    this.#record({ type: "CompensationBegan", node: this.#name(parent), because });
    this.#planIfQuiet(parent);
  }

  #enqueueIfReady(place: number): void {
    if (progressAt(this.#state, place).open > 0) return;
    const { name, job } = nodeAt(this.#state, place);
    this.#record({ type: "NodeEnqueued", node: name });
    this.#enqueue(job, name);
  }

  #fail(place: number, because: string): void {
    this.#record({ type: "NodeFailed", node: this.#name(place), error: because });
    this.#goOn(place, because);
  }

  /** What ended may have been the last for which a compensation has waited. */
  #compensateAbove(place: number): void {
    // Most flows compensate nothing, at no time.
    if (this.#state.compensations.size === 0) return;
    for (const ancestor of ancestorsOf(this.#state, place)) this.#planIfQuiet(ancestor);
  }

  #planIfQuiet(place: number): void {
    const compensation = this.#state.compensations.get(place);
    if (compensation === undefined || compensation.queue !== undefined) return;
    if (compensation.outstanding > 0) return;
    const undo = this.#toUndo(place).map((node) => this.#name(node));
    this.#record({ type: "CompensationPlanned", node: this.#name(place), undo });
    this.#undoNext(place);
  }

  /** What completed last is undone first; what was undone before is not undone again. */
  #toUndo(place: number): readonly number[] {
    const rankOf = (node: number) => progressAt(this.#state, node).rank!;
    return [...below(this.#state, place)].filter((node) => {
      const { status, undoing } = progressAt(this.#state, node);
      const { compensation } = nodeAt(this.#state, node);
      return status === "completed" && compensation !== undefined && undoing === undefined;
    }).sort((a, b) => rankOf(b) - rankOf(a));
  }

  #undoNext(compensator: number): void {
    const { queue = [], next, because } = this.#state.compensations.get(compensator)!;
    const place = queue[next];
    if (place === undefined) return this.#fail(compensator, because);
    const { name, compensation } = nodeAt(this.#state, place);
    this.#record({ type: "UndoingEnqueued", node: name });
    this.#enqueue(compensation!, undoingName(name));
  }

  /** The root has ended, or the flow is being cancelled, and nothing is left to be undone. */
  #endIfOver(): void {
    const { status, compensations, cancelledBy } = this.#state;
    if (hasEnded(this.#state) || compensations.size > 0) return;
    if (status === "cancelling") return this.#endCancelled(cancelledBy!);
    const root = progressAt(this.#state, ROOT);
    if (root.status === "completed") {
      const { result } = root;
      this.#record({ type: "FlowCompleted", result });
      this.#report({ outcome: "completed", result });
    } else if (isOver(root)) {
      const { error = `${this.#name(ROOT)} was cancelled` } = root;
      this.#record({ type: "FlowFailed", error });
      this.#report({ outcome: "failed", error });
    }
  }

  #endCancelled(by: string): void {
    this.#record({ type: "FlowCancelled", by });
    this.#report({ outcome: "cancelled" });
  }

  #enqueue({ payload, options, ...job }: PlannedJob, node: string): void {
    const { kind, commandSchema: schema } = this.#flow;
    const reportTo: ReportTarget = { to: { kind, key: this.#key }, schema, node };
    // Parsed when the flow was planned, and again by whoever does it.
    const definition = { ...job, payload: asItIs };
    this.messages.push(enqueue(definition, payload, { ...options, reportTo }));
  }

  /** To whoever started the flow and waits for its end, as a job would. */
  #report(
    how:
      | { readonly outcome: "completed"; readonly result: unknown }
      | { readonly outcome: "failed"; readonly error: string }
      | { readonly outcome: "cancelled" },
  ): void {
    const { reportTo } = this.#state;
    if (reportTo === undefined) return;
    const { to, schema, node } = reportTo;
    const command: JobReport = { type: "Report", node, jobId: this.#key, ...how };
    this.messages.push({ to, schema, command });
  }

  #name(place: number): string {
    return nodeAt(this.#state, place).name;
  }

  #record(event: Event): void {
    this.#state = evolve(this.#state, event);
    this.events.push(event);
  }
}

const asItIs = { parse: (payload: unknown) => payload };
