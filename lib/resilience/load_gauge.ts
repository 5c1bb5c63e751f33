/**
 * How busy this process is, and what it refuses because of that.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { InFlight, type InFlightLimits } from "./in_flight.ts";
import { pause } from "./pause.ts";
import {
  defaultSheddingLimits,
  type Delays,
  nextShedding,
  noShedding,
  type Shedding,
  type SheddingLimits,
} from "./shedding.ts";

/** How often the event loop is looked at. */
const SAMPLE_MS = 20;
/** What one decision is made of. */
const INTERVAL_MS = 100;

/** What a request asks for, from what is given up first to what is never refused. */
export type RequestClass = "analytics" | "list" | "command" | "read" | "operator";

/**
 * How much of what may be under way each class may fill: so when room gets scarce, lists feel it
 * before commands, and these before reads. Operators are let in whatever else is.
 */
const parts: Readonly<Record<RequestClass, number>> = {
  analytics: 0.25,
  list: 0.5,
  command: 1,
  read: 2,
  operator: Infinity,
};

/** Once somebody was refused, intervals without a refusal after which nobody is said to be. */
const CALM_AFTER = 10;

export interface Load extends Delays {
  readonly shedding: Shedding;
  /** Requests under way, and how many may be. */
  readonly inFlight: number;
  readonly inFlightMax: number;
  /** Somebody is refused, or was just now. */
  readonly isShedding: boolean;
}

export interface LoadGaugeOptions {
  readonly env: Pick<Env, "monotonic" | "sleep" | "random">;
  readonly limits?: Partial<SheddingLimits & InFlightLimits>;
  /** Hears of every interval, and at once when `isShedding` changes; must not throw. */
  readonly onInterval: (load: Load) => void;
}

export class LoadGauge implements AsyncDisposable {
  readonly #options: LoadGaugeOptions;
  readonly #limits: SheddingLimits;
  readonly #inFlight: InFlight;
  readonly #stopped = new AbortController();
  readonly #ended: Promise<void>;
  readonly #loop = new Least();
  readonly #queue = new Least();
  readonly #turn = new Least();
  #shedding = noShedding;
  #delays: Delays = { loopMs: 0, queueMs: 0, turnMs: 0 };
  /** Intervals that are left until nobody counts as refused. */
  #refusing = 0;

  /** Starts it. */
  constructor(options: LoadGaugeOptions) {
    this.#options = options;
    this.#limits = { ...defaultSheddingLimits, ...options.limits };
    this.#inFlight = new InFlight(options.env, options.limits);
    this.#ended = this.#run();
  }

  /** One turn of an actor: how long the last of its messages had waited, and how long it took. */
  took(turn: { readonly waitedMs: number; readonly durationMs: number }): void {
    this.#queue.add(turn.waitedMs);
    this.#turn.add(turn.durationMs);
  }

  get load(): Load {
    return {
      ...this.#delays,
      shedding: this.#shedding,
      inFlight: this.#inFlight.count,
      inFlightMax: Math.floor(this.#inFlight.limit),
      isShedding: this.#isShedding,
    };
  }

  get #isShedding(): boolean {
    return this.#shedding.level > 0 || this.#refusing > 0;
  }

  /** Requests that are not answered yet. */
  get underWay(): number {
    return this.#inFlight.count;
  }

  /** Anybody may be let in, of whatever class. */
  get isCalm(): boolean {
    return !this.#isShedding && this.#inFlight.hasRoom(parts.analytics);
  }

  /** Whether to take on one more request of that class. */
  admits(requestClass: RequestClass): boolean {
    if (this.#inFlight.isFew(parts[requestClass])) return true;
    if (!this.#inFlight.hasRoom(parts[requestClass])) {
      this.#refuse();
      return false;
    }
    const { level, listsShare, admittedShare } = this.#shedding;
    if (level === 0) return true;
    const { random } = this.#options.env;
    switch (requestClass) {
      case "analytics":
        return false;
      case "list":
        return random() < listsShare;
      case "command":
        return random() < admittedShare;
      case "read":
      case "operator":
        return true;
    }
  }

  /** A request was let in. */
  began(): void {
    this.#inFlight.began();
  }

  /** And was answered. */
  ended(): void {
    this.#inFlight.ended();
  }

  #refuse(): void {
    const isNew = !this.#isShedding;
    this.#refusing = CALM_AFTER;
    if (isNew) this.#options.onInterval(this.load);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { env } = this.#options;
    const { signal } = this.#stopped;
    let endsAt = env.monotonic() + INTERVAL_MS;
    for (let before = env.monotonic(); await pause(env, SAMPLE_MS, signal);) {
      const now = env.monotonic();
      this.#loop.add(now - before - SAMPLE_MS);
      before = now;
      if (now < endsAt) continue;
      endsAt = now + INTERVAL_MS;
      this.#conclude();
    }
  }

  #conclude(): void {
    this.#delays = {
      loopMs: this.#loop.take(),
      queueMs: this.#queue.take(),
      turnMs: this.#turn.take(),
    };
    this.#shedding = nextShedding(this.#shedding, this.#delays, this.#limits);
    this.#inFlight.measure();
    this.#refusing = Math.max(0, this.#refusing - 1);
    this.#options.onInterval(this.load);
  }
}

/** The least of what was added since it was last taken; 0 if nothing was. */
class Least {
  #least = Infinity;

  add(value: number): void {
    if (value < this.#least) this.#least = value;
  }

  take(): number {
    const least = this.#least;
    this.#least = Infinity;
    return least === Infinity ? 0 : Math.max(0, least);
  }
}
