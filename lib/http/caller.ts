/**
 * Who calls, and how what the call causes can be found again.
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";
import type { Cause } from "../runtime/envelope.ts";
import type { Credentials, Verifier } from "./credentials.ts";
import type { ParsedVariables } from "./parsed.ts";
import { ProblemError, problemResponse } from "./problem.ts";
import type { RateLimitVariables } from "./rate_limit_headers.ts";

/** What is known of a request before its route looks at it. */
export type Caller =
  & Pick<Cause, "principal" | "messageId" | "correlationId" | "deadline" | "traceparent">
  & Pick<Credentials, "sessionId" | "scopes" | "keyId">;

/** The Hono environment of every route behind {@linkcode authenticated}. */
export type CallerEnv = { Variables: { caller: Caller } & ParsedVariables & RateLimitVariables };

export interface AuthenticationOptions {
  readonly verifier: Verifier;
  readonly env: Pick<Env, "uuid" | "monotonic">;
  /** How long a request may wait for its answer. */
  readonly requestTimeoutMs: number;
  /** Hears of every request, and of its end; a promise of its own for that would cost 1.5 µs. */
  readonly load?: { began(): void; ended(): void };
  /**
   * Counts whoever shows nothing that holds, or a key that has to be looked up first.
   *
   * @throws {ProblemError} 429 where that is done too often.
   */
  readonly admitStranger?: (c: Context) => void | Promise<void>;
  /**
   * What to wait for before anybody is believed; nothing while it is known what was revoked.
   *
   * @throws {TransientFault} where it is not known.
   */
  readonly believing?: () => Promise<void> | undefined;
  /** Hears of each request whose credential does not hold, or is not good for it. Must not throw. */
  readonly denied?: (c: Context<CallerEnv>) => void;
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
  const { verifier, believing, denied } = options;
  return introducing(options, async (c, introduce) => {
    const authorization = c.req.header("authorization");
    const credential = bearerCredential(authorization);
    const waiting = believing?.();
    if (waiting !== undefined) await waiting;
    let stranger: Caller | undefined;
    const unknown = () => {
      if (stranger === undefined) c.set("caller", stranger = introduce(nobody));
      return stranger;
    };
    // Once: before what was shown is looked up, else after it has not held.
    let isAdmitted = false;
    const admitStranger = async () => {
      if (isAdmitted) return;
      isAdmitted = true;
      unknown();
      await options.admitStranger?.(c);
    };
    const credentials = credential === undefined
      ? undefined
      : await verifier.verify(credential, admitStranger);
    if (credentials !== undefined) return introduce(credentials);
    const caller = unknown();
    if (authorization !== undefined) denied?.(c);
    await admitStranger();
    return unauthenticated(c, caller, authorization !== undefined);
  });
}

/** Lets through whoever comes, as nobody in particular: for what takes no token. */
export function introduced(options: AuthenticationOptions): MiddlewareHandler<CallerEnv> {
  return introducing(options, (_, introduce) => introduce(nobody));
}

/** Speaks for nobody who could have anything. */
export const nobody: Credentials = { principal: { id: "nobody", roles: [] } };

type Introduce = (credentials: Credentials) => Caller;

function introducing(
  { env, requestTimeoutMs, activeTraceparent, load, denied }: AuthenticationOptions,
  identify: (
    c: Context<CallerEnv>,
    introduce: Introduce,
  ) => Caller | Response | Promise<Caller | Response>,
): MiddlewareHandler<CallerEnv> {
  return async (c, next) => {
    // Before anything is waited for: those who come at once count one another.
    load?.began();
    try {
      const messageId = env.uuid();
      const correlationId = uuidIn(c.req.header("x-correlation-id")) ?? messageId;
      const introduced = await identify(c, ({ principal, sessionId, scopes, keyId }) => {
        const traceparent = activeTraceparent?.() ?? traceparentIn(c.req.header("traceparent"));
        return {
          principal,
          messageId,
          correlationId,
          deadline: env.monotonic() + requestTimeoutMs,
          ...(traceparent !== undefined && { traceparent }),
          ...(sessionId !== undefined && { sessionId }),
          ...(scopes !== undefined && { scopes }),
          ...(keyId !== undefined && { keyId }),
        };
      });
      if (introduced instanceof Response) return introduced;
      c.set("caller", introduced);
      await next();
      if (c.res.status === 403) denied?.(c);
    } finally {
      load?.ended();
    }
  };
}

/** @throws {ProblemError} 403 unless the caller has one of `roles`. */
export function requireRole(c: Context<CallerEnv>, ...roles: readonly string[]): void {
  if (!hasRole(c, roles)) throw forbidden(roles);
}

export function hasRole(c: Context<CallerEnv>, roles: readonly string[]): boolean {
  const { principal } = c.get("caller");
  return roles.some((role) => principal.roles.includes(role));
}

export function forbidden(roles: readonly string[]): ProblemError {
  return new ProblemError("/problems/forbidden", {
    status: 403,
    title: "This is not the caller's to do",
    detail: `It takes the role ${roles.join(" or ")}`,
  });
}

/** Whether what the caller has shown is good for that; a token is good for all. */
export function hasScope(c: Context<CallerEnv>, scope: string): boolean {
  const { scopes } = c.get("caller");
  return scopes === undefined || scopes.includes(scope);
}

export function outOfScope(scope: string): ProblemError {
  return new ProblemError("/problems/forbidden", {
    status: 403,
    title: "This is not the caller's to do",
    detail: `The key is not good for ${scope}`,
  });
}

// The form of a signed JWT, or of an API key. Neither has a comma, so two Authorization headers,
// which arrive joined by one, are refused; nor padding, so each has one spelling.
const BEARER =
  /^bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+|trp_[0-9a-f]{64}_[A-Za-z0-9_-]{43})$/i;

function bearerCredential(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
}

/** Says nothing of why: what a forger learns from the answer is only that it did not work. */
function unauthenticated(
  c: Context,
  { correlationId }: Caller,
  hasCredentials: boolean,
): Response {
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
