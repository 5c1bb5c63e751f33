/**
 * Which pages of other origins may call the service from a browser, and read what it answers.
 *
 * Nobody is known by a cookie here, so no credentials are ever allowed along: whoever calls has a
 * token to show, or is nobody.
 *
 * @module
 */
import type { AnswerHeaders } from "./problem.ts";

/** Beyond those that any page may send. */
const SENT = [
  "Authorization",
  "Cache-Control",
  "Consistency-Token",
  "Content-Type",
  "Idempotency-Key",
  "If-Match",
  "X-Correlation-Id",
].join(", ");

/** Beyond those that any page may read. */
const EXPOSED = [
  "Age",
  "Consistency-Token",
  "ETag",
  "Location",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "Service-Mode",
  "WWW-Authenticate",
  "X-Correlation-Id",
].join(", ");

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";
/** How long a browser need not ask again; none remembers it for longer than two hours. */
const PREFLIGHT_SECONDS = 7_200;

/** Said even of what is for nobody: otherwise a cache gives one origin the answer to another. */
export const VARY: AnswerHeaders = { Vary: "Origin" };

/** What makes an answer readable for that origin. */
export function readableBy(origin: string): AnswerHeaders {
  return {
    ...VARY,
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Expose-Headers": EXPOSED,
  };
}

/** Beside the headers above, what answers a browser that asks before it sends. */
export const preflight: AnswerHeaders = {
  "Access-Control-Allow-Methods": METHODS,
  "Access-Control-Allow-Headers": SENT,
  "Access-Control-Max-Age": String(PREFLIGHT_SECONDS),
};

export function isPreflight({ method, headers }: Request): boolean {
  return method === "OPTIONS" && headers.has("origin") &&
    headers.has("access-control-request-method");
}
