/** What an answer says of how often its caller may still ask. */
import type { Verdict } from "../limits/limiter.ts";
import type { LimitName, Quota } from "../quotas.ts";

/** What becomes of a request under its limit, see `commonHeaders`. */
export type RateLimitVariables = { rateLimit?: Verdict };

/** As draft-ietf-httpapi-ratelimit-headers-10 has them. */
export function sayRateLimit(
  headers: Record<string, string>,
  { limit, quota, remaining, moreInMs }: Verdict,
): void {
  headers["RateLimit-Policy"] = policyOf(limit, quota);
  headers["RateLimit"] = `"${limit}";r=${remaining};t=${secondsIn(moreInMs)}`;
}

const policies = new WeakMap<Quota, string>();

function policyOf(name: LimitName, quota: Quota): string {
  let policy = policies.get(quota);
  if (policy === undefined) {
    policy = `"${name}";q=${quota.limit};w=${quota.windowMs / 1_000}`;
    policies.set(quota, policy);
  }
  return policy;
}

/** Never 0: whoever takes that literally comes back at once. */
export function secondsIn(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}
