/**
 * Something outside that the service needs, and may be without for a while.
 *
 * Before each stands a breaker, cockatiel's. Closed, it lets everything through and counts. Open, it
 * refuses at once. No caller ever finds out whether the thing has come back: a probe does, in the
 * background, so that recovery needs no traffic and costs no request.
 *
 * @module
 */
import { circuitBreaker, CircuitState, handleAll, type IBreaker } from "cockatiel";
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { type Backoff, backoffMs } from "./backoff.ts";
import { withinDeadline } from "./deadline.ts";
import { pause } from "./pause.ts";

export interface DependencyLimits {
  /** Failures in a row, with no success in between, that open the breaker… */
  readonly failuresMax: number;
  /** …once it is so long since the first of them began: what is over by then is for retries. */
  readonly persistedMs: number;
  /** Failures further apart than this are not in a row. */
  readonly apartMs: number;
  readonly probeTimeoutMs: number;
}

const defaultLimits: DependencyLimits = {
  failuresMax: 3,
  persistedMs: 1_000,
  apartMs: 30_000,
  probeTimeoutMs: 3_000,
};

/** Short enough for service to be normal within two seconds of the thing being back. */
const PROBE_PAUSE: Backoff = { firstMs: 200, mostMs: 1_500 };

/**
 * The probe alone goes through an open circuit, whenever it is its time: cockatiel's own waiting
 * reads the clock on the wall, and would last as long as somebody has set that back.
 */
const AT_ONCE = -Infinity;

export interface DependencyOptions {
  readonly name: string;
  readonly env: Pick<Env, "now" | "monotonic" | "sleep" | "random">;
  /** Uses the thing once, beside the breaker; fails if it cannot be used. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
  readonly limits?: Partial<DependencyLimits>;
}

export type BreakerState = "closed" | "open" | "half-open";

export interface DependencyStanding {
  readonly name: string;
  readonly state: BreakerState;
  /** In a row, since the last success. */
  readonly failures: number;
  /** When it opened or closed, in epoch milliseconds. */
  readonly since: number;
  /** Until the next probe; absent while it is closed. */
  readonly retryAfterMs?: number;
  /** What was wrong last, while it is not closed. */
  readonly error?: unknown;
}

/** Hears when a dependency is lost, and when it is back; must not throw. */
export type DependencyListener = (standing: DependencyStanding) => void;

export class Dependency implements AsyncDisposable {
  readonly name: string;
  readonly #options: DependencyOptions;
  readonly #limits: DependencyLimits;
  readonly #inARow: FailuresInARow;
  readonly #circuit: ReturnType<typeof circuitBreaker>;
  readonly #listeners: DependencyListener[] = [];
  readonly #disposed = new AbortController();
  #recovering: Promise<void> | undefined;
  #endPause: (() => void) | undefined;
  #isClosed = true;
  #since: number;
  #error: unknown;
  /** In monotonic milliseconds. */
  #probeAt = 0;

  constructor(options: DependencyOptions) {
    this.name = options.name;
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#inARow = new FailuresInARow(options.env, this.#limits);
    this.#since = options.env.now();
    this.#circuit = circuitBreaker(handleAll, { breaker: this.#inARow, halfOpenAfter: AT_ONCE });
    this.#circuit.onStateChange(() => this.#changed());
  }

  /** What to refuse a call with; undefined while calls go through. */
  refusal(): TransientFault | undefined {
    if (this.#isClosed) return undefined;
    return new TransientFault(`Cannot use ${this.name}: its breaker is open`, {
      cause: this.#error,
      retryAfterMs: this.#retryAfterMs(),
      isRefusal: true,
    });
  }

  get isAvailable(): boolean {
    return this.#isClosed;
  }

  /** It has answered. Costs nothing, so that it may be told of every call. */
  succeeded(): void {
    this.#inARow.isBroken = true;
  }

  /** It has failed by its own fault, at something that was begun `tookMs` ago. */
  failed(error: unknown, tookMs = 0): void {
    if (!this.#isClosed || this.#disposed.signal.aborted) return;
    this.#error = error;
    this.#inARow.began(tookMs);
    this.#circuit.execute(() => Promise.reject(error)).catch(() => {/* it is told, not asked */});
  }

  /** A call through the breaker, of which only a transient fault counts as a failure. */
  async attempt<T>(call: () => Promise<T>): Promise<T> {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
    const { env } = this.#options;
    const startedAt = env.monotonic();
    try {
      const result = await call();
      this.succeeded();
      return result;
    } catch (error) {
      if (error instanceof TransientFault) this.failed(error, env.monotonic() - startedAt);
      throw error;
    }
  }

  /** An operator knows better: the next call goes through. */
  async reset(): Promise<void> {
    this.succeeded();
    if (!this.#isClosed) await this.#circuit.execute(() => {});
  }

  onChange(listener: DependencyListener): void {
    this.#listeners.push(listener);
  }

  standing(): DependencyStanding {
    return {
      name: this.name,
      state: states[this.#circuit.state],
      failures: this.#inARow.state,
      since: this.#since,
      ...(!this.#isClosed && { retryAfterMs: this.#retryAfterMs(), error: this.#error }),
    };
  }

  /** Ends the probing. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new Error(`No longer in use: ${this.name}`));
    await this.#recovering;
  }

  #retryAfterMs(): number {
    return Math.max(0, this.#probeAt - this.#options.env.monotonic());
  }

  /** A probe that fails changes nothing for anyone else. */
  #changed(): void {
    const isClosed = this.#circuit.state === CircuitState.Closed;
    if (isClosed === this.#isClosed) return;
    this.#isClosed = isClosed;
    this.#since = this.#options.env.now();
    if (isClosed) this.#endPause?.();
    else this.#recovering ??= this.#recover();
    for (const tell of this.#listeners) tell(this.standing());
  }

  async #recover(): Promise<void> {
    const { env } = this.#options;
    const { signal } = this.#disposed;
    for (let attempt = 1; !this.#isClosed && !signal.aborted; attempt++) {
      const pauseMs = backoffMs(attempt, env.random(), PROBE_PAUSE);
      this.#probeAt = env.monotonic() + pauseMs;
      const ended = new AbortController();
      this.#endPause = () => ended.abort();
      if (!await pause(env, pauseMs, AbortSignal.any([signal, ended.signal]))) continue;
      try {
        await this.#circuit.execute(() => this.#probe(signal));
      } catch (error) {
        this.#error = error;
      }
    }
    this.#recovering = undefined;
  }

  #probe(cancelled: AbortSignal): Promise<void> {
    const { env, name, probe } = this.#options;
    const ms = this.#limits.probeTimeoutMs;
    const late = () => new TransientFault(`No answer from ${name} within ${ms} ms`);
    return withinDeadline(probe, { env, ms, cancelled, late });
  }
}

const states = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.HalfOpen]: "half-open",
  [CircuitState.Isolated]: "open",
} as const;

/** When a circuit opens: not by a share of calls, for then one lost session could be half of them. */
class FailuresInARow implements IBreaker {
  readonly #env: Pick<Env, "monotonic">;
  readonly #limits: DependencyLimits;
  #beganAt = Infinity;
  #lastAt = -Infinity;
  state = 0;
  /** Something has succeeded since the last failure. */
  isBroken = false;

  constructor(env: Pick<Env, "monotonic">, limits: DependencyLimits) {
    this.#env = env;
    this.#limits = limits;
  }

  /** A failure is about to be counted. */
  began(tookMs: number): void {
    const now = this.#env.monotonic();
    if (this.isBroken || now - tookMs - this.#lastAt > this.#limits.apartMs) this.success();
    this.#beganAt = Math.min(this.#beganAt, now - tookMs);
    this.#lastAt = now;
  }

  success(): void {
    this.isBroken = false;
    this.state = 0;
    this.#beganAt = Infinity;
  }

  failure(): boolean {
    this.state++;
    const lastedMs = this.#env.monotonic() - this.#beganAt;
    return this.state >= this.#limits.failuresMax && lastedMs >= this.#limits.persistedMs;
  }
}
