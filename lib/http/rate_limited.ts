/**
 * Rate limits over HTTP: whom a request counts for, and what is said of it.
 *
 * @module
 */
import type { Context } from "hono";
import type { Counts, Limiter, Verdict } from "../limits/limiter.ts";
import type { LimitName } from "../quotas.ts";
import type { CallerEnv } from "./caller.ts";
import { clientAddress } from "./client_address.ts";
import type { Shared } from "./operation.ts";
import { type KnownProblem, ProblemError } from "./problem.ts";
import { secondsIn } from "./rate_limit_headers.ts";
import { digestOf } from "./secrets.ts";

export const tooManyRequests: KnownProblem = {
  type: "/problems/too-many-requests",
  problem: { status: 429, title: "Too many requests" },
};

/** Each counts a request, and throws a `ProblemError` 429 where that was one too many. */
export interface RateLimits {
  /**
   * Before the request is looked at: for the user, and at once for the key that was shown in place of
   * a token; where none is needed, for the address. What counts by its body is let by.
   */
  readonly admit: NonNullable<Shared["admit"]>;
  /** For the address and, at once, for the account that it would enter or make. */
  admitAs(c: Context, limit: "login" | "sign-up", account: string): void | Promise<void>;
  /** For the session whose refresh token was shown; for the address where that is none of ours. */
  admitSession(c: Context, sessionId: string | undefined): void | Promise<void>;
  /** For the address of whoever shows nothing that holds. */
  admitStranger(c: Context): void | Promise<void>;
  /** For whoever asks for what is not there: as they are known by then. */
  admitUnrouted(c: Context<CallerEnv>): void | Promise<void>;
}

/** Limits under which a request counts once its body has been read. */
const byBody: ReadonlySet<LimitName> = new Set(["login", "sign-up", "refresh"]);

export function rateLimits(limiter: Limiter): RateLimits {
  const admit = (c: Context, counts: Counts) => {
    const verdict = limiter.take(counts);
    return verdict instanceof Promise
      ? verdict.then((verdict) => heed(c, verdict))
      : heed(c, verdict);
  };
  return {
    admit(c, { access, limit = "general" }) {
      if (limit === null || byBody.has(limit)) return;
      return admit(c, access === "anyone" ? { [limit]: addressOf(c) } : countsOf(c, limit));
    },
    admitAs(c, limit, account) {
      // One name in two spellings is one account, and nobody's account is not one that all share.
      const name = account.normalize("NFKC").trim().toLowerCase();
      return admit(c, {
        [limit]: addressOf(c),
        // Nobody needs to read in the store who it is.
        ...(name !== "" && { [`${limit}-account`]: `account:${digestOf(name)}` }),
      });
    },
    admitSession: (c, sessionId) =>
      admit(c, { refresh: sessionId === undefined ? addressOf(c) : `session:${sessionId}` }),
    admitStranger: (c) => admit(c, { general: addressOf(c) }),
    admitUnrouted: (c) =>
      admit(
        c,
        c.get("caller") === undefined ? { general: addressOf(c) } : countsOf(c, "general"),
      ),
  };
}

function addressOf(c: Context): string {
  return `ip:${clientAddress(c)}`;
}

/** The user first: by that, what is counted for any of the user's keys lies together. */
function countsOf(c: Context<CallerEnv>, limit: LimitName): Counts {
  const { keyId, principal } = c.get("caller");
  const ofUser = { [limit]: `user:${principal.id}` };
  return keyId === undefined ? ofUser : { ...ofUser, "api-key": `key:${keyId}` };
}

function heed(c: Context, verdict: Verdict): void {
  c.set("rateLimit", verdict);
  if (verdict.admitted) return;
  const seconds = secondsIn(verdict.moreInMs);
  const { limit, windowMs } = verdict.quota;
  const { type, problem } = tooManyRequests;
  const detail = `There may be ${limit} in ${windowMs / 1_000} s; the next in ${seconds} s`;
  throw new ProblemError(type, { ...problem, detail }, {
    headers: { "Retry-After": String(seconds) },
  });
}
