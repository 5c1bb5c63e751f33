/** A service in small: answers one traced request, tells of its turn, and ends. */
import { Hono } from "hono";
import { systemEnv } from "../../../lib/env.ts";
import { connectionServer } from "../../../lib/http/connection_server.ts";
import { GuardedServer } from "../../../lib/http/guarded_server.ts";
import { routed } from "../../../lib/http/routed.ts";
import type { HandledMessage } from "../../../lib/runtime/observe.ts";
import { activeTraceparent, nameActiveSpan } from "../../../lib/telemetry/active_span.ts";
import { otelObserver } from "../../../lib/telemetry/otel_observer.ts";

const observe = otelObserver(systemEnv);
if (observe === undefined) {
  console.log("off");
  Deno.exit(0);
}

const address = { kind: "live_event", key: "7" };

function handled(traceparent: string | undefined): HandledMessage {
  const envelope = {
    address,
    command: {},
    messageId: "0190a5c0-7b1e-7000-8000-000000000001",
    correlationId: "0190a5c0-7b1e-7000-8000-000000000002",
    causationId: "0190a5c0-7b1e-7000-8000-000000000001",
    principal: { id: "alice", roles: [] },
    deadline: 0,
    ...(traceparent !== undefined && { traceparent }),
  };
  const receivedAt = systemEnv.monotonic() - 50;
  return { envelope, outcome: "rejected", reason: "sold-out", receivedAt };
}

let traceparent: string | undefined;

const app = new Hono()
  .use(routed(nameActiveSpan))
  .get("/events/:id", (c) => {
    traceparent = activeTraceparent();
    // Told while a span is open that it has nothing to do with.
    observe({ type: "commit", actors: 3, events: 5, replies: 0, conflicts: 0, durationMs: 8 });
    return c.text("ok");
  });

const server = new GuardedServer({ hostname: "127.0.0.1", port: 0 }, {
  serveConnection: connectionServer()!,
  handle: (request, peer) => app.fetch(request, { peer }),
  onError: () => new Response(null, { status: 500 }),
  bounds: {
    connectionsMax: 10,
    perAddressMax: 10,
    headMs: 10_000,
    idleMs: 10_000,
    requestMs: 10_000,
    closingMs: 1_000,
  },
  env: systemEnv,
  observe,
});
const response = await fetch(`http://127.0.0.1:${server.addr.port}/events/7`);
console.log(await response.text());
await server[Symbol.asyncDispose]();

// Told where no span is open, as turns end in nobody's name: only the message leads to its sender.
const unsampled = handled(traceparent?.replace(/01$/, "00"));
const messages = [handled(traceparent), handled(undefined), unsampled];
const endedAt = systemEnv.monotonic();
const startedAt = endedAt - 20;
observe({ type: "turn", address, messages, attempts: 2, startedAt, endedAt });
observe({ type: "conflict", address });
const subject = { is: "actor", address } as const;
observe({ type: "quarantined", subject, error: new Error("boom"), forMs: 60_000, held: 2 });
observe({ type: "released", subject, because: "operator", held: 1 });
