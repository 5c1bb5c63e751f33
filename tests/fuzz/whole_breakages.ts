/**
 * The ways in which a request is broken that have nothing to do with one of its fields.
 *
 * @module
 */
import type { Attempt } from "./attempts.ts";

export interface WholeBreakage {
  readonly name: string;
  readonly of: (attempt: Attempt) => Partial<Attempt>;
}

const body =
  (content: NonNullable<Attempt["content"]>, type = "application/json") =>
  ({ method, headers }: Attempt): Partial<Attempt> =>
    method === "GET" ? {} : { content, headers: { ...headers, "content-type": type } };

const typed = (type: string) => (attempt: Attempt): Partial<Attempt> =>
  body(attempt.content ?? "{}", type)(attempt);

const header = (name: string, value: string) => ({ headers }: Attempt): Partial<Attempt> => ({
  headers: { ...headers, [name]: value },
});

const bytes = (...values: readonly number[]) => new Uint8Array(values);

/** The path without its query, and that. */
function parts(path: string): readonly [string, string] {
  const at = path.indexOf("?");
  return at < 0 ? [path, ""] : [path.slice(0, at), path.slice(at)];
}

const changed = (change: (path: string) => string) => ({ path }: Attempt): Partial<Attempt> => {
  const [before, query] = parts(path);
  return { path: change(before) + query };
};

const queried = (more: string) => ({ path }: Attempt): Partial<Attempt> => ({
  path: `${path}${path.includes("?") ? "&" : "?"}${more}`,
});

const breakages: Readonly<Record<string, WholeBreakage["of"]>> = {
  "an empty body": body(""),
  "no JSON": body("not json"),
  "half of it": (attempt) =>
    body(String(attempt.content ?? "{").slice(0, String(attempt.content ?? "{").length / 2))(
      attempt,
    ),
  "two values": body("{}{}"),
  "a byte order mark": body("\ufeff{}"),
  "UTF-16": body(bytes(0xff, 0xfe, 0x7b, 0, 0x7d, 0)),
  "bytes that are no text": body(bytes(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d)),
  "an overlong encoding": body(bytes(0x22, 0xc0, 0xaf, 0x22)),
  "ten thousand brackets": body("[".repeat(10_000)),
  "ten thousand closed brackets": body("[".repeat(10_000) + "]".repeat(10_000)),
  "five thousand keys": body(
    `{${Array.from({ length: 5_000 }, (_, n) => `"key${n}":${n}`).join(",")}}`,
  ),
  "the same key twice": body('{"title":"a","title":"b"}'),
  "a body too large": body(`"${"a".repeat(70_000)}"`),
  "a prototype": body('{"__proto__":{"roles":["admin"]}}'),
  "a list": body("[]"),
  "a text": body('"text"'),
  "a number": body("1"),
  "null": body("null"),
  "true": body("true"),
  "a form": body("a=1&b=2", "application/x-www-form-urlencoded"),
  "a form of parts": typed("multipart/form-data; boundary=x"),
  "plain text": typed("text/plain"),
  "XML": body("<a/>", "application/xml"),
  "another charset": typed("application/json; charset=utf-16"),
  "a merge patch": typed("application/merge-patch+json"),
  "no type": typed(""),
  "a compressed body": header("content-encoding", "gzip"),
  "unknown parameters": queried("unknown=1"),
  "a prototype in the query": queried("__proto__=1&constructor=2"),
  "a query that is no text": queried("limit=%ff%fe"),
  "a thousand parameters": queried(Array.from({ length: 1_000 }, (_, n) => `p${n}=1`).join("&")),
  "a limit without end": queried("limit=1e9"),
  "a slash behind": changed((path) => `${path}/`),
  "two slashes": changed((path) => path.replace("/api/", "//api//")),
  "dots": changed((path) => `${path}/%2e%2e/%2e%2e/x`),
  "a path in capitals": changed((path) => path.toUpperCase()),
  "an end encoded": changed((path) => `${path}%00`),
  "half an encoding": changed((path) => `${path}%`),
  "another method": () => ({ method: "PATCH" }),
  "a method to delete": () => ({ method: "DELETE", content: undefined }),
  "a method to look": () => ({ method: "OPTIONS", content: undefined }),
  "only the head": ({ method }) => method === "GET" ? { method: "HEAD" } : {},
  "a method of nobody": () => ({ method: "BREW" }),
  "a tag that is none": header("if-match", "three"),
  "an old tag": header("if-match", '"999999"'),
  "a key without end": header("idempotency-key", "k".repeat(5_000)),
  "a key twice": header("idempotency-key", "one, two"),
  "a token that is none": header("authorization", "Bearer a.b.c"),
  "a token without end": header("authorization", `Bearer ${"a".repeat(7_000)}.b.c`),
  "another way in": header("authorization", "Basic YWRtaW46YWRtaW4="),
  "an id that is none": header("x-correlation-id", "not-a-uuid"),
  "another method behind": header("x-http-method-override", "DELETE"),
  "somebody forwarded": header("x-forwarded-for", "127.0.0.1, 10.0.0.1"),
  "a proxy of its own": header("x-forwarded-proto", "http"),
  "a trace that is none": header("traceparent", "00-0-0-00"),
  "a wish for XML": header("accept", "application/xml"),
  "a range": header("range", "bytes=0-1"),
  "a cookie": header("cookie", "session=1; __proto__=2"),
  "a place of its own": header("origin", "https://evil.example"),
};

export const wholeBreakages: readonly WholeBreakage[] = Object.entries(breakages)
  .map(([name, of]) => ({ name, of }));
