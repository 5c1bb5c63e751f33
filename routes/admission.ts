/**
 * Who is let in: the first thing that becomes of a request, and for those who are refused the last.
 *
 * @module
 */
import type { Hono } from "hono";
import { getPath } from "hono/utils/url";
import type { Arrival } from "../lib/http/arrival.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { classOfOperation, type FindOperation } from "../lib/http/operation.ts";
import { SERVICE_MODE } from "../lib/http/problem.ts";
import type { RequestClass } from "../lib/resilience/load_gauge.ts";
import type { NodeState } from "../lib/runtime/node_state.ts";

export interface AdmissionOptions {
  readonly state: NodeState;
  readonly operationOf: FindOperation;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Has the app refuse what it cannot or had better not serve, before it looks at anything but the
 * method and the path.
 */
export function admitting(app: Hono<CallerEnv>, options: AdmissionOptions): void {
  const { state: { mode, gauge } } = options;
  const classOf = classFinder(options.operationOf);
  const { fetch } = app;
  app.fetch = (request, arrival, execution) => {
    if (mode.mode !== "normal" || !gauge.isCalm) {
      const refusal = refusalOf(classOf(request), options, arrival as Arrival);
      if (refusal !== undefined) return refusal;
    }
    return fetch(request, arrival, execution);
  };
}

const reading = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Tells the class of a request: what each route is to the service when there is not enough of it for
 * everybody, however its path is spelled. What is no route of these is most likely not there, which
 * costs little to say.
 */
export function classFinder(operationOf: FindOperation) {
  return (request: Request): RequestClass => {
    const { method } = request;
    const operation = operationOf(method, getPath(request));
    if (operation !== undefined) return classOfOperation(operation);
    return reading.has(method) ? "read" : "command";
  };
}

function refusalOf(
  requestClass: RequestClass,
  { state, random }: AdmissionOptions,
  arrival: Arrival | undefined,
): Response | undefined {
  const { isDatabaseAway, isWritingRefused } = state.mode.conditions;
  const isHopeless = isDatabaseAway
    ? requestClass !== "read" && requestClass !== "operator"
    : isWritingRefused && requestClass === "command";
  const refused = (retryAfter: string) =>
    new Response(body, {
      status: 503,
      headers: {
        ...arrival?.headers,
        "content-type": "application/problem+json",
        "Retry-After": retryAfter,
        [SERVICE_MODE]: state.mode.mode,
      },
    });
  if (isHopeless) return refused(secondsOf(state.writableInMs));
  if (state.gauge.admits(requestClass)) return undefined;
  state.shed(requestClass);
  // Spread, so that they do not all come back together.
  return refused(String(1 + Math.floor(RETRY_SECONDS * random())));
}

const RETRY_SECONDS = 4;

/** As in `problem.ts`, but for what only a look at the whole request would tell. */
const body = JSON.stringify({
  type: "/problems/unavailable",
  status: 503,
  title: "Try again shortly",
});

function secondsOf(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)));
}
