/** How actors say no over HTTP. */
import type { Context } from "hono";
import type { RuntimeReason } from "../runtime/turn.ts";
import { etagOf } from "./cause.ts";
import { type KnownProblem, type Problem, problemResponse, type ProblemsFor } from "./problem.ts";

export interface Refusals<Reason extends string> {
  /** The stable type of the problem, and the problem. */
  problemOf(reason: Reason | RuntimeReason): [type: string, problem: Problem];
  /** Those of these reasons, for the declaration of a route. */
  known(...reasons: readonly Reason[]): readonly KnownProblem[];
  /** The answer to a refused command; it tells the tag in force to whoever came with another. */
  refused(
    c: Context,
    refusal: { readonly reason: Reason | RuntimeReason; readonly version: number },
  ): Response;
}

/** What the runtime itself refuses, whatever the `thing` is. */
export function runtimeProblems(thing: string): ProblemsFor<RuntimeReason> {
  return {
    "version-mismatch": { status: 412, title: `The ${thing} has changed since it was read` },
    "idempotency-key-reused": {
      status: 422,
      title: "The Idempotency-Key belongs to another request",
    },
    "idempotency-key-in-progress": {
      status: 409,
      title: "The request under this Idempotency-Key is still running",
    },
  };
}

/**
 * The refusals of one kind of actor, and with them those of the runtime, which every kind has.
 *
 * `area` is part of the problem types, and so never changed; `thing` is how people call such an actor.
 */
export function refusals<Reason extends string>(
  area: string,
  thing: string,
  faces: ProblemsFor<Reason>,
): Refusals<Reason> {
  const general = runtimeProblems(thing);
  const isGeneral = (reason: string): reason is RuntimeReason => reason in general;
  const problemOf = (reason: Reason | RuntimeReason): [string, Problem] =>
    isGeneral(reason)
      ? [`/problems/${reason}`, general[reason]]
      : [`/problems/${area}/${reason}`, faces[reason]];
  return {
    problemOf,
    known: (...reasons) =>
      reasons.map((reason) => {
        const [type, problem] = problemOf(reason);
        return { type, problem };
      }),
    refused(c, { reason, version }) {
      const headers = reason === "version-mismatch" ? { ETag: etagOf(version) } : {};
      return problemResponse(c, ...problemOf(reason), headers);
    },
  };
}
