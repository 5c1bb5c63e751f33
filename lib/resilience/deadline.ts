/**
 * An end to what might have none.
 *
 * @module
 */
import type { Env } from "../env.ts";

export interface DeadlineOptions {
  readonly env: Pick<Env, "sleep">;
  readonly ms: number;
  /** Ends it before that, with the reason of the signal. */
  readonly cancelled?: AbortSignal;
  /** What it fails with once it is late. */
  readonly late: () => Error;
}

/** Fails after `ms` whether or not `run` heeds the signal that it is given. */
export async function withinDeadline<T>(
  run: (signal: AbortSignal) => Promise<T>,
  { env, ms, late, cancelled = new AbortController().signal }: DeadlineOptions,
): Promise<T> {
  const over = new AbortController();
  const overdue = new AbortController();
  const lateness = env.sleep(ms, AbortSignal.any([over.signal, cancelled])).then(() => {
    const error = late();
    overdue.abort(error);
    throw error;
  });
  try {
    const signal = AbortSignal.any([overdue.signal, cancelled]);
    return await Promise.race([run(signal), lateness]);
  } finally {
    over.abort();
    lateness.catch(() => {/* the sleep was ended */});
  }
}
