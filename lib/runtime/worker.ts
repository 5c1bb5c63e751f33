/**
 * The one life cycle of everything that works beside the actors: configured, started, drained, stopped.
 * What it throws meanwhile begins again, as its strategy says.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { TransientFault } from "../fault.ts";
import { pause } from "../resilience/pause.ts";
import { retryPolicies, retryTransient } from "../resilience/retry.ts";
import type { RetryBudget } from "../resilience/retry_budget.ts";
import { directiveFor, recentOf, type RestartStrategy } from "./directive.ts";
import type { Observe } from "./observe.ts";

export type WorkerState =
  | "configured"
  | "running"
  /** Part of it at least waits to begin again, after a defect or after too many of them. */
  | "restarting"
  | "quarantined"
  | "draining"
  | "stopped";

export interface WorkerHealth {
  readonly name: string;
  readonly state: WorkerState;
  /** What it has begun and not ended. */
  readonly inHand: number;
  /** Undefined while its last step went well. */
  readonly failure?: { readonly at: number; readonly message: string };
  /** For defects, within the last window; absent if there were none. */
  readonly restarts?: number;
}

export interface WorkerOptions {
  readonly name: string;
  readonly env: Env;
  readonly observe: Observe;
  readonly strategy?: Partial<RestartStrategy>;
  /** How long what is in hand may take to end before it is abandoned. */
  readonly drainMs: number;
  /** For what it insists on. */
  readonly budget?: RetryBudget | undefined;
}

/** There is no other to do its work, so its quarantine is short. */
export const defaultWorkerStrategy: RestartStrategy = {
  restartsMax: 5,
  restartWindowMs: 60_000,
  pauseFirstMs: 100,
  pauseMostMs: 5_000,
  quarantineMs: 30_000,
};

/** Made once: the reason that an abort makes by itself costs 15 µs. */
const NUDGED = new Error("Nudged");

/**
 * Constructed, it is configured and does nothing. Disposing it drains it, and stops it if that takes
 * too long.
 */
export abstract class Worker implements AsyncDisposable {
  readonly name: string;
  protected readonly env: Env;
  readonly #observe: Observe;
  readonly #strategy: RestartStrategy;
  readonly #drainMs: number;
  readonly #budget: RetryBudget | undefined;
  readonly #drained = new AbortController();
  #state: WorkerState = "configured";
  #failure: WorkerHealth["failure"];
  #ended: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #isWoken = false;
  #nudge: (() => void) | undefined;
  /** Loops that wait to begin again, and those of them that are in quarantine. */
  #waiting = 0;
  #quarantined = 0;
  /** Of all loops, when. */
  #restarts: readonly number[] = [];

  constructor({ name, env, observe, strategy, drainMs, budget }: WorkerOptions) {
    this.name = name;
    this.env = env;
    this.#observe = observe;
    this.#strategy = { ...defaultWorkerStrategy, ...strategy };
    this.#drainMs = drainMs;
    this.#budget = budget;
  }

  /** Once; what was drained does not start again. */
  start(): this {
    if (this.#state !== "configured") throw new Error(`Cannot start ${this.name}: ${this.#state}`);
    this.#state = "running";
    this.#ended = this.keep(() => this.run());
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
    const { restartWindowMs } = this.#strategy;
    const restarts = recentOf(this.#restarts, restartWindowMs, this.env.monotonic()).length;
    return {
      name: this.name,
      state: this.#stateNow(),
      inHand: this.inHand,
      ...(this.#failure !== undefined && { failure: this.#failure }),
      ...(restarts > 0 && { restarts }),
    };
  }

  /**
   * Works until it is drained. It handles what the world does to it; whatever it throws is a defect,
   * after which it is called again. One that consists of several loops keeps each of them.
   */
  protected abstract run(): Promise<void>;

  /** Runs a loop until it returns, however often it has to be begun again. Never throws. */
  protected async keep(loop: () => Promise<void>): Promise<void> {
    let restarts: readonly number[] = [];
    while (true) {
      try {
        return await loop();
      } catch (error) {
        this.note(error);
        if (this.isDraining) {
          return this.#observe({ type: "worker-failed", worker: this.name, error });
        }
        restarts = await this.#afterFailure(error, restarts);
      }
    }
  }

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

  /** Waits as its strategy says; gives the restarts that count from now on. */
  async #afterFailure(error: unknown, restarts: readonly number[]): Promise<readonly number[]> {
    const { env } = this;
    const now = env.monotonic();
    const circumstances = { now, random: env.random() };
    const directive = directiveFor("defect", restarts, this.#strategy, circumstances);
    if (directive.do === "stop") {
      await this.#quarantine(error, directive.forMs);
      return [];
    }
    const inMs = directive.do === "restart" ? directive.inMs : 0;
    const { restartWindowMs: windowMs } = this.#strategy;
    this.#restarts = [...recentOf(this.#restarts, windowMs, now), now];
    this.#observe({ type: "worker-failed", worker: this.name, error, restartInMs: inMs });
    this.#waiting++;
    // Even if it is to begin at once: what it threw without waiting must not keep others from running.
    await this.pause(inMs);
    this.#waiting--;
    return [...recentOf(restarts, windowMs, now), now];
  }

  async #quarantine(error: unknown, forMs: number): Promise<void> {
    const subject = { is: "worker", worker: this.name } as const;
    const held = ++this.#quarantined;
    this.#observe({ type: "quarantined", subject, error, forMs, held });
    await this.pause(forMs);
    this.#quarantined--;
    if (this.isDraining) return;
    this.#observe({ type: "released", subject, because: "time", held: this.#quarantined });
  }

  #stateNow(): WorkerState {
    if (this.#state !== "running") return this.#state;
    if (this.#quarantined > 0) return "quarantined";
    return this.#waiting > 0 ? "restarting" : "running";
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
    const { env } = this;
    return retryTransient(attempt, {
      ...retryPolicies.lease,
      env,
      budget: this.#budget,
      onFailure,
    });
  }

  /** At the longest for `ms`; ends when it is drained. */
  protected async pause(ms: number): Promise<void> {
    await pause(this.env, ms, this.#drained.signal);
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
      await pause(this.env, leftMs, nudged.signal);
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
    await Promise.race([drained, pause(this.env, this.#drainMs, isDrained.signal)]);
    if (!isDrained.signal.aborted) this.abandon();
    await drained;
  }
}
