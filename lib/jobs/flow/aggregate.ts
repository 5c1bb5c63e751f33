/**
 * A flow: jobs in a tree, of which each is enqueued once all below it have ended.
 *
 * What `decide` upholds and everyone else may assume:
 * - a flow ends once, and after its end enqueues nothing;
 * - what is being undone is undone to its end, whatever fails or is cancelled meanwhile;
 * - a job is enqueued once, and only after its children have ended, all well or ignored;
 * - a report that comes twice, or too late to matter, changes nothing.
 *
 * A job that is enqueued is not called back when the flow gives up what it is for: it ends by itself,
 * and nothing follows from it. Only what undoes things waits for such jobs, as they might complete.
 *
 * @module
 */
import { z } from "zod";
import { accept, type Decision, type DecisionContext, reject } from "../../runtime/aggregate.ts";
import type { JobReport, ReportTarget } from "../job.ts";
import { Event, ReportTarget as ReportTargetShape } from "./events.ts";
import { evolve } from "./evolve.ts";
import { bytesOf, FlowPlan } from "./plan.ts";
import { hasEnded, initial, isOver, progressAt, reporterOf, ROOT, type State } from "./state.ts";
import { Unfolding } from "./unfolding.ts";

export { snapshot } from "./snapshot.ts";
export { Event, evolve, initial, type State };

export const kind = "flow";
export const commandSchema = 1;

/** Of all nodes together: they are kept, and handed to whoever runs next. */
export const RESULTS_BYTES_MAX = 16 * 1_024 * 1_024;
/** What is kept of an error; it climbs the tree with every failure. */
export const ERROR_CHARS_MAX = 2_000;

export type Command =
  | { readonly type: "Start"; readonly nodes: FlowPlan; readonly reportTo?: ReportTarget }
  | { readonly type: "Cancel" }
  | JobReport;

const report = { type: z.literal("Report"), node: z.string(), jobId: z.string() };

export const Command: z.ZodType<Command> = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("Start"),
    nodes: FlowPlan,
    reportTo: ReportTargetShape.exactOptional(),
  }),
  z.object({ type: z.literal("Cancel") }),
  z.discriminatedUnion("outcome", [
    // What gives nothing has no result in JSON.
    z.object({ ...report, outcome: z.literal("completed"), result: z.unknown().default(null) }),
    z.object({ ...report, outcome: z.literal("failed"), error: z.string() }),
    z.object({ ...report, outcome: z.literal("cancelled") }),
  ]),
]);

export type Reason = "not-found" | "already-exists" | "ended";

type Verdict = Decision<Event, Reason>;

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  const unfolding = new Unfolding(state, { kind, commandSchema }, context);
  if (command.type === "Start") {
    if (state.status !== "unstarted") return reject("already-exists");
    unfolding.start({ ...command, type: "FlowStarted" });
    return unfolding.decision;
  }
  if (state.status === "unstarted") return reject("not-found");
  if (command.type === "Report") return reported(state, command, unfolding);

  if (state.status === "cancelling") return accept();
  // How it ends is settled with its root, though it may have to wait for what is being undone.
  if (hasEnded(state) || isOver(progressAt(state, ROOT))) return reject("ended");
  unfolding.cancel(context.principal.id);
  return unfolding.decision;
}

function reported(state: State, report: JobReport, unfolding: Unfolding): Verdict {
  const reporter = hasEnded(state) ? undefined : reporterOf(state, report.node);
  if (reporter === undefined) return accept();
  const { place, isUndoing } = reporter;
  const { status, undoing } = progressAt(state, place);
  if (isUndoing) {
    if (undoing?.status !== "running") return accept();
    unfolding.undone(place, undoingEvent(state, place, report));
  } else {
    if (status !== "running") return accept();
    nodeEnded(state, place, report, unfolding);
  }
  return unfolding.decision;
}

function nodeEnded(state: State, place: number, report: JobReport, unfolding: Unfolding): void {
  const { jobId } = report;
  switch (report.outcome) {
    case "completed": {
      const { result } = report;
      if (state.resultBytes + bytesOf(result) <= RESULTS_BYTES_MAX) {
        return unfolding.completed(place, jobId, result);
      }
      const error = `A flow keeps no more than ${RESULTS_BYTES_MAX} bytes of results`;
      return unfolding.failed(place, jobId, error);
    }
    case "failed":
      return unfolding.failed(place, jobId, shortened(report.error));
    case "cancelled":
      return unfolding.cancelled(place, jobId);
  }
}

function undoingEvent({ tree }: State, place: number, report: JobReport) {
  const { jobId } = report;
  const node = tree.nodes[place]!.name;
  switch (report.outcome) {
    case "completed":
      return { type: "NodeUndone", node, jobId } as const;
    case "failed":
      return { type: "UndoingFailed", node, jobId, error: shortened(report.error) } as const;
    case "cancelled":
      return { type: "UndoingFailed", node, jobId, error: "It was cancelled" } as const;
  }
}

/** Cut between two characters: half of one is no text that a store can keep. */
function shortened(error: string): string {
  return error.length <= ERROR_CHARS_MAX ? error : error.slice(0, ERROR_CHARS_MAX).toWellFormed();
}
