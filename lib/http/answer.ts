/** What a route answers when nothing is wrong. */
import type { Context } from "hono";
import type { StatusCode } from "hono/utils/http-status";
import { type AnswerHeaders, correlationHeader } from "./problem.ts";

/**
 * Answers with `body` as JSON, or with nothing if it is `undefined`, and with the correlation id.
 *
 * `c.json` with headers costs 5 µs more: it gathers them in a `Headers`, which the response
 * then sorts and copies.
 */
export function answer(
  c: Context,
  status: StatusCode,
  body?: unknown,
  headers?: AnswerHeaders,
): Response {
  return body === undefined
    ? new Response(null, { status, headers: { ...correlationHeader(c), ...headers } })
    : new Response(JSON.stringify(body), {
      status,
      headers: { "content-type": "application/json", ...correlationHeader(c), ...headers },
    });
}
