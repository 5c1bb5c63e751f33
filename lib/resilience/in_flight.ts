/**
 * How many requests may be under way at one time.
 *
 * A rush fills a process within milliseconds, long before any delay has stood for an interval. What
 * has no limit is taken in whole, and then all of it is served too late. So whoever comes is told how
 * long those before it will take, by Little's law: as many as are under way, divided by how many are
 * done in a second. How many can be done is taken from the best of the last seconds, as BBR does for
 * the rate of a path (Cardwell et al., 2016): at most times fewer are done because fewer come.
 *
 * @module
 */
import type { Env } from "../env.ts";

export interface InFlightLimits {
  /** What those under way may take, all together. */
  readonly waitMs: number;
  /** So many are never too many: a process that has done nothing yet does not know what it can do. */
  readonly least: number;
  /**
   * So few are served whatever the delays: they are not what the process is slow by. On a machine that
   * others keep busy, to refuse them would end the service and relieve nobody.
   */
  readonly few: number;
}

export const defaultInFlightLimits: InFlightLimits = { waitMs: 250, least: 500, few: 64 };

/** Over less than this, one large commit would pass for a high rate. */
const MEASURE_MS = 500;
/** Measurements that count: five seconds. */
const MEASUREMENTS = 10;

export class InFlight {
  readonly #env: Pick<Env, "monotonic">;
  readonly #limits: InFlightLimits;
  /** Done in a millisecond, the latest measurement last. */
  #rates: readonly number[] = [];
  #done = 0;
  #since: number;
  #limit: number;
  #count = 0;

  constructor(env: Pick<Env, "monotonic">, limits: Partial<InFlightLimits> = {}) {
    this.#env = env;
    this.#limits = { ...defaultInFlightLimits, ...limits };
    this.#since = env.monotonic();
    this.#limit = this.#limits.least;
  }

  /** Under way. */
  get count(): number {
    return this.#count;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Whether that part of the limit leaves room for one more. */
  hasRoom(part: number): boolean {
    return this.#count < this.#limit * part;
  }

  /** Whether there are so few that one more is no matter. */
  isFew(part: number): boolean {
    return this.#count < this.#limits.few * part;
  }

  began(): void {
    this.#count++;
  }

  ended(): void {
    this.#count--;
    this.#done++;
  }

  /** To be called regularly. */
  measure(): void {
    const elapsedMs = this.#env.monotonic() - this.#since;
    if (elapsedMs < MEASURE_MS) return;
    this.#rates = [...this.#rates, this.#done / elapsedMs].slice(-MEASUREMENTS);
    this.#limit = Math.max(this.#limits.least, Math.max(...this.#rates) * this.#limits.waitMs);
    this.#done = 0;
    this.#since += elapsedMs;
  }
}
