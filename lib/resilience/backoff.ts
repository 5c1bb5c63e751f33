export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

const quick: Backoff = { firstMs: 20, mostMs: 2_000 };

/**
 * How long to wait after a failed attempt, counted from 1: doubling, with full jitter.
 *
 * `random` is uniform in [0, 1). See "Exponential Backoff and Jitter", AWS Architecture Blog, 2015;
 * half of the wait is kept fixed, so that a retry never follows at once.
 */
export function backoffMs(
  attempt: number,
  random: number,
  { firstMs, mostMs }: Backoff = quick,
): number {
  const most = Math.min(mostMs, firstMs * 2 ** (attempt - 1));
  return most / 2 + (most / 2) * random;
}
