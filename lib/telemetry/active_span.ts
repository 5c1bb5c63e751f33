/** The span that the server has open for the request in hand. */
import { isSpanContextValid, trace } from "@opentelemetry/api";

/** Names this service's own spans and metrics apart from those of the platform. */
export const SCOPE = "troupe";

/** Whether anything takes what is measured. It does not change while a process runs. */
export function isTelemetryOn(): boolean {
  // Without a provider, spans have no id. This one is never ended, and so never exported.
  return isSpanContextValid(trace.getTracer(SCOPE).startSpan("probe").spanContext());
}

/** The W3C trace context of the span in progress, for whoever continues its trace. */
export function activeTraceparent(): string | undefined {
  const span = trace.getActiveSpan()?.spanContext();
  if (span === undefined || !isSpanContextValid(span)) return undefined;
  const flags = span.traceFlags.toString(16).padStart(2, "0");
  return `00-${span.traceId}-${span.spanId}-${flags}`;
}

/** Gives the span in progress the route for a name: the platform knows only the method. */
export function nameActiveSpan(method: string, route: string): void {
  const span = trace.getActiveSpan();
  span?.setAttribute("http.route", route);
  span?.updateName(`${method} ${route}`);
}
