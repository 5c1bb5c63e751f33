/**
 * Chance that follows from what is drawn for, not from what was drawn before: to leave something out
 * changes nothing else.
 *
 * @module
 */
import type { CommitMishap, StatementError } from "./fault_plan.ts";

/** FNV-1a, 32 bits. */
export function hashOf(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let place = 0; place < text.length; place++) {
    hash = Math.imul(hash ^ text.charCodeAt(place), 0x01000193);
  }
  return hash >>> 0;
}

/** Mulberry32. */
export class Draws {
  /** What strikes in any case. */
  readonly strike: StatementError | CommitMishap | undefined;
  #state: number;

  constructor(seed: number, strike?: StatementError | CommitMishap) {
    this.#state = seed | 0;
    this.strike = strike;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  within([least, most]: readonly [number, number]): number {
    return least + (most - least) * this.next();
  }

  /** The first that comes up; each with its probability, together at most 1. */
  among<Name extends string>(chances: Partial<Record<Name, number>>): Name | undefined {
    let left = this.next();
    for (const name in chances) {
      left -= chances[name] ?? 0;
      if (left < 0) return name;
    }
    return undefined;
  }
}
