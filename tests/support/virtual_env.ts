/**
 * The impure world of a test: time stands still until it is advanced, and chance follows a seed.
 *
 * @module
 */
import type { Env } from "../../lib/env.ts";
import { AT } from "./given.ts";
import { countedUuid, mulberry32 } from "./seeded.ts";

interface Sleeper {
  /** In monotonic milliseconds. */
  readonly due: number;
  readonly wake: () => void;
}

/** How often nothing more may have come up before the world counts as settled. */
const QUIET_ROUNDS = 2;

export class VirtualEnv implements Env {
  /** Follows the seed. */
  readonly random: () => number;
  #elapsed = 0;
  #ids = 0;
  /** The soonest first; of those due together, the one that lay down first. */
  #sleepers: Sleeper[] = [];
  #tasks: (() => void)[] = [];

  constructor(seed = 1) {
    this.random = mulberry32(seed);
  }

  /** Sleeps that nobody has ended yet. */
  get sleepers(): number {
    return this.#sleepers.length;
  }

  now(): number {
    return AT + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  /** Counts where a real one is random, so that order within one millisecond holds as well. */
  uuid(): string {
    return countedUuid(this.now(), ++this.#ids);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal!.reason);
      };
      const wake = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      const sleeper = { due: this.#elapsed + ms, wake };
      const later = this.#sleepers.findIndex(({ due }) => due > sleeper.due);
      this.#sleepers.splice(later < 0 ? this.#sleepers.length : later, 0, sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** All that was asked for by then runs at once, in order: nothing else comes from outside. */
  soon(task: () => void): void {
    this.#tasks.push(task);
    if (this.#tasks.length === 1) setImmediate(() => this.#runTasks());
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_ROUNDS;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      quiet = this.#tasks.length > 0 ? 0 : quiet + 1;
    }
  }

  /** Ends the sleeps that are due by then, one by one, each with all that follows from it. */
  async advance(ms: number): Promise<void> {
    const until = this.#elapsed + ms;
    await this.settle();
    for (let next = this.#sleepers[0]; next && next.due <= until; next = this.#sleepers[0]) {
      this.#sleepers.shift();
      this.#elapsed = next.due;
      next.wake();
      await this.settle();
    }
    this.#elapsed = until;
  }

  /** Advances from sleep to sleep until the promise is settled, and gives what it gives. */
  async until<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let isPending = true;
    const settled = () => void (isPending = false);
    promise.then(settled, settled);
    const limit = this.#elapsed + withinMs;
    await this.settle();
    while (isPending) {
      const due = this.#sleepers[0]?.due ?? Infinity;
      if (due > limit) throw new Error(`Still pending after ${withinMs} ms`);
      await this.advance(due - this.#elapsed);
    }
    return await promise;
  }

  #runTasks(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) task();
  }
}
