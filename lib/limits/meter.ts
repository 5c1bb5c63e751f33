/**
 * What was asked by one subject under one quota, counted exactly. Times are whole milliseconds that
 * never go back.
 *
 * `limit_script.ts` says the same in Lua, and a test holds that both always agree.
 *
 * @module
 */
import type { Algorithm, Quota } from "../quotas.ts";

export interface Standing {
  /** How many more would be admitted now. */
  readonly remaining: number;
  /** Until one more than that would be; 0 where nothing was asked. */
  readonly moreInMs: number;
}

/** The limit of the quota may be another each time: what was asked before stays asked. */
export interface Meter {
  admits(quota: Quota, now: number): boolean;
  /** Counts one, whether or not it was admitted here. */
  spend(quota: Quota, now: number): void;
  standing(quota: Quota, now: number): Standing;
}

export function newMeter(algorithm: Algorithm): Meter {
  return algorithm === "window" ? new SlidingWindow() : new TokenBucket();
}

/** Remembers when each was admitted, as long as that counts. */
class SlidingWindow implements Meter {
  #times: number[] = [];
  /** Those before it have been forgotten. */
  #first = 0;

  admits(quota: Quota, now: number): boolean {
    this.#forget(quota, now);
    return this.#count < quota.limit;
  }

  spend(quota: Quota, now: number): void {
    this.#forget(quota, now);
    this.#times.push(now);
  }

  standing(quota: Quota, now: number): Standing {
    this.#forget(quota, now);
    const { limit, windowMs } = quota;
    const count = this.#count;
    if (count === 0) return { remaining: limit, moreInMs: 0 };
    const next = this.#times[this.#first + Math.max(0, count - limit)]!;
    return { remaining: Math.max(0, limit - count), moreInMs: next + windowMs + 1 - now };
  }

  get #count(): number {
    return this.#times.length - this.#first;
  }

  /** A millisecond counts as long as any part of it may. */
  #forget({ windowMs }: Quota, now: number): void {
    const times = this.#times;
    while (this.#first < times.length && times[this.#first]! < now - windowMs) this.#first++;
    if (this.#first * 2 > times.length) {
      times.splice(0, this.#first);
      this.#first = 0;
    }
  }
}

/**
 * Counts in parts of a request, of which each has as many as its time has milliseconds: then as many
 * drain in one millisecond as the limit says, and nothing is ever rounded.
 */
class TokenBucket implements Meter {
  #used = 0;
  #at = 0;

  admits(quota: Quota, now: number): boolean {
    return this.#usedBy(quota, now) + quota.windowMs <= quota.limit * quota.windowMs;
  }

  spend(quota: Quota, now: number): void {
    this.#used = this.#usedBy(quota, now) + quota.windowMs;
    this.#at = now;
  }

  standing(quota: Quota, now: number): Standing {
    const { limit, windowMs } = quota;
    const used = this.#usedBy(quota, now);
    const remaining = Math.max(0, Math.floor((limit * windowMs - used) / windowMs));
    const tooMuch = used - (limit - remaining - 1) * windowMs;
    return { remaining, moreInMs: used === 0 ? 0 : Math.ceil(tooMuch / limit) };
  }

  #usedBy({ limit }: Quota, now: number): number {
    return Math.max(0, this.#used - (now - this.#at) * limit);
  }
}
