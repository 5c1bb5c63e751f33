/**
 * Repeats what a transient fault has interrupted.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { backoffMs } from "./backoff.ts";

export interface RetryOptions {
  readonly env: Env;
  /** No attempt starts later than this after the first. */
  readonly giveUpMs: number;
  readonly onFailure: (fault: TransientFault, retryInMs: number) => void;
}

/**
 * Runs `attempt` until it ends other than by a transient fault, or `giveUpMs` have passed.
 *
 * @throws {TransientFault} after the last attempt; its outcome is `unknown` if any attempt's was.
 */
export async function retryTransient<T>(
  attempt: () => Promise<T>,
  { env, giveUpMs, onFailure }: RetryOptions,
): Promise<T> {
  const startedAt = env.monotonic();
  let isUnknown = false;
  for (let failures = 1;; failures++) {
    try {
      return await attempt();
    } catch (fault) {
      if (!(fault instanceof TransientFault)) throw fault;
      isUnknown ||= fault.outcome === "unknown";
      const retryInMs = backoffMs(failures, env.random());
      onFailure(fault, retryInMs);
      if (env.monotonic() + retryInMs - startedAt > giveUpMs) {
        throw new TransientFault(`Gave up after ${failures} attempts: ${fault.message}`, {
          cause: fault,
          outcome: isUnknown ? "unknown" : "not-applied",
        });
      }
      await env.sleep(retryInMs);
    }
  }
}
