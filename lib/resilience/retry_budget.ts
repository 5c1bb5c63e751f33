/**
 * How many retries a process may make for all the work that it does.
 *
 * Retries keep a service well while one call in a hundred fails, and finish off what it depends on
 * while one in two does: then each adds to the load that made it fail. So they are paid for by first
 * attempts, ten for one, as in Finagle's `RetryBudget`.
 *
 * @module
 */
import type { Env } from "../env.ts";

export interface RetryBudgetLimits {
  /** What a first attempt pays in, in retries. */
  readonly perAttempt: number;
  /** Paid in every second, for those who try seldom. */
  readonly perSecond: number;
  /** More is not saved up. */
  readonly savedMax: number;
}

const defaultLimits: RetryBudgetLimits = { perAttempt: 0.1, perSecond: 5, savedMax: 100 };

export interface RetryBudgetStanding {
  /** Retries that may be made at once. */
  readonly left: number;
  /** Retries that were not made, since it was constructed. */
  readonly refused: number;
}

export class RetryBudget {
  readonly #env: Pick<Env, "monotonic">;
  readonly #limits: RetryBudgetLimits;
  #saved: number;
  #countedAt: number;
  readonly #listeners: ((operation: string) => void)[] = [];
  #refused = 0;

  constructor(env: Pick<Env, "monotonic">, limits: Partial<RetryBudgetLimits> = {}) {
    this.#env = env;
    this.#limits = { ...defaultLimits, ...limits };
    this.#saved = this.#limits.savedMax;
    this.#countedAt = env.monotonic();
  }

  /** Hears of every retry that is not made; must not throw. */
  onRefused(listener: (operation: string) => void): void {
    this.#listeners.push(listener);
  }

  /** Something is tried for the first time. */
  attempted(): void {
    this.#pay(this.#limits.perAttempt);
  }

  /** Whether it may be tried once more. */
  spend(operation: string): boolean {
    const now = this.#env.monotonic();
    this.#pay(this.#limits.perSecond * (now - this.#countedAt) / 1_000);
    this.#countedAt = now;
    if (this.#saved >= 1) {
      this.#saved--;
      return true;
    }
    this.#refused++;
    for (const tell of this.#listeners) tell(operation);
    return false;
  }

  standing(): RetryBudgetStanding {
    return { left: Math.floor(this.#saved), refused: this.#refused };
  }

  #pay(retries: number): void {
    this.#saved = Math.min(this.#limits.savedMax, this.#saved + retries);
  }
}
