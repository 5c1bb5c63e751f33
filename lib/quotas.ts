/**
 * How often what may be asked, by name: the limits that the service has, and how others are written.
 *
 * @module
 */

/**
 * `window`: no more than the limit within any stretch of time of that length; each request is kept in
 * mind for as long. `bucket`: as many at once, which come back one by one over that time.
 */
export type Algorithm = "window" | "bucket";

export interface Quota {
  readonly algorithm: Algorithm;
  readonly limit: number;
  readonly windowMs: number;
}

const MINUTE_MS = 60_000;

const defaults = {
  /** Whatever has no limit of its own. */
  "general": window(100),
  "registration": window(5),
  "trading": window(50),
  "risk-analysis": window(10),
  /** What comes by a key, under whatever limit else. */
  "api-key": { algorithm: "bucket", limit: 6_000, windowMs: MINUTE_MS },
  "login": window(10, 15 * MINUTE_MS),
  /** From all addresses: more than one has, which could keep the owner out by itself otherwise. */
  "login-account": window(50, 15 * MINUTE_MS),
  "sign-up": window(5, 60 * MINUTE_MS),
  "sign-up-account": window(15, 60 * MINUTE_MS),
  "refresh": window(30),
  /** What feeds of market data send. */
  "feed": { algorithm: "bucket", limit: 6_000, windowMs: MINUTE_MS },
} as const satisfies Record<string, Quota>;

function window(limit: number, windowMs = MINUTE_MS): Quota {
  return { algorithm: "window", limit, windowMs };
}

export type LimitName = keyof typeof defaults;
export type Quotas = Readonly<Record<LimitName, Quota>>;

export const defaultQuotas: Quotas = defaults;
export const limitNames = Object.keys(defaults) as readonly LimitName[];

/** A window keeps each request in mind, and so cannot be for very many. */
const WINDOW_LIMIT_MAX = 10_000;
/** So that a bucket counts exactly, in numbers of 53 bits. */
const BUCKET_LIMIT_MAX = 10_000_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const units: Readonly<Record<string, number>> = {
  s: 1_000,
  min: MINUTE_MS,
  h: 60 * MINUTE_MS,
  day: DAY_MS,
};

const RULE = /^([a-z-]{1,40})=([0-9]{1,8})\/([0-9]{0,6})(s|min|h|day)(?:\/(window|bucket))?$/;

/** What it should have been; no word of what it was. */
export class MalformedQuotas extends Error {}

/**
 * The limits that `text` sets, and the usual ones for the others: `trading=500/min login=10/15min`,
 * with `/bucket` or `/window` after one that is to count in that way. `all` is for all that are not
 * named; the last of a name counts.
 *
 * @throws {MalformedQuotas}
 */
export function quotasIn(text: string): Quotas {
  const rules = text.split(/[\s,]+/).filter((rule) => rule !== "").map(ruleIn);
  const named = Object.fromEntries(rules);
  const quotaOf = (name: LimitName): Quota => {
    const { limit, windowMs, algorithm } = named[name] ?? named.all ?? defaults[name];
    return bounded({ limit, windowMs, algorithm: algorithm ?? defaults[name].algorithm });
  };
  const quotas = limitNames.map((name) => [name, quotaOf(name)] as const);
  return Object.fromEntries(quotas) as Record<LimitName, Quota>;
}

type Rule = Omit<Quota, "algorithm"> & { readonly algorithm?: Algorithm | undefined };

function ruleIn(text: string): readonly [name: string, Rule] {
  const [, name, limit, count, unit, algorithm] = RULE.exec(text) ?? malformed(FORM);
  if (name !== "all" && !(limitNames as readonly string[]).includes(name!)) {
    malformed(`limits with names among ${[...limitNames, "all"].join(", ")}`);
  }
  const windowMs = units[unit!]! * (count === "" ? 1 : Number(count));
  return [name!, { limit: Number(limit), windowMs, algorithm: algorithm as Algorithm | undefined }];
}

const FORM = "off, or limits such as trading=500/min login=10/15min/window, with spaces between";

function bounded(quota: Quota): Quota {
  const { algorithm, limit, windowMs } = quota;
  if (windowMs < 1_000 || windowMs > DAY_MS) malformed("limits within 1 s to 1 day");
  const limitMax = algorithm === "window" ? WINDOW_LIMIT_MAX : BUCKET_LIMIT_MAX;
  if (limit < 1 || limit > limitMax) {
    malformed(
      `limits of 1 to ${WINDOW_LIMIT_MAX} with a window, or 1 to ${BUCKET_LIMIT_MAX} with /bucket`,
    );
  }
  return quota;
}

function malformed(expected: string): never {
  throw new MalformedQuotas(expected);
}
