/**
 * A sequential stream of chance: only to make plans with, as nothing is left out of those yet.
 *
 * @module
 */
import { mixed, mulberry32 } from "../support/seeded.ts";

export class Dice {
  readonly #random: () => number;

  /** What is drawn for one thing, told by its number, leaves what is drawn for others as it is. */
  constructor(seed: number, purpose: number) {
    this.#random = mulberry32(mixed(seed, purpose));
  }

  happens(probability: number): boolean {
    return this.#random() < probability;
  }

  /** An integer; both ends are included. */
  from(least: number, most: number): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  one<T>(of: readonly T[]): T {
    return of[this.from(0, of.length - 1)]!;
  }

  /** None at all in many runs; in others, up to `most`. */
  some<T>(most: number, make: () => T): T[] {
    if (this.happens(0.5)) return [];
    return Array.from({ length: this.from(1, most) }, make);
  }

  /** The heavier, the more often. */
  weighed<T>(weights: ReadonlyMap<T, number>): T {
    let left = this.from(1, [...weights.values()].reduce((sum, one) => sum + one));
    for (const [each, weight] of weights) {
      left -= weight;
      if (left <= 0) return each;
    }
    throw new Error("More was drawn than there is");
  }
}
