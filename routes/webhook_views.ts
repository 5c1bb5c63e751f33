/** How webhook endpoints are shown. */
import * as WebhookEndpoint from "../actors/webhook_endpoint/aggregate.ts";
import type { listEndpoints } from "../actors/webhook_endpoint/projection.ts";
import { withoutNulls } from "../lib/http/answer.ts";
import type { LaneStanding } from "../lib/runtime/outbox.ts";
import type { Accepted } from "../lib/runtime/turn.ts";

type Happened = Accepted<WebhookEndpoint.State, WebhookEndpoint.Event>;

export function endpointView(id: string, state: WebhookEndpoint.State, version: number) {
  return { id, ...WebhookEndpoint.details(state), version };
}

export function viewOf(id: string) {
  return ({ state, version }: Happened) => endpointView(id, state, version);
}

export function withSecret(id: string) {
  return ({ state, version }: Happened) => {
    return { ...endpointView(id, state, version), secret: state.secret };
  };
}

/** The lane is the breaker: while it rests, nothing is sent; then one message tries the way. */
export function standingView({ waiting, attempts, restMs }: LaneStanding, now: number) {
  const isResting = restMs > 0;
  const breaker = attempts === 0 ? "closed" : isResting ? "open" : "half-open";
  return {
    breaker,
    failedAttempts: attempts,
    ...(isResting && { nextAttemptAt: new Date(now + restMs).toISOString() }),
    waiting,
  };
}

export function listed(row: Awaited<ReturnType<typeof listEndpoints>>[number]) {
  return { ...withoutNulls(row), version: Number(row.version) };
}
