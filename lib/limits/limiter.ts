/**
 * Lets each subject ask as often as its limits say: on all nodes together while there is a store that
 * they share, and on each of them for its part when there is none.
 *
 * @module
 */
import { LRUCache } from "lru-cache";
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import type { KeyValue } from "../kv/key_value.ts";
import type { LimitName, Quota, Quotas } from "../quotas.ts";
import { argumentsOf, decide, type Decision, decisionIn, limitScript } from "./limit_script.ts";
import { type Meter, newMeter, type Standing } from "./meter.ts";
import { nextTightness, relaxed, shareOf } from "./tightness.ts";

export interface LimiterOptions {
  readonly env: Pick<Env, "monotonic">;
  readonly quotas: Quotas;
  /** Where the requests of all nodes are counted. */
  readonly shared?: {
    readonly store: KeyValue;
    /** What its keys begin with. */
    readonly prefix: string;
  };
  /** How many nodes there are, as far as is known; each has that part of a limit without a store. */
  readonly nodes?: () => number;
}

/** What becomes of a request. */
export interface Verdict extends Standing {
  readonly admitted: boolean;
  readonly limit: LimitName;
  /** As it is now: tightened, or this node's part. */
  readonly quota: Quota;
}

/** Of one limit. Beyond it, whoever asked longest ago is forgotten. */
const SUBJECTS_MAX = 50_000;
/** Of one limit, who are known to be refused by the store for a while. */
const REFUSED_MAX = 50_000;

/** By the limits that a request counts under, for whom. */
export type Counts = Readonly<Partial<Record<LimitName, string>>>;

/**
 * Limits whose subjects meet in any pairs. What is counted at once lies on one node of a cluster: of
 * these all, of the others what is counted with the same first subject.
 */
const together: ReadonlySet<LimitName> = new Set(["login", "sign-up"]);

/** A limit that a request counts under, and for whom. */
interface Part {
  readonly limit: Limit;
  readonly subject: string;
}

export class Limiter {
  readonly #options: LimiterOptions;
  /** Those that anybody was counted under: room for so many subjects takes a while to make. */
  readonly #limits = new Map<LimitName, Limit>();
  /** Requests, since that was last told of. */
  #refused = new Map<LimitName, number>();
  #tightness = relaxed;

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  /**
   * Counts a request, if it is admitted under each of the limits for its subject.
   *
   * The store is asked once at most, and not at all about one that it has refused until then; what
   * it does not answer in time is decided here. No promise is made where nothing is waited for.
   */
  take(counts: Counts): Verdict | Promise<Verdict> {
    const parts = this.#partsOf(counts);
    const now = this.#now();
    for (const part of parts) {
      const until = part.limit.refusedUntil(part.subject);
      if (now >= until) continue;
      const standing = { remaining: 0, moreInMs: until - now };
      const refusal = { admitted: false, standings: [standing] };
      return this.#verdict([part], shareOf(this.#tightness), refusal);
    }
    const { shared } = this.#options;
    return shared?.store.isAvailable ? this.#takeThere(parts, shared) : this.#takeHere(parts, now);
  }

  /** How many requests were refused under each limit since it was last asked; none where none were. */
  takeRefused(): ReadonlyMap<LimitName, number> {
    const refused = this.#refused;
    if (refused.size > 0) this.#refused = new Map();
    return refused;
  }

  /** To be told every second or so whether the service refuses some of its requests for load. */
  adapt(isShedding: boolean): void {
    const before = this.#tightness;
    this.#tightness = nextTightness(before, { isShedding, at: this.#now() });
    if (this.#tightness.steps >= before.steps) return;
    // More is granted than when they were refused.
    for (const limit of this.#limits.values()) limit.refused.clear();
  }

  #partsOf(counts: Counts): readonly Part[] {
    const parts: Part[] = [];
    for (const name in counts) {
      const limit = this.#limitOf(name as LimitName);
      parts.push({ limit, subject: counts[name as LimitName]! });
    }
    return parts;
  }

  #limitOf(name: LimitName): Limit {
    let limit = this.#limits.get(name);
    if (limit === undefined) {
      limit = new Limit(name, this.#options.quotas[name]);
      this.#limits.set(name, limit);
    }
    return limit;
  }

  #takeHere(parts: readonly Part[], now: number): Verdict {
    const nodes = Math.max(1, this.#options.nodes?.() ?? 1);
    const share = shareOf(this.#tightness) / nodes;
    const meters = parts.map(({ limit, subject }) =>
      [limit.meterOf(subject), limit.granted(share)] as const
    );
    const decision = decide(meters, now);
    // Of whoever is refused nothing is kept: by names that are made up they would have those
    // forgotten who were counted.
    if (decision.admitted) {
      parts.forEach(({ limit, subject }, index) => limit.keep(subject, meters[index]![0]));
    }
    return this.#verdict(parts, share, decision);
  }

  async #takeThere(
    parts: readonly Part[],
    { store, prefix }: NonNullable<LimiterOptions["shared"]>,
  ): Promise<Verdict> {
    const share = shareOf(this.#tightness);
    const [first] = parts;
    const place = together.has(first!.limit.name) ? first!.limit.name : first!.subject;
    const keys = parts.map(({ limit, subject }) =>
      limit.keyOf(`${prefix}:limit:{${place}}`, subject)
    );
    const quotas = parts.map(({ limit }) => limit.granted(share));
    try {
      const decision = decisionIn(await store.run(limitScript, keys, argumentsOf(quotas)));
      this.#note(parts, share, decision);
      return this.#verdict(parts, share, decision);
    } catch (fault) {
      if (!(fault instanceof TransientFault)) throw fault;
      return this.#takeHere(parts, this.#now());
    }
  }

  /** What was admitted there counts here too, should the store go away. */
  #note(parts: readonly Part[], share: number, { admitted, standings }: Decision): void {
    const now = this.#now();
    for (const [index, { limit, subject }] of parts.entries()) {
      const { remaining, moreInMs } = standings[index]!;
      if (admitted) {
        const meter = limit.meterOf(subject);
        meter.spend(limit.granted(share), now);
        limit.keep(subject, meter);
      } else if (remaining === 0) limit.refused.set(subject, now + moreInMs);
    }
  }

  /** Of several standings, that which refuses for longest, or else has least left. */
  #verdict(parts: readonly Part[], share: number, { admitted, standings }: Decision): Verdict {
    let tightest = 0;
    for (const [index, standing] of standings.entries()) {
      const { remaining, moreInMs } = standings[tightest]!;
      const isTighter = standing.remaining < remaining ||
        standing.remaining === remaining && standing.moreInMs > moreInMs;
      if (isTighter) tightest = index;
    }
    const { limit } = parts[tightest]!;
    const { name } = limit;
    if (!admitted) this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1);
    return { admitted, limit: name, quota: limit.granted(share), ...standings[tightest]! };
  }

  #now(): number {
    return Math.floor(this.#options.env.monotonic());
  }
}

class Limit {
  readonly name: LimitName;
  /** By subject, until when the store admits none. */
  readonly refused = new LRUCache<string, number>({ max: REFUSED_MAX });
  readonly #quota: Quota;
  readonly #meters = new LRUCache<string, Meter>({ max: SUBJECTS_MAX });
  #granted: Quota;
  #share = 1;

  constructor(name: LimitName, quota: Quota) {
    this.name = name;
    this.#quota = quota;
    this.#granted = quota;
  }

  /** That share of the quota; one at least, for a limit of none would never end. */
  granted(share: number): Quota {
    if (share !== this.#share) {
      const limit = Math.max(1, Math.floor(this.#quota.limit * share));
      this.#granted = { ...this.#quota, limit };
      this.#share = share;
    }
    return this.#granted;
  }

  /** 0 unless the store is known to refuse the subject for a while. */
  refusedUntil(subject: string): number {
    // Without such a store there is never one, and to look would cost each request its hash.
    return this.refused.size === 0 ? 0 : this.refused.get(subject) ?? 0;
  }

  /** That of the subject, or a new one, which is none until it is kept. */
  meterOf(subject: string): Meter {
    return this.#meters.get(subject) ?? newMeter(this.#quota.algorithm);
  }

  keep(subject: string, meter: Meter): void {
    this.#meters.set(subject, meter);
  }

  /** What another quota has counted is of no use to this one. */
  keyOf(prefix: string, subject: string): string {
    return `${prefix}:${this.name}:${this.#quota.algorithm}:${this.#quota.windowMs}:${subject}`;
  }
}
