/**
 * Whether this process lives, and whether it can serve.
 *
 * @module
 */
import { Hono } from "hono";
import { answer } from "../lib/http/answer.ts";

export interface Readiness {
  readonly isReady: boolean;
  /** For whoever runs the service: stores, their settings, what is amiss. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** `/live` answers while the loop turns; `/ready` is 503 while requests had better go elsewhere. */
export function health(readiness: () => Promise<Readiness>): Hono {
  return new Hono()
    .get("/live", (c) => answer(c, 200, { status: "live" }))
    .get("/ready", async (c) => {
      const { isReady, details } = await readiness();
      return answer(c, isReady ? 200 : 503, {
        status: isReady ? "ready" : "unavailable",
        ...details,
      });
    });
}
