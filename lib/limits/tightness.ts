/**
 * How much of each limit is granted while the service has more to do than it can: less, step by step,
 * and all of it again, more slowly, once it has not. Pure.
 *
 * Shedding refuses anybody; this has those wait who ask for most.
 *
 * @module
 */

/** Of every limit, from one step to the next. */
const SHARES = [1, 0.75, 0.5, 0.25] as const;
/** Between two steps down; the first comes at once. */
const TIGHTEN_MS = 1_000;
/** Without shedding before each step up. */
const RELAX_MS = 5_000;

export interface Tightness {
  /** How many steps down. */
  readonly steps: number;
  /** When that came to be, or when the service last shed, whichever was later. */
  readonly since: number;
}

export const relaxed: Tightness = { steps: 0, since: -Infinity };

export interface Seen {
  readonly isShedding: boolean;
  /** In milliseconds that never go back. */
  readonly at: number;
}

/** What follows from one more look at the service. However seldom one looks, it is one step at most. */
export function nextTightness(before: Tightness, { isShedding, at }: Seen): Tightness {
  const { steps, since } = before;
  if (isShedding) {
    const mayStep = steps === 0 || at - since >= TIGHTEN_MS;
    if (!mayStep) return before;
    return { steps: Math.min(SHARES.length - 1, steps + 1), since: at };
  }
  return steps > 0 && at - since >= RELAX_MS ? { steps: steps - 1, since: at } : before;
}

export function shareOf({ steps }: Tightness): number {
  return SHARES[steps]!;
}
