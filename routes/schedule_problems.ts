/** How each refusal of a schedule reads over HTTP; a reason without a face does not compile. */
import type * as Schedule from "../lib/jobs/schedule.ts";
import type { Problem, ProblemsFor } from "../lib/http/problem.ts";
import type { RuntimeReason } from "../lib/runtime/turn.ts";

type Reason = Schedule.Reason | RuntimeReason;

const faces: ProblemsFor<Reason> = {
  "not-found": { status: 404, title: "No such schedule" },
  "already-exists": { status: 409, title: "The schedule exists already" },
  "already-paused": { status: 409, title: "The schedule is paused already" },
  "not-paused": { status: 409, title: "The schedule is not paused" },
  "defined-in-code": {
    status: 409,
    title: "The schedule is defined in the code of the service",
    detail: "It is revised there; it can be paused here",
  },
  "never-due": {
    status: 422,
    title: "The schedule would never be due",
    errors: [{ path: ["cron"], message: "Must name a time that comes" }],
  },
  "version-mismatch": { status: 412, title: "The schedule has changed since it was read" },
  "idempotency-key-reused": {
    status: 422,
    title: "The Idempotency-Key belongs to another request",
  },
  "idempotency-key-in-progress": {
    status: 409,
    title: "The request under this Idempotency-Key is still running",
  },
};

const general: ReadonlySet<Reason> = new Set<RuntimeReason>([
  "version-mismatch",
  "idempotency-key-reused",
  "idempotency-key-in-progress",
]);

/** The stable type of the problem, and the problem. */
export function problemOf(reason: Reason): [type: string, problem: Problem] {
  const area = general.has(reason) ? "" : "schedule/";
  return [`/problems/${area}${reason}`, faces[reason]];
}
