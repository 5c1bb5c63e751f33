/** How jobs end. */
import { CompiledQuery, type Kysely } from "kysely";
import { JOB_KIND } from "../jobs/job.ts";
import type { JobEnding, JobHold } from "../jobs/job_queue.ts";
import { type EndingNeeds, removeStatement, settleStatement } from "./job_statements.ts";
import { messageRequest } from "./outbox.ts";
import type { Tables } from "./tables.ts";

/** All who touch several jobs do it in this order, so that they cannot wait in a circle. */
export function inOrder(
  a: { readonly queue: string; readonly position: number },
  b: { readonly queue: string; readonly position: number },
): number {
  if (a.queue !== b.queue) return a.queue < b.queue ? -1 : 1;
  return a.position - b.position;
}

/** Which of the endings are recorded, by their places in the list. */
export async function settled(
  db: Kysely<Tables>,
  endings: readonly JobEnding[],
): Promise<ReadonlySet<number>> {
  const ordered = endings.map((ending, n) => ({ n, ending }))
    .sort((a, b) => inOrder(a.ending, b.ending));
  const { rows } = await db.executeQuery<{ n: number }>(
    isMereRemoval(endings)
      ? CompiledQuery.raw(removeStatement, [
        endings[0]!.queue,
        ordered.map(({ ending }) => ending.position),
        ordered.map(({ ending }) => ending.token),
      ])
      : CompiledQuery.raw(settleStatement(needsOf(endings)), [
        JSON.stringify(ordered.map(({ ending }, place) => endingRequest(place, ending))),
      ]),
  );
  return new Set(rows.map(({ n }) => ordered[n]!.n));
}

/** Nothing is left of these jobs, and all are of one queue. */
function isMereRemoval(endings: readonly JobEnding[]): boolean {
  const [first] = endings;
  return !Object.values(needsOf(endings)).includes(true) &&
    endings.every(({ queue }) => queue === first!.queue);
}

function needsOf(endings: readonly JobEnding[]): EndingNeeds {
  return {
    keeps: endings.some((ending) => "keepMs" in ending && ending.keepMs > 0),
    buries: endings.some(({ is }) => is === "failed"),
    returns: endings.some(({ is }) => is === "retried" || is === "released"),
    reports: endings.some(({ report }) => report !== undefined),
    counts: endings.some(({ isCounted }) => isCounted),
  };
}

export function holdRequest(n: number, { queue, position, token }: JobHold) {
  return { n, kind: JOB_KIND, queue, position, token };
}

function endingRequest(n: number, ending: JobEnding) {
  const { is, report } = ending;
  return {
    ...holdRequest(n, ending),
    is,
    ...(is === "completed" && { result: ending.result ?? null }),
    ...("keepMs" in ending && { keep: ending.keepMs }),
    ...(is === "retried" && { delay: ending.delayMs }),
    ...("error" in ending && { error: ending.error }),
    ...(report !== undefined && { report: messageRequest(report) }),
  };
}
