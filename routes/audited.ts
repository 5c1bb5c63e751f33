/**
 * How routes have it kept what administrators do, and what concerns the security of the service.
 *
 * @module
 */
import type { Context } from "hono";
import { TransientFault } from "../lib/fault.ts";
import { arrivalOf } from "../lib/http/arrival.ts";
import { type Caller, nobody } from "../lib/http/caller.ts";
import { clientAddress } from "../lib/http/client_address.ts";
import type { Shared } from "../lib/http/operation.ts";
import { ProblemError } from "../lib/http/problem.ts";
import type { Audit, AuditEntry, AuditOutcome } from "../lib/runtime/audit.ts";
import type { Operator } from "../lib/runtime/outbox.ts";

/** What is done. Parse the request before: what makes no sense is no act. */
export interface Act {
  /** In two words. */
  readonly act: string;
  /** What it is done to, as `sort/name`. */
  readonly subject: string;
  /** No secrets, and of people only ids: it is kept for ever. */
  readonly detail?: AuditEntry["detail"];
  /** Who does it, where no token says so, as at a login; otherwise the caller. */
  readonly by?: string;
  /** Otherwise it follows from the answer. */
  readonly outcome?: AuditOutcome;
}

/** Says more of an act, or something else, once it is known: the id of what it made, who it was. */
export type Say = (more: Partial<Act>) => void;

/**
 * Does it, and keeps that: who, what, on what, from where, under which correlation id, and how it
 * ended. An answer below 400 is `done`, one below 500 `refused`, and from there on it has `failed`.
 *
 * What was done and cannot be kept is answered as if nobody knew whether it was done: a repetition
 * under the same `Idempotency-Key` gets the answer, and is kept.
 *
 * @throws {TransientFault} in that case; and whatever `does` throws.
 */
export async function audited(
  c: Context,
  audit: Audit,
  act: Act,
  does: (say: Say) => Response | Promise<Response>,
): Promise<Response> {
  let said = act;
  const say: Say = (more) => void (said = { ...said, ...more });
  let answer: Response;
  try {
    answer = await does(say);
  } catch (error) {
    // What went wrong first is what the caller hears of: it may be why nothing can be kept either.
    await record(c, audit, { outcome: outcomeOfThrown(error), ...said }).catch(() => {});
    throw error;
  }
  const outcome = outcomeOf(answer.status);
  await record(c, audit, { outcome, ...said }).catch((cause) => {
    if (!(cause instanceof TransientFault) || outcome !== "done") throw cause;
    const { retryAfterMs } = cause;
    const options = { cause, retryAfterMs, outcome: "unknown" } as const;
    throw new TransientFault(`Cannot keep that this was done: ${act.act}`, options);
  });
  return answer;
}

/** Keeps what only administrators may do, as its route declares it: done or refused. */
export function auditedActs(audit: Audit): NonNullable<Shared["audited"]> {
  return (c, { name: act, on }, does, params) => {
    const keys = Object.values(params ?? {});
    const subject = keys.length > 0 ? `${on}/${keys.join("/")}` : `${on}/*`;
    return audited(c, audit, { act, subject }, async (say) => {
      const answer = await does();
      const made = answer.headers.get("location");
      if (keys.length === 0 && made !== null) {
        say({ subject: `${on}/${made.slice(made.lastIndexOf("/") + 1)}` });
      }
      return answer;
    });
  };
}

/**
 * Keeps an act that is done at once thereafter and cannot fail, `done` unless it says otherwise.
 *
 * @throws {TransientFault} when it cannot be kept; then it is not to be done.
 */
export async function record(c: Context, audit: Audit, said: Act): Promise<void> {
  const { by, outcome = "done", detail = {}, act, subject } = said;
  const operator = operatorOf(c);
  const entry = { act, subject, outcome, detail };
  await audit.record(entry, by === undefined ? operator : { ...operator, id: by });
}

/** The caller as it is kept beside what it does. */
export function operatorOf(c: Context): Operator {
  const caller: Pick<Caller, "principal" | "correlationId"> | undefined = c.get("caller");
  const from = arrivalOf(c).peer === undefined ? undefined : clientAddress(c);
  return {
    id: caller?.principal.id ?? nobody.principal.id,
    ...(from !== undefined && { from }),
    ...(caller !== undefined && { correlationId: caller.correlationId }),
  };
}

function outcomeOf(status: number): AuditOutcome {
  if (status < 400) return "done";
  return status < 500 ? "refused" : "failed";
}

function outcomeOfThrown(error: unknown): AuditOutcome {
  return error instanceof ProblemError ? outcomeOf(error.problem.status) : "failed";
}
