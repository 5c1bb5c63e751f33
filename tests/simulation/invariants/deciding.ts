/**
 * Decides once more what was decided in a run.
 *
 * @module
 */
import { aggregateOf } from "../acts.ts";
import type { Request } from "./chronicle.ts";

/** Reasons that hang on a clock, which nobody but the node that decided has seen. */
const timely = ["offer-lapsed", "already-started", "starts-in-past"];

/** Why the actor refuses that command at that version; undefined if nobody can know any more. */
export function decideAgain({ asked, course }: Request, version: number): string | undefined {
  const { kind, key, command, principal } = asked;
  const at = course.stream[version - 1]?.at ?? 0;
  const decision = aggregateOf(kind).decide(course.states[version], command, {
    key,
    at,
    principal,
  });
  if (decision.accepted) return isTimed(command) ? undefined : "no reason";
  return timely.includes(decision.reason) ? undefined : decision.reason;
}

/** Whether an acceptance may have been a refusal at another time. */
function isTimed(command: unknown): boolean {
  return (command as { readonly type: string }).type === "Accept";
}
