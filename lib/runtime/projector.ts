/**
 * Keeps read models up with what is recorded.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { Observe } from "./observe.ts";
import type { FeedEvent } from "./store.ts";

/** Folds the events of one or several kinds of actor into tables, in a transaction of the store. */
export interface Projection<Transaction> {
  /** Names the checkpoint; stored, so never renamed. */
  readonly name: string;
  readonly kind: string | readonly string[];
  /**
   * Asked before each page: the one kind whose next event can matter as things stand, if there is
   * such a one. All events before that are then passed over unread, however many they are.
   */
  only?(transaction: Transaction): Promise<string | undefined>;
  /** Sees each event exactly once, but for those passed over, in an order that keeps each actor's. */
  apply(transaction: Transaction, events: readonly FeedEvent[]): Promise<void>;
}

export interface Advance {
  readonly events: number;
  /** Writes up to this transaction are shown by the projection. */
  readonly through: string;
}

export interface ProjectionStore<Transaction> {
  /**
   * Has the projection apply at most `limit` events behind its checkpoint, and moves the checkpoint
   * in the same transaction. Undefined while another reader is at it.
   */
  advance(projection: Projection<Transaction>, limit: number): Promise<Advance | undefined>;
  /** The transaction through which the projection shows everything, whichever node made it so. */
  through(projection: string): Promise<string>;
}

export interface ProjectorLimits {
  /** Events of one transaction; folding them holds up everything else in this process. */
  readonly pageMax: number;
  /**
   * After a commit was seen, how long to gather more before reading, unless a query waits: pages
   * are cheaper by the thousand, and commands come first.
   */
  readonly gatherMs: number;
  /** How often to look without having been woken: other nodes commit too. */
  readonly pollMs: number;
  /** How often a waiting query looks at the checkpoint. */
  readonly waitPollMs: number;
}

export const defaultProjectorLimits: ProjectorLimits = {
  pageMax: 200,
  gatherMs: 1_000,
  pollMs: 1_000,
  waitPollMs: 20,
};

export interface ProjectorOptions<Transaction> {
  readonly projection: Projection<Transaction>;
  readonly store: ProjectionStore<Transaction>;
  readonly env: Env;
  readonly observe: Observe;
  readonly limits?: Partial<ProjectorLimits>;
}

/** Drives one projection; any number of nodes may, one at a time has effect. */
export class Projector<Transaction> implements AsyncDisposable {
  readonly #options: ProjectorOptions<Transaction>;
  readonly #limits: ProjectorLimits;
  readonly #stopped = new AbortController();
  readonly #ended: Promise<void>;
  #through = 0n;
  #nudge: (() => void) | undefined;
  #isWanted = false;
  #isAwaited = false;

  constructor(options: ProjectorOptions<Transaction>) {
    this.#options = options;
    this.#limits = { ...defaultProjectorLimits, ...options.limits };
    this.#ended = this.#run();
  }

  /** Something was committed: look soon. */
  wake(): void {
    this.#isWanted = true;
    this.#nudge?.();
  }

  /** Resolves to whether the projection shows this write, at the latest after `withinMs`. */
  async shows(transaction: string, withinMs: number): Promise<boolean> {
    const { env, store, projection } = this.#options;
    const wanted = BigInt(transaction);
    const until = env.monotonic() + withinMs;
    while (this.#through < wanted) {
      const leftMs = until - env.monotonic();
      if (leftMs <= 0) return false;
      this.#isAwaited = true;
      this.#nudge?.();
      await env.sleep(Math.min(leftMs, this.#limits.waitPollMs));
      if (this.#through >= wanted) break;
      this.#advanceTo(await store.through(projection.name));
    }
    return true;
  }

  /** Lets the page in hand be finished, and takes no other. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { observe, projection } = this.#options;
    while (!this.#stopped.signal.aborted) {
      this.#isWanted = false;
      this.#isAwaited = false;
      try {
        if (await this.#advance()) continue;
      } catch (error) {
        observe({ type: "projection-failed", projection: projection.name, error });
      }
      await this.#rest();
    }
  }

  /** One page; true if more is likely to be there. */
  async #advance(): Promise<boolean> {
    const { store, projection, env, observe } = this.#options;
    const startedAt = env.monotonic();
    const advance = await store.advance(projection, this.#limits.pageMax);
    if (advance === undefined) return false;
    this.#advanceTo(advance.through);
    if (advance.events > 0) {
      observe({
        type: "projected",
        projection: projection.name,
        events: advance.events,
        durationMs: env.monotonic() - startedAt,
      });
    }
    return advance.events === this.#limits.pageMax;
  }

  #advanceTo(through: string): void {
    const reached = BigInt(through);
    if (reached > this.#through) this.#through = reached;
  }

  /** Until the next poll; a while after a commit; and no longer once a query waits. */
  async #rest(): Promise<void> {
    const { pollMs, gatherMs } = this.#limits;
    await this.#restUntil(() => this.#isWanted || this.#isAwaited, pollMs);
    if (this.#isWanted) await this.#restUntil(() => this.#isAwaited, gatherMs);
  }

  /** At the longest for `ms`. */
  async #restUntil(isOver: () => boolean, ms: number): Promise<void> {
    const { env } = this.#options;
    const stopped = this.#stopped.signal;
    const until = env.monotonic() + ms;
    for (let left = ms; left > 0; left = until - env.monotonic()) {
      if (isOver() || stopped.aborted) return;
      const nudged = new AbortController();
      this.#nudge = () => nudged.abort();
      const signal = AbortSignal.any([nudged.signal, stopped]);
      try {
        await env.sleep(left, signal);
      } catch (reason) {
        if (reason !== signal.reason) throw reason;
      } finally {
        this.#nudge = undefined;
      }
    }
  }
}
