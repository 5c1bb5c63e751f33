import type { Env } from "../env.ts";

/** Waits for `ms`, or until the signal is aborted; false if that came first. */
export async function pause(
  env: Pick<Env, "sleep">,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (signal.aborted) return false;
  try {
    await env.sleep(ms, signal);
    return true;
  } catch (reason) {
    if (reason !== signal.reason) throw reason;
    return false;
  }
}
