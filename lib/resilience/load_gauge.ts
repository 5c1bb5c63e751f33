/**
 * How busy this process is, and what it refuses because of that.
 *
 * @module
 */
import type { Env } from "../env.ts";
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

export interface Load extends Delays {
  readonly shedding: Shedding;
}

export interface LoadGaugeOptions {
  readonly env: Pick<Env, "monotonic" | "sleep" | "random">;
  readonly limits?: Partial<SheddingLimits>;
  /** Hears of every interval; must not throw. */
  readonly onInterval: (load: Load, before: Shedding) => void;
}

export class LoadGauge implements AsyncDisposable {
  readonly #options: LoadGaugeOptions;
  readonly #limits: SheddingLimits;
  readonly #stopped = new AbortController();
  readonly #ended: Promise<void>;
  readonly #loop = new Least();
  readonly #queue = new Least();
  readonly #turn = new Least();
  #shedding = noShedding;
  #delays: Delays = { loopMs: 0, queueMs: 0, turnMs: 0 };

  /** Starts it. */
  constructor(options: LoadGaugeOptions) {
    this.#options = options;
    this.#limits = { ...defaultSheddingLimits, ...options.limits };
    this.#ended = this.#run();
  }

  /** One turn of an actor: how long the last of its messages had waited, and how long it took. */
  took(turn: { readonly waitedMs: number; readonly durationMs: number }): void {
    this.#queue.add(turn.waitedMs);
    this.#turn.add(turn.durationMs);
  }

  get load(): Load {
    return { ...this.#delays, shedding: this.#shedding };
  }

  /** Whether to take on one more request of that class. */
  admits(requestClass: RequestClass): boolean {
    const { level, admittedShare } = this.#shedding;
    if (level === 0) return true;
    if (requestClass === "analytics" || requestClass === "list") return false;
    if (requestClass !== "command" || level < 2) return true;
    return this.#options.env.random() < admittedShare;
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
    const before = this.#shedding;
    this.#delays = {
      loopMs: this.#loop.take(),
      queueMs: this.#queue.take(),
      turnMs: this.#turn.take(),
    };
    this.#shedding = nextShedding(before, this.#delays, this.#limits);
    this.#options.onInterval(this.load, before);
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
