/**
 * What every answer tells browsers, and caches, to do with it: nothing.
 *
 * @module
 */
import type { AnswerHeaders } from "./problem.ts";

/**
 * For an API, whose answers are data: they load nothing, are framed nowhere, taken for nothing but
 * what they say they are, and kept by nobody. A route whose answers are something else, such as a
 * page, or may be kept, names those of these headers that it needs otherwise.
 *
 * `Cross-Origin-Opener-Policy` and `-Resource-Policy` are for the page alone: data open no window, and
 * without a token, which no other site's page can add to what it embeds, there are none. Each header
 * costs an answer 0.9 µs of CPU, as Deno looks at every character of it.
 *
 * `no-store`, and not `no-cache` with entity tags: what somebody was told is then on no disk, neither
 * of a proxy nor of a borrowed computer, and what a conditional request would save is the bytes of an
 * answer that lies in memory here. `ETag` is for `If-Match`.
 */
const ofAll: AnswerHeaders = {
  "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  "X-Frame-Options": "DENY",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=()",
  "Cache-Control": "private, no-store",
};

/** Two years, as the lists of browsers ask for. */
const HSTS = { "Strict-Transport-Security": "max-age=63072000; includeSubDomains" };

/** Of an answer to a request that came over TLS, or not: without it, HSTS means nothing. */
export function securityHeaders({ isSecure }: { readonly isSecure: boolean }): AnswerHeaders {
  return isSecure ? { ...ofAll, ...HSTS } : ofAll;
}
