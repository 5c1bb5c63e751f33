/**
 * Whether this process lives, and whether it can serve.
 *
 * @module
 */
import { Hono } from "hono";

export interface Readiness {
  readonly isReady: boolean;
  /** For whoever runs the service: stores, their settings, what is amiss. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** `/live` answers while the loop turns; `/ready` is 503 while requests had better go elsewhere. */
export function health(readiness: () => Promise<Readiness>): Hono {
  return new Hono()
    .get("/live", (c) => c.json({ status: "live" }))
    .get("/ready", async (c) => {
      const { isReady, details } = await readiness();
      return c.json({ status: isReady ? "ready" : "unavailable", ...details }, isReady ? 200 : 503);
    });
}
