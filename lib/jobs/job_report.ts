/** What whoever waits for a job is told of its end. */
import type { OutboxMessage } from "../runtime/outbox.ts";
import type { NewMessage } from "../runtime/store.ts";
import type { JobCommand, JobReport } from "./job.ts";

export type ReportedEnding =
  | { readonly is: "completed"; readonly result: unknown }
  | { readonly is: "failed"; readonly error: string }
  | { readonly is: "cancelled" };

/** Undefined if nobody waits. */
export function reportOf(
  { messageId: jobId, correlationId, principal, traceparent }: OutboxMessage,
  { reportTo }: JobCommand,
  ending: ReportedEnding,
  uuid: () => string,
): NewMessage | undefined {
  if (reportTo === undefined) return undefined;
  const { to, schema, node } = reportTo;
  return {
    messageId: uuid(),
    to,
    schema,
    command: { type: "Report", node, jobId, ...outcomeOf(ending) } as JobReport,
    correlationId,
    causationId: jobId,
    principal,
    delayMs: 0,
    ...(traceparent !== undefined && { traceparent }),
  };
}

function outcomeOf(ending: ReportedEnding) {
  switch (ending.is) {
    case "completed":
      return { outcome: "completed", result: ending.result ?? null };
    case "failed":
      return { outcome: "failed", error: ending.error };
    case "cancelled":
      return { outcome: "cancelled" };
  }
}
