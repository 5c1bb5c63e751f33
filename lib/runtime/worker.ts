/**
 * The one life cycle of everything that works beside the actors: configured, started, drained, stopped.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { TransientFault } from "../fault.ts";
import { retryTransient } from "../resilience/retry.ts";

export type WorkerState = "configured" | "running" | "draining" | "stopped";

export interface WorkerHealth {
  readonly name: string;
  readonly state: WorkerState;
  /** What it has begun and not ended. */
  readonly inHand: number;
  /** Undefined while its last step went well. */
  readonly failure?: { readonly at: number; readonly message: string };
}

export interface WorkerOptions {
  readonly name: string;
  readonly env: Env;
  /** How long what is in hand may take to end before it is abandoned. */
  readonly drainMs: number;
}

/** How long claiming and settling are tried. */
const GIVE_UP_MS = 5_000;
/** Made once: the reason that an abort makes by itself costs 15 µs. */
const NUDGED = new Error("Nudged");

/**
 * Constructed, it is configured and does nothing. Disposing it drains it, and stops it if that takes
 * too long.
 */
export abstract class Worker implements AsyncDisposable {
  readonly name: string;
  protected readonly env: Env;
  readonly #drainMs: number;
  readonly #drained = new AbortController();
  #state: WorkerState = "configured";
  #failure: WorkerHealth["failure"];
  #ended: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #isWoken = false;
  #nudge: (() => void) | undefined;

  constructor({ name, env, drainMs }: WorkerOptions) {
    this.name = name;
    this.env = env;
    this.#drainMs = drainMs;
  }

  /** Once; what was drained does not start again. */
  start(): this {
    if (this.#state !== "configured") throw new Error(`Cannot start ${this.name}: ${this.#state}`);
    this.#state = "running";
    this.#ended = this.run();
    return this;
  }

  /** Takes nothing new; resolves once what is in hand has ended. */
  drain(): Promise<void> {
    return this.#draining ??= this.#drain();
  }

  /** Drains, and abandons what has not ended after `drainMs`. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Look now, and not only at the next poll. */
  wake(): void {
    this.#isWoken = true;
    this.nudge();
  }

  health(): WorkerHealth {
    return {
      name: this.name,
      state: this.#state,
      inHand: this.inHand,
      ...(this.#failure !== undefined && { failure: this.#failure }),
    };
  }

  /** Works until it is drained. */
  protected abstract run(): Promise<void>;

  /** Resolves once nothing is in hand; for workers that do other things beside `run`. */
  protected async finish(): Promise<void> {}

  /** Has what is in hand end now, where that is possible. */
  protected abandon(): void {}

  protected get inHand(): number {
    return 0;
  }

  protected get isDraining(): boolean {
    return this.#drained.signal.aborted;
  }

  /** For what is to break off when the worker is drained. */
  protected get draining(): AbortSignal {
    return this.#drained.signal;
  }

  /** For its health: the step that was tried did not go well, or, without an error, it did. */
  protected note(error?: unknown): void {
    if (error === undefined) this.#failure = undefined;
    else {
      const message = error instanceof Error ? error.message : String(error);
      this.#failure = { at: this.env.now(), message };
    }
  }

  /**
   * Repeats what faults of the world interrupt, for a while; after that a lease gives back what was
   * held.
   *
   * @throws {TransientFault} after the last attempt.
   */
  protected insisting<T>(
    attempt: () => Promise<T>,
    onFailure: (fault: TransientFault) => void,
  ): Promise<T> {
    return retryTransient(attempt, { env: this.env, giveUpMs: GIVE_UP_MS, onFailure });
  }

  /** At the longest for `ms`; ends when it is drained. */
  protected async pause(ms: number): Promise<void> {
    await this.#sleep(ms, this.#drained.signal);
  }

  /**
   * At the longest for `ms`; ends when it is woken, has been since the last rest, or is drained. Only
   * one loop of a worker may rest; others pause.
   */
  protected async rest(ms: number): Promise<void> {
    await this.restUntil(() => this.#isWoken, ms);
    this.#isWoken = false;
  }

  /** The same until a condition holds, which is looked at whenever the worker is nudged. */
  protected async restUntil(isOver: () => boolean, ms: number): Promise<void> {
    const until = this.env.monotonic() + ms;
    for (let leftMs = ms; leftMs > 0; leftMs = until - this.env.monotonic()) {
      if (isOver() || this.isDraining) return;
      const nudged = new AbortController();
      this.#nudge = () => nudged.abort(NUDGED);
      await this.#sleep(leftMs, nudged.signal);
      this.#nudge = undefined;
    }
  }

  protected nudge(): void {
    this.#nudge?.();
  }

  async #drain(): Promise<void> {
    if (this.#state === "configured") this.#state = "stopped";
    if (this.#state === "running") this.#state = "draining";
    this.#drained.abort();
    this.nudge();
    await this.#ended;
    await this.finish();
    this.#state = "stopped";
  }

  async #stop(): Promise<void> {
    const isDrained = new AbortController();
    const drained = this.drain().finally(() => isDrained.abort());
    await Promise.race([drained, this.#sleep(this.#drainMs, isDrained.signal)]);
    if (!isDrained.signal.aborted) this.abandon();
    await drained;
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    try {
      await this.env.sleep(ms, signal);
    } catch (reason) {
      if (reason !== signal.reason) throw reason;
    }
  }
}
