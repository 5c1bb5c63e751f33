/**
 * RFC 9457 problem details: the one shape in which this service says no.
 *
 * @module
 */
import { STATUS_CODES } from "node:http";
import type { Context, Env as HonoEnv, Hono, NotFoundHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { TransientFault } from "../fault.ts";
import type { Verdict } from "../limits/limiter.ts";
import type { Cause } from "../runtime/envelope.ts";
import { arrivalOf } from "./arrival.ts";
import { sayRateLimit } from "./rate_limit_headers.ts";

export interface Problem {
  readonly status: ContentfulStatusCode;
  /** The same for every occurrence; what varies goes into `detail`. */
  readonly title: string;
  readonly detail?: string;
  readonly errors?: readonly RequestFault[];
}

/** One thing wrong with a request. It names the place and the rule, never the value sent. */
export interface RequestFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A problem that a route is known to answer with. */
export interface KnownProblem {
  /** Stable, and documented. */
  readonly type: string;
  readonly problem: Problem;
}

/** An HTTP face for every reason an aggregate can give; a missing one fails to compile. */
export type ProblemsFor<Reason extends string> = Readonly<Record<Reason, Problem>>;

/** Headers of one answer, such as `Retry-After` or the `ETag` in force. */
export type AnswerHeaders = Readonly<Record<string, string>>;

/** Thrown where a request cannot go on; {@linkcode problemForError} answers with what it holds. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly type: string;
  readonly problem: Problem;
  readonly headers: AnswerHeaders;

  constructor(
    type: string,
    problem: Problem,
    options: { readonly headers?: AnswerHeaders; readonly cause?: unknown } = {},
  ) {
    super(problem.title, { cause: options.cause });
    this.type = type;
    this.problem = problem;
    this.headers = options.headers ?? {};
  }

  /** Of a problem that is known: as it was declared. */
  static of({ type, problem }: KnownProblem): ProblemError {
    return new ProblemError(type, problem);
  }
}

export function problemResponse(
  c: Context,
  type: string,
  problem: Problem,
  headers: AnswerHeaders = {},
): Response {
  const instance = new URL(c.req.url).pathname;
  return c.json({ type, instance, ...problem }, problem.status, {
    ...commonHeaders(c),
    ...headers,
    "content-type": "application/problem+json",
  });
}

/** For what is refused before any route has seen it. */
export function bareProblem(
  type: string,
  problem: Problem,
  headers: AnswerHeaders,
): Response {
  return new Response(JSON.stringify({ type, ...problem }), {
    status: problem.status,
    headers: { ...headers, "content-type": "application/problem+json" },
  });
}

/** In which mode the service is; see `docs/degradation.md`. */
export const SERVICE_MODE = "Service-Mode";

/**
 * Of every answer: what browsers and caches are told to do with it, the mode of the service, the id
 * under which all that the caller caused can be found, how often it may still ask, and whether the
 * connection ends with it.
 *
 * Whoever makes a response passes them in, and after them those that it means otherwise, written alike. To add to the headers of one that is made costs 4 µs, since
 * Deno then takes it apart again.
 */
export function commonHeaders(c: Context): Record<string, string> {
  const { headers, service, peer } = arrivalOf(c);
  const caller: Pick<Cause, "correlationId"> | undefined = c.get("caller");
  const rateLimit: Verdict | undefined = c.get("rateLimit");
  const common: Record<string, string> = { ...headers };
  if (service !== undefined) common[SERVICE_MODE] = service.mode;
  if (caller !== undefined) common["X-Correlation-Id"] = caller.correlationId;
  if (rateLimit !== undefined) sayRateLimit(common, rateLimit);
  if (peer?.isLeaving) common.Connection = "close";
  return common;
}

/** The request in which a bug showed itself. */
export interface BuggyRequest {
  readonly method: string;
  readonly path: string;
  /** The id in the answer's `X-Correlation-Id`: all that its reader learns of the bug. */
  readonly correlationId: string;
}

/** Takes note of a bug that reached the edge. Must not throw. */
export type ReportBug = (bug: unknown, request: BuggyRequest) => void;

/**
 * Makes the last resort of every route, for `app.onError`.
 *
 * A fault says when to come back; a bug is reported, and the caller gets only an id to ask with.
 */
export function problemForError(
  { report, uuid }: { readonly report: ReportBug; readonly uuid: () => string },
): (error: Error, c: Context) => Response {
  return (error, c) => {
    if (error instanceof ProblemError) {
      return problemResponse(c, error.type, error.problem, error.headers);
    }
    if (error instanceof TransientFault) return transientProblem(c, error);
    if (error instanceof HTTPException && error.status < 500) {
      const title = STATUS_CODES[error.status] ?? "Error";
      const detail = error.message === "" ? {} : { detail: error.message };
      const status = error.status as ContentfulStatusCode;
      return problemResponse(c, "about:blank", { status, title, ...detail });
    }
    const correlationId: string = c.get("caller")?.correlationId ?? uuid();
    report(error, { method: c.req.method, path: c.req.path, correlationId });
    return problemResponse(
      c,
      "about:blank",
      { status: 500, title: "Internal Server Error" },
      { "X-Correlation-Id": correlationId },
    );
  };
}

function transientProblem(c: Context, fault: TransientFault): Response {
  // Never 0: a client that takes it literally would come back at once, with all the others.
  const seconds = Math.max(1, Math.ceil(fault.retryAfterMs / 1_000));
  const headers = { "Retry-After": String(seconds) };
  return fault.outcome === "unknown"
    ? problemResponse(c, "/problems/outcome-unknown", {
      status: 504,
      title: "The request may have taken effect",
      detail: "Repeat it with the same Idempotency-Key to learn what became of it",
    }, headers)
    : problemResponse(
      c,
      "/problems/unavailable",
      { status: 503, title: "Try again shortly" },
      headers,
    );
}

/**
 * Answers what no route took: 405 with `Allow` where another method would do, else 404. Not before
 * `admit`, which throws where that is asked too often.
 *
 * TRACE is none that any path knows: it would echo what a proxy had added, such as credentials.
 */
export function problemForUnrouted<E extends HonoEnv>(
  app: Hono<E>,
  admit?: (c: Context<E>) => void | Promise<void>,
): NotFoundHandler<E> {
  return async (c) => {
    await admit?.(c);
    const allowed = methodsFor(app, c.req.path);
    return allowed.length === 0 && c.req.method !== TRACE
      ? problemResponse(c, "about:blank", { status: 404, title: "Not Found" })
      : problemResponse(
        c,
        "about:blank",
        { status: 405, title: "Method Not Allowed" },
        { Allow: allowed.join(", ") },
      );
  };
}

export const TRACE = "TRACE";

function methodsFor<E extends HonoEnv>(app: Hono<E>, path: string): string[] {
  const methods = new Set(app.routes.map(({ method }) => method));
  // What is mounted on every method is middleware: it does not make a path exist.
  methods.delete("ALL");
  methods.delete(TRACE);
  const allowed = [...methods].filter((method) =>
    app.router.match(method, path)[0].some(([[, route]]) => route.method === method)
  );
  // Hono answers HEAD with the GET route.
  return allowed.includes("GET") ? [...allowed, "HEAD"] : allowed;
}
