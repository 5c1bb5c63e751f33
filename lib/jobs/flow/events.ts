/** What happens to a flow. */
import { z } from "zod";
import { FlowPlan } from "./plan.ts";

export const ReportTarget = z.object({
  to: z.object({ kind: z.string(), key: z.string() }),
  schema: z.int(),
  node: z.string(),
});

const node = z.string();
const jobId = z.string();
const error = z.string();

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  /** The jobs of all nodes without children are enqueued with it. */
  z.object({
    type: z.literal("FlowStarted"),
    nodes: FlowPlan,
    reportTo: ReportTarget.exactOptional(),
  }),
  /** Its children have ended, so its job is enqueued. */
  z.object({ type: z.literal("NodeEnqueued"), node }),
  z.object({ type: z.literal("NodeCompleted"), node, jobId, result: z.unknown() }),
  /** Without a job, because a child of it failed. */
  z.object({ type: z.literal("NodeFailed"), node, jobId: jobId.exactOptional(), error }),
  /** Somebody cancelled its job. */
  z.object({ type: z.literal("NodeCancelled"), node, jobId }),
  /** Below the node nothing is begun any more; what runs there is waited for. */
  z.object({ type: z.literal("CompensationBegan"), node, because: z.string() }),
  /** Nothing runs there any more: this is to be undone, in this order. */
  z.object({ type: z.literal("CompensationPlanned"), node, undo: z.array(node) }),
  z.object({ type: z.literal("UndoingEnqueued"), node }),
  z.object({ type: z.literal("NodeUndone"), node, jobId }),
  z.object({ type: z.literal("UndoingFailed"), node, jobId, error }),
  /** It ends once what is being undone is. */
  z.object({ type: z.literal("FlowCancelling"), by: z.string() }),
  /** With what its root gave, or why its root failed. */
  z.object({ type: z.literal("FlowCompleted"), result: z.unknown() }),
  z.object({ type: z.literal("FlowFailed"), error }),
  z.object({ type: z.literal("FlowCancelled"), by: z.string() }),
]);
export type Event = z.infer<typeof Event>;

export type EventOf<Type extends Event["type"]> = Extract<Event, { readonly type: Type }>;
