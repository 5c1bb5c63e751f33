/**
 * Who calls, and how what the call causes can be found again.
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";
import type { Cause } from "../runtime/envelope.ts";
import type { ParsedVariables } from "./parsed.ts";
import { ProblemError, problemResponse } from "./problem.ts";
import type { TokenVerifier } from "./tokens.ts";

/** What is known of a request before its route looks at it. */
export type Caller = Pick<
  Cause,
  "principal" | "messageId" | "correlationId" | "deadline" | "traceparent"
>;

/** The Hono environment of every route behind {@linkcode authenticated}. */
export type CallerEnv = { Variables: { caller: Caller } & ParsedVariables };

export interface AuthenticationOptions {
  readonly verifier: TokenVerifier;
  readonly env: Pick<Env, "uuid" | "monotonic">;
  /** How long a request may wait for its answer. */
  readonly requestTimeoutMs: number;
  /** Hears of every request, and of its end; a promise of its own for that would cost 1.5 µs. */
  readonly load?: { began(): void; ended(): void };
  /** The trace context of the span in progress; it replaces the header, whose child it is. */
  readonly activeTraceparent?: () => string | undefined;
}

/**
 * Lets through whoever shows a token that holds, and answers 401 to everyone else.
 *
 * What the caller causes is found under the correlation id that it sent in `X-Correlation-Id`,
 * if that is a UUID, and otherwise under the id of its message. `answer` and `problemResponse`
 * tell it which.
 */
export function authenticated(options: AuthenticationOptions): MiddlewareHandler<CallerEnv> {
  const { verifier, env, requestTimeoutMs, activeTraceparent, load } = options;
  return async (c, next) => {
    // Before anything is waited for: those who come at once count one another.
    load?.began();
    try {
      const messageId = env.uuid();
      const correlationId = uuidIn(c.req.header("x-correlation-id")) ?? messageId;
      const authorization = c.req.header("authorization");
      const token = bearerToken(authorization);
      const principal = token === undefined ? undefined : await verifier.verify(token);
      if (principal === undefined) {
        return unauthenticated(c, correlationId, authorization !== undefined);
      }
      const traceparent = activeTraceparent?.() ?? traceparentIn(c.req.header("traceparent"));
      c.set("caller", {
        principal,
        messageId,
        correlationId,
        deadline: env.monotonic() + requestTimeoutMs,
        ...(traceparent === undefined ? {} : { traceparent }),
      });
      await next();
    } finally {
      load?.ended();
    }
  };
}

/** @throws {ProblemError} 403 unless the caller has one of `roles`. */
export function requireRole(c: Context<CallerEnv>, ...roles: readonly string[]): void {
  const { principal } = c.get("caller");
  if (roles.some((role) => principal.roles.includes(role))) return;
  throw new ProblemError("/problems/forbidden", {
    status: 403,
    title: "This is not the caller's to do",
    detail: `It takes the role ${roles.join(" or ")}`,
  });
}

// The form of a signed JWT. It has no comma, so two Authorization headers, which arrive joined
// by one, are refused; and no padding, so a token has one spelling.
const BEARER = /^bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;

function bearerToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
}

/** Says nothing of why: what a forger learns from the answer is only that it did not work. */
function unauthenticated(c: Context, correlationId: string, hasCredentials: boolean): Response {
  const challenge = `Bearer realm="api"${hasCredentials ? ', error="invalid_token"' : ""}`;
  return problemResponse(
    c,
    "/problems/unauthenticated",
    { status: 401, title: "A valid bearer token is required" },
    { "WWW-Authenticate": challenge, "X-Correlation-Id": correlationId },
  );
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function uuidIn(header: string | undefined): string | undefined {
  return header !== undefined && UUID.test(header) ? header.toLowerCase() : undefined;
}

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

function traceparentIn(header: string | undefined): string | undefined {
  return header !== undefined && TRACEPARENT.test(header) ? header : undefined;
}
