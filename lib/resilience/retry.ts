/**
 * Repeats what a transient fault has interrupted.
 *
 * cockatiel has retries too. These run on `Env`, so that a seed replays them, know of outcomes that
 * are unknown, and share a budget.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { type Backoff, backoffMs } from "./backoff.ts";
import type { RetryBudget } from "./retry_budget.ts";

export interface RetryPolicy {
  /** Names the kind of work. */
  readonly operation: string;
  /** No attempt starts later than this after the first. */
  readonly giveUpMs: number;
  readonly attemptsMax?: number;
  readonly backoff?: Backoff;
  /** Waits for an open breaker, rather than giving up at once: nobody waits for the answer. */
  readonly isPatient?: boolean;
}

/** How each kind of work with the store is repeated. */
export const retryPolicies = {
  /** A batch of turns. Callers wait for it. */
  commit: { operation: "commit", giveUpMs: 5_000 },
  /** To bring an actor into memory. Callers wait, and it may be one of very many. */
  load: { operation: "load", giveUpMs: 1_000, attemptsMax: 3 },
  /** A list or the like: a session that was cut, seldom more. */
  query: { operation: "query", giveUpMs: 1_000, attemptsMax: 2 },
  /** To claim messages or jobs, and to record what became of them. Leases bound it as well. */
  lease: { operation: "lease", giveUpMs: 5_000, isPatient: true },
  /** What has to be there before the service is of use. */
  start: { operation: "start", giveUpMs: 30_000, isPatient: true },
} as const satisfies Record<string, RetryPolicy>;

export interface RetryOptions extends RetryPolicy {
  readonly env: Env;
  /** Without one, only the policy limits retries. */
  readonly budget?: RetryBudget | undefined;
  readonly onFailure: (fault: TransientFault, retryInMs: number) => void;
}

/**
 * Runs `attempt` until it ends other than by a transient fault, or the policy or the budget says that
 * it is enough. What a breaker refuses is given up at once, unless the policy is patient.
 *
 * Once an outcome is unknown, further attempts ask what it was. They are neither counted nor paid
 * for: `giveUpMs` alone ends them.
 *
 * @throws {TransientFault} after the last attempt; its outcome is `unknown` if any attempt's was.
 */
export async function retryTransient<T>(
  attempt: () => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const { env, giveUpMs, backoff, budget, onFailure } = options;
  const startedAt = env.monotonic();
  let isUnknown = false;
  budget?.attempted();
  for (let failures = 1;; failures++) {
    try {
      return await attempt();
    } catch (fault) {
      if (!(fault instanceof TransientFault)) throw fault;
      isUnknown ||= fault.outcome === "unknown";
      const retryInMs = backoffMs(failures, env.random(), backoff);
      onFailure(fault, retryInMs);
      const isLate = env.monotonic() + retryInMs - startedAt > giveUpMs;
      if (isLate || !isUnknown && isEnough(fault, failures, options)) {
        throw givenUp(fault, failures, isUnknown);
      }
      await env.sleep(retryInMs);
    }
  }
}

function isEnough(
  fault: TransientFault,
  failures: number,
  { operation, attemptsMax = Infinity, isPatient = false, budget }: RetryOptions,
): boolean {
  // What was not tried costs nobody anything.
  if (fault.isRefusal) return !isPatient;
  return failures >= attemptsMax || budget?.spend(operation) === false;
}

function givenUp(
  fault: TransientFault,
  failures: number,
  isUnknown: boolean,
): TransientFault {
  if (fault.isRefusal && !isUnknown) return fault;
  return new TransientFault(`Gave up after ${failures} attempts: ${fault.message}`, {
    cause: fault,
    outcome: isUnknown ? "unknown" : "not-applied",
    retryAfterMs: fault.retryAfterMs,
  });
}
