/**
 * Drops remembered replies once nobody can expect them any more.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { Observe } from "./observe.ts";
import type { Store } from "./store.ts";

export interface HousekeepingOptions {
  readonly env: Env;
  readonly store: Store;
  readonly observe: Observe;
  /** How long a reply is remembered. */
  readonly replyRetentionMs: number;
  readonly everyMs?: number;
}

const EVERY_MS = 10 * 60_000;
/** Rows of one deletion: few enough that it holds nobody up. */
const DELETE_MAX = 5_000;

/** Runs until disposed. Several nodes may: what one has dropped, the next does not find. */
export function startHousekeeping(options: HousekeepingOptions): AsyncDisposable {
  const stopped = new AbortController();
  const ended = keepHouse(options, stopped.signal);
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await ended;
    },
  };
}

async function keepHouse(options: HousekeepingOptions, stopped: AbortSignal): Promise<void> {
  const { env, store, observe, replyRetentionMs, everyMs = EVERY_MS } = options;
  while (!stopped.aborted) {
    try {
      await env.sleep(everyMs, stopped);
      const before = env.now() - replyRetentionMs;
      while (!stopped.aborted && await store.forgetReplies(before, DELETE_MAX) === DELETE_MAX);
    } catch (error) {
      if (stopped.aborted) return;
      observe({ type: "maintenance-failed", task: "forget-replies", error });
    }
  }
}
