/**
 * Headers → Cause: what a request lends to the messages that it sets in motion.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Context } from "hono";
import type { Cause, Idempotency } from "../runtime/envelope.ts";
import type { CallerEnv } from "./caller.ts";
import { ProblemError } from "./problem.ts";

/**
 * The context of the command in this request, its preconditions included.
 *
 * Parse the body first: with an `Idempotency-Key`, what it said is part of the request's hash.
 *
 * @throws {ProblemError} 400 for a malformed `If-Match` or `Idempotency-Key`, 412 for an
 * entity tag that can match no version.
 */
export function causeOf(c: Context<CallerEnv>): Cause {
  const { principal, messageId, correlationId, deadline, traceparent } = c.get("caller");
  const expectedVersion = versionIn(c.req.header("if-match"));
  const key = keyIn(c.req.header("idempotency-key"));
  return {
    messageId,
    correlationId,
    causationId: messageId,
    principal,
    deadline,
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
    ...(key === undefined ? {} : { idempotency: idempotencyOf(c, key) }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** The `ETag` of an actor at `version`; the only form that `If-Match` is believed in. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

const ENTITY_TAG = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;
const VERSION = /^(?:0|[1-9][0-9]{0,14})$/;

function versionIn(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch === "*") return undefined;
  const match = ENTITY_TAG.exec(ifMatch);
  if (match === null) {
    throw malformed("If-Match", 'an entity tag as sent in ETag, such as "3", or *');
  }
  const [, weak, opaque] = match;
  // If-Match compares strongly (RFC 9110, 13.1.1): a weak tag matches nothing, and
  // neither does one that this service never gave out.
  if (weak !== undefined || !VERSION.test(opaque!)) {
    throw new ProblemError("/problems/version-mismatch", {
      status: 412,
      title: "The entity tag in If-Match matches no version",
    });
  }
  return Number(opaque);
}

const BARE_KEY = /^[\x21\x23-\x7e][\x21-\x7e]{0,199}$/;
const QUOTED_KEY = /^"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,200})"$/;

function keyIn(idempotencyKey: string | undefined): string | undefined {
  if (idempotencyKey === undefined) return undefined;
  if (BARE_KEY.test(idempotencyKey)) return idempotencyKey;
  const quoted = QUOTED_KEY.exec(idempotencyKey);
  if (quoted !== null) return quoted[1]!.replace(/\\(.)/g, "$1");
  throw malformed("Idempotency-Key", "1 to 200 visible ASCII characters, bare or in quotes");
}

function idempotencyOf(c: Context<CallerEnv>, key: string): Idempotency {
  const body = c.get("bodyText");
  if (body === undefined && c.req.raw.body !== null && !c.req.raw.bodyUsed) {
    throw new Error(`Cannot hash ${c.req.method} ${c.req.path}: its body was not parsed before`);
  }
  const { url, method, path } = c.req;
  const search = url.includes("?") ? url.slice(url.indexOf("?")) : "";
  const requestHash = createHash("sha256")
    .update(`${method} ${path}${search}\n${body ?? ""}`)
    .digest("base64");
  return { key, requestHash };
}

function malformed(header: string, expected: string): ProblemError {
  return new ProblemError("/problems/invalid-request", {
    status: 400,
    title: "The request is not valid",
    detail: `${header} must be ${expected}`,
  });
}
