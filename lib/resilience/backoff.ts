const FIRST_MS = 20;
const MOST_MS = 2_000;

/**
 * How long to wait after a failed attempt, counted from 1: doubling, with full jitter.
 *
 * `random` is uniform in [0, 1). See "Exponential Backoff and Jitter", AWS Architecture Blog, 2015;
 * half of the wait is kept fixed, so that a retry never follows at once.
 */
export function backoffMs(attempt: number, random: number): number {
  const most = Math.min(MOST_MS, FIRST_MS * 2 ** (attempt - 1));
  return most / 2 + (most / 2) * random;
}
