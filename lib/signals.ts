/** SIGTERM and SIGINT as a promise. */

// Windows knows no SIGTERM; SIGBREAK is what it sends in its place.
const SIGNALS: Readonly<Partial<Record<Deno.Signal, number>>> = Deno.build.os === "windows"
  ? { SIGINT: 2, SIGBREAK: 21 }
  : { SIGINT: 2, SIGTERM: 15 };

/**
 * Resolves with the first signal that asks the process to stop.
 *
 * A second one means that the orderly way takes too long: the process exits at once, with the
 * code that a shell gives to one killed by it. Call this once.
 */
export function shutdownRequested(): Promise<Deno.Signal> {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  let isRequested = false;
  for (const [signal, number] of Object.entries(SIGNALS) as [Deno.Signal, number][]) {
    Deno.addSignalListener(signal, () => {
      if (isRequested) Deno.exit(128 + number);
      isRequested = true;
      resolve(signal);
    });
  }
  return promise;
}
