/**
 * What each route is to the service when there is not enough of it for everybody.
 *
 * @module
 */
import type { RequestClass } from "../lib/resilience/load_gauge.ts";

/**
 * The first pattern that fits decides on what is read; whatever changes something is a command,
 * unless it is for operators. `tests/routes/classes_test.ts` holds that every route has its line.
 */
const classes: readonly (readonly [RequestClass, RegExp])[] = [
  ["operator", /^\/health\//],
  ["operator", /^\/api\/v1\/(performance|dead-letters|supervision|projections)(\/|$)/],
  ["list", /^\/api\/v1\/(events|jobs|flows|schedules|webhooks)\/?$/],
  ["list", /^\/api\/v1\/events\/[^/]+\/(history|registrations)$/],
  ["list", /^\/api\/v1\/me\//],
  ["read", /^\/api\/v1\/(events|jobs|flows|schedules|webhooks|orders)\/[^/]+$/],
  ["read", /^\/api\/v1\/(portfolio|positions|accounts\/me|risk\/status|markets\/[^/]+\/book)$/],
  ["read", /^\/api\/v1\/events\/[^/]+\/registrations\/me$/],
  ["read", /^\/api\/v1\/(jobs\/[^/]+\/progress|flows\/[^/]+\/nodes)$/],
];

const reading = new Set(["GET", "HEAD", "OPTIONS"]);

/** The class of a request; undefined for what nobody has said anything of. */
export function declaredClassOf(method: string, path: string): RequestClass | undefined {
  const declared = classes.find(([, pattern]) => pattern.test(path))?.[0];
  if (declared === "operator" || reading.has(method)) return declared;
  return "command";
}

/** What nobody has said anything of is most likely not there, which costs little to say. */
export function classOf(method: string, path: string): RequestClass {
  return declaredClassOf(method, path) ?? "read";
}
