/**
 * Keeps read models up with what is recorded.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { backoffMs } from "../resilience/backoff.ts";
import type { Delivery, Middleware } from "./middleware.ts";
import type { Observe } from "./observe.ts";
import type { FeedEvent, FeedQuery } from "./store.ts";
import { Worker } from "./worker.ts";

/** Follows the feed with effects in a transaction of the store, such as rows of read tables. */
export interface Projection<Transaction> {
  /** Names the checkpoint; stored, so never renamed. */
  readonly name: string;
  /** Of actors of this kind, or of these kinds, only. */
  readonly kind?: string | readonly string[];
  /** Events of these types only. */
  readonly types?: readonly string[];
  /** A migration has made an index of just these kinds and types, in the order of the feed. */
  readonly hasIndex?: boolean;
  /** Where it begins while it has no checkpoint: at the beginning, unless told otherwise. */
  readonly start?: "beginning" | "now";
  /** All that `apply` writes to, by names without a schema; what a rebuild replaces. */
  readonly tables?: readonly string[];
  /**
   * Asked before each page: the one kind whose next event can matter as things stand, if there is
   * such a one. All events before that are then passed over unread, however many they are.
   */
  only?(transaction: Transaction): Promise<string | undefined>;
  /** Sees each event exactly once, but for those passed over, in an order that keeps each actor's. */
  apply(transaction: Transaction, events: readonly FeedEvent[]): Promise<void>;
}

/** What a projection asks the feed for. */
export function wantedBy(
  { kind, types, hasIndex = false }: Pick<Projection<never>, "kind" | "types" | "hasIndex">,
): Pick<FeedQuery, "kind" | "types" | "hasIndex"> {
  return { ...(kind !== undefined && { kind }), ...(types !== undefined && { types }), hasIndex };
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
  /** Between pages while there are more, unless a query waits: consumers in no hurry let others by. */
  readonly restMs: number;
  /**
   * Of its time, the part that it spends on pages at most, while there are more and no query waits:
   * what a page costs differs from store to store.
   */
  readonly shareMax: number;
  /**
   * After a commit was seen, how long to gather more before reading, unless a query waits: pages
   * are cheaper by the thousand, and commands come first.
   */
  readonly gatherMs: number;
  /** How often to look without having been woken: other nodes commit too. */
  readonly pollMs: number;
  /** How often a waiting query looks at the checkpoint. */
  readonly waitPollMs: number;
  /** After a failure; each further one in a row makes the pause longer. */
  readonly pauseFirstMs: number;
  /** The longest pause; after a fault of the world it is `pollMs`. */
  readonly pauseMostMs: number;
}

/** What a page may take. */
const DRAIN_MS = 10_000;

export const defaultProjectorLimits: ProjectorLimits = {
  pageMax: 200,
  restMs: 0,
  shareMax: 1,
  gatherMs: 1_000,
  pollMs: 1_000,
  waitPollMs: 20,
  pauseFirstMs: 100,
  pauseMostMs: 60_000,
};

export interface ProjectorOptions<Transaction> {
  readonly projection: Projection<Transaction>;
  readonly store: ProjectionStore<Transaction>;
  readonly env: Env;
  readonly observe: Observe;
  readonly limits?: Partial<ProjectorLimits>;
  /** Goes around every call of `apply`, within the transaction. */
  readonly around?: Middleware;
}

/**
 * Drives one projection; any number of nodes may, one at a time has effect.
 *
 * A page that fails is tried again with growing pauses. If the world is well, its events are then
 * taken one by one: those before the one that is not to be handled get through, and that one is
 * known. It is never skipped: nothing behind it is applied until it is.
 */
export class Projector<Transaction> extends Worker {
  readonly #options: ProjectorOptions<Transaction>;
  readonly #limits: ProjectorLimits;
  /** The projection with the layers around it. */
  readonly #wrapped: Projection<Transaction>;
  #through = 0n;
  /** What `apply` was last called with, by this attempt. */
  #page: readonly FeedEvent[] = [];
  /** How long the last page took. */
  #pageMs = 0;
  /** Failures in a row. */
  #failures = 0;
  /** So many events are taken one by one, as one of them fails its page. */
  #singles = 0;
  #isWanted = false;
  #isAwaited = false;

  /** Starts it. */
  constructor(options: ProjectorOptions<Transaction>) {
    const { projection, env, observe } = options;
    super({ name: `projection/${projection.name}`, env, observe, drainMs: DRAIN_MS });
    this.#options = options;
    this.#limits = { ...defaultProjectorLimits, ...options.limits };
    this.#wrapped = {
      ...options.projection,
      apply: (transaction, events) => this.#apply(transaction, events),
    };
    this.start();
  }

  /** Something was committed: look soon. */
  override wake(): void {
    this.#isWanted = true;
    this.nudge();
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
      this.nudge();
      await env.sleep(Math.min(leftMs, this.#limits.waitPollMs));
      if (this.#through >= wanted) break;
      this.#advanceTo(await store.through(projection.name));
    }
    return true;
  }

  /** Once drained, the page in hand is finished, and no other taken. */
  protected override async run(): Promise<void> {
    while (!this.isDraining) {
      this.#isWanted = false;
      this.#isAwaited = false;
      try {
        if (!await this.#advance()) await this.#restAWhile();
        else await this.restUntil(() => this.#isAwaited, this.#breatherMs());
      } catch (error) {
        await this.restUntil(() => false, this.#noteFailure(error));
      }
    }
  }

  #breatherMs(): number {
    const { restMs, shareMax } = this.#limits;
    return Math.max(restMs, this.#pageMs * (1 / shareMax - 1));
  }

  /** One page; true if more is likely to be there. */
  async #advance(): Promise<boolean> {
    const { store, projection, env, observe } = this.#options;
    const startedAt = env.monotonic();
    const limit = this.#singles > 0 ? 1 : this.#limits.pageMax;
    this.#page = [];
    const advance = await store.advance(this.#wrapped, limit);
    if (advance === undefined) return false;
    this.#pageMs = env.monotonic() - startedAt;
    this.#failures = 0;
    this.note();
    this.#singles = Math.max(0, this.#singles - 1);
    this.#advanceTo(advance.through);
    if (advance.events > 0) {
      observe({
        type: "projected",
        projection: projection.name,
        events: advance.events,
        durationMs: this.#pageMs,
      });
    }
    return advance.events === limit;
  }

  async #apply(transaction: Transaction, events: readonly FeedEvent[]): Promise<void> {
    const { projection, around } = this.#options;
    this.#page = events;
    const apply = () => projection.apply(transaction, events);
    if (around === undefined) return await apply();
    const { name: subscriber } = projection;
    const attempt = this.#failures + 1;
    const delivery: Delivery = { subscriber, mode: "durable", events, attempt };
    await around(delivery, apply);
  }

  /** How long to leave it alone. */
  #noteFailure(error: unknown): number {
    const { env, observe, projection } = this.#options;
    const { pauseFirstMs: firstMs, pauseMostMs, pollMs } = this.#limits;
    const isFault = error instanceof TransientFault;
    const attempts = ++this.#failures;
    this.note(error);
    const mostMs = isFault ? Math.min(pollMs, pauseMostMs) : pauseMostMs;
    const retryInMs = backoffMs(attempts, env.random(), { firstMs, mostMs });
    const [first, ...rest] = this.#page;
    if (!isFault) this.#singles = Math.max(this.#singles, this.#page.length);
    const { address, version } = first ?? {};
    observe({
      type: "projection-failed",
      projection: projection.name,
      error,
      attempts,
      retryInMs,
      ...(first !== undefined && { ageMs: env.now() - first.at }),
      ...(!isFault && first !== undefined && rest.length === 0 && {
        blockedBy: { address: address!, version: version! },
      }),
    });
    return retryInMs;
  }

  #advanceTo(through: string): void {
    const reached = BigInt(through);
    if (reached > this.#through) this.#through = reached;
  }

  /** Until the next poll; a while after a commit; and no longer once a query waits. */
  async #restAWhile(): Promise<void> {
    const { pollMs, gatherMs } = this.#limits;
    await this.restUntil(() => this.#isWanted || this.#isAwaited, pollMs);
    if (this.#isWanted) await this.restUntil(() => this.#isAwaited, gatherMs);
  }
}
