/**
 * Read-your-writes: every write answers with a token, and a query that sends it sees that write.
 *
 * @module
 */
import type { Context } from "hono";
import { z } from "zod";
import { etagOf } from "../lib/http/cause.ts";
import { type AnswerHeaders, ProblemError } from "../lib/http/problem.ts";
import type { Reading, ReadOptions } from "../lib/runtime/system.ts";

const HEADER = "Consistency-Token";

/** Something that can say whether it shows a write already. */
export interface Showing {
  shows(transaction: string, withinMs: number): Promise<boolean>;
}

/** Opaque to callers: the transaction of a write, where feeds and projections meet it. */
const Token = z.string().regex(/^t[0-9]{1,20}$/).transform((token) => token.slice(1));

export function tokenHeader(transaction: string): AnswerHeaders {
  return { [HEADER]: `t${transaction}` };
}

/** Where the actor stood: as the precondition of a command, and as what a list has to show. */
export function headersOf(
  { version, transaction, staleMs }: Pick<Reading<unknown>, "version" | "transaction" | "staleMs">,
): AnswerHeaders {
  const headers = { ETag: etagOf(version), ...tokenHeader(transaction) };
  return staleMs === undefined ? headers : { ...headers, ...staleHeaders(staleMs) };
}

/** Old, as far as anyone can tell: how long ago it was known to be current (RFC 9111, RFC 9211). */
function staleHeaders(staleMs: number): AnswerHeaders {
  const age = Math.floor(staleMs / 1_000);
  return { Age: String(age), "Cache-Status": `Troupe; hit; ttl=-${age}` };
}

/**
 * Waits until the list shows the write whose token the request carries, if it carries one.
 *
 * @throws {ProblemError} 503 if it still does not after `withinMs`.
 */
export async function awaitToken(c: Context, list: Showing, withinMs: number): Promise<void> {
  const transaction = tokenOf(c);
  if (transaction === undefined || await list.shows(transaction, withinMs)) return;
  throw new ProblemError("/problems/not-yet-consistent", {
    status: 503,
    title: "The list does not show that write yet",
    detail: `It was waited for ${withinMs} ms; without ${HEADER} the list is answered as it is`,
  }, { headers: { "Retry-After": "1" } });
}

/** One event's reads are strong where the caller asks for it, by a token or by `no-cache`. */
export function readOptionsOf(c: Context): ReadOptions {
  const isRevalidating = /(^|[ ,])no-cache([ ,]|$)/i.test(c.req.header("cache-control") ?? "");
  return { isStrong: isRevalidating || tokenOf(c) !== undefined };
}

function tokenOf(c: Context): string | undefined {
  const header = c.req.header(HEADER);
  if (header === undefined) return undefined;
  const token = Token.safeParse(header);
  if (token.success) return token.data;
  throw new ProblemError("/problems/invalid-request", {
    status: 400,
    title: "The request is not valid",
    detail: `${HEADER} must be one that this service gave`,
  });
}
