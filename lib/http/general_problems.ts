/**
 * What no route declares, as it is said to any such request: at the door, while a request is read,
 * or because something cannot be done now.
 *
 * @module
 */
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Operation } from "./operation.ts";
import type { KnownProblem } from "./problem.ts";
import { tooManyRequests } from "./rate_limited.ts";
import { runtimeProblems } from "./refusals.ts";

function known(type: string, status: ContentfulStatusCode, title: string): KnownProblem {
  return { type, problem: { status, title } };
}

const ofAny = [
  known("/problems/invalid-request", 400, "The request is not valid"),
  known("/problems/https-required", 403, "Use HTTPS"),
  known("/problems/origin-not-allowed", 403, "Pages of this origin may not call the service"),
  known("/problems/misdirected", 421, "The service is not reached under this name"),
  known("about:blank", 500, "Internal Server Error"),
  known("/problems/unavailable", 503, "Try again shortly"),
];

const ofAuthorized = [
  known("/problems/unauthenticated", 401, "A valid bearer token is required"),
  known("/problems/forbidden", 403, "This is not the caller's to do"),
];

const ofLimited = [tooManyRequests];

const ofCommands = [
  known("/problems/body-too-slow", 408, "The body took too long to arrive"),
  known("/problems/body-too-large", 413, "The body is too large"),
  known(
    "/problems/unsupported-media-type",
    415,
    "The body is in a form that this service does not read",
  ),
  known("/problems/outcome-unknown", 504, "The request may have taken effect"),
];

const ofProjections = [
  known("/problems/not-yet-consistent", 503, "The list does not show that write yet"),
];

const { "version-mismatch": mismatch, ...ofKeys } = runtimeProblems("thing");

/** What an `If-Match` may be answered with wherever it is sent, also where nothing is changed. */
const ofTagged = [{ type: "/problems/version-mismatch", problem: mismatch }];

const ofKeyed = Object.entries(ofKeys)
  .map(([reason, problem]) => ({ type: `/problems/${reason}`, problem }));

/** Those that an operation may be answered with beside its own. */
export function generalProblems(
  { access, asks, limit, method }: Operation,
): readonly KnownProblem[] {
  return [
    ...ofAny,
    ...(access === "anyone" ? [] : [...ofAuthorized, ...ofTagged]),
    ...(limit === null ? [] : ofLimited),
    ...(method === "get" ? [] : ofCommands),
    ...(asks === "projection" ? ofProjections : []),
    ...(asks === "actor" && method !== "get" ? ofKeyed : []),
  ];
}
