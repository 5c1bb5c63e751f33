/**
 * Ports for servers that a test stops and starts again.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";

/** Below those that the system deals out: no connection takes the port while nobody listens. */
const PORT_FIRST = 20_000;
const PORTS = 10_000;

/** One that nobody listens on. */
export function reservedPort(): number {
  for (;;) {
    const port = PORT_FIRST + Math.floor(systemEnv.random() * PORTS);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
