/**
 * Who is let in: the first thing that becomes of a request, and for those who are refused the last.
 *
 * @module
 */
import type { Hono } from "hono";
import type { Arrival } from "../lib/http/arrival.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { SERVICE_MODE } from "../lib/http/problem.ts";
import type { NodeState } from "../lib/runtime/node_state.ts";
import { classOf } from "./classes.ts";

export interface AdmissionOptions {
  readonly state: NodeState;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Has the app refuse what it cannot or had better not serve, before it looks at anything but the
 * method and the path; and say on every reply in which mode the service is.
 */
export function admitting(app: Hono<CallerEnv>, options: AdmissionOptions): void {
  const { state: { mode, gauge } } = options;
  const { fetch } = app;
  app.fetch = (request, arrival, ...rest) => {
    if (mode.mode !== "normal" || !gauge.isCalm) {
      const refusal = refusalOf(request, options);
      if (refusal !== undefined) return refusal;
    }
    const { peer } = (arrival ?? {}) as Arrival;
    return fetch(request, { ...(peer && { peer }), service: mode }, ...rest);
  };
}

function refusalOf(
  { method, url }: Request,
  { state, random }: AdmissionOptions,
): Response | undefined {
  const { isDatabaseAway, isWritingRefused } = state.mode.conditions;
  const requestClass = classOf(method, pathOf(url));
  const isHopeless = isDatabaseAway
    ? requestClass !== "read" && requestClass !== "operator"
    : isWritingRefused && requestClass === "command";
  if (isHopeless) return refused(state.mode.mode, secondsOf(state.writableInMs));
  if (state.gauge.admits(requestClass)) return undefined;
  state.shed(requestClass);
  // Spread, so that they do not all come back together.
  return refused(state.mode.mode, String(1 + Math.floor(RETRY_SECONDS * random())));
}

const RETRY_SECONDS = 4;

/** As in `problem.ts`, but for what only a look at the whole request would tell. */
const body = JSON.stringify({
  type: "/problems/unavailable",
  status: 503,
  title: "Try again shortly",
});

function refused(mode: string, retryAfter: string): Response {
  return new Response(body, {
    status: 503,
    headers: {
      "content-type": "application/problem+json",
      "retry-after": retryAfter,
      [SERVICE_MODE]: mode,
    },
  });
}

function secondsOf(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)));
}

/** Without what a full parser would cost. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  if (start < 0) return "/";
  const end = url.indexOf("?", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}
