/**
 * Keeps what is known of revocations up with what is recorded, on every node by itself.
 *
 * They come from the store and from nowhere else: a node that hears nothing of its peers, as while
 * Redis is away or was emptied, knows of them as soon.
 *
 * @module
 */
import { TransientFault } from "../fault.ts";
import { Worker, type WorkerOptions } from "../runtime/worker.ts";
import type { Revocation, Revocations } from "./revocations.ts";

export interface RevocationPage {
  readonly revocations: readonly Revocation[];
  /** All that is recorded and not in this page, nor in one before, is found from here on. */
  readonly horizon: string;
}

export interface RevocationSource {
  /** Those of the last `withinMs`, in any order. */
  recent(withinMs: number): Promise<RevocationPage>;
  /** Those that a page with this horizon may have missed; some of them for a second time. */
  since(horizon: string): Promise<RevocationPage>;
}

export interface WatchLimits {
  /** From one look to the next; with the time that a look takes, how late a revocation may be. */
  readonly pollMs: number;
  /** After so long without a look that went well, nothing shown is believed. */
  readonly staleMs: number;
  /** How far back to look at the start. */
  readonly recentMs: number;
}

export const defaultWatchLimits: Omit<WatchLimits, "recentMs"> = { pollMs: 250, staleMs: 5_000 };

export interface RevocationWatchOptions extends Pick<WorkerOptions, "env" | "observe"> {
  readonly source: RevocationSource;
  readonly revocations: Revocations;
  /**
   * Nothing can be recorded, so nothing can be done with what was revoked, and what was shown may be
   * read from memory: then what was known last goes on being believed.
   */
  readonly isReadOnly: () => boolean;
  readonly limits: Pick<WatchLimits, "recentMs"> & Partial<WatchLimits>;
}

const DRAIN_MS = 2_000;

export class RevocationWatch extends Worker {
  readonly #options: RevocationWatchOptions;
  readonly #limits: WatchLimits;
  readonly #first = Promise.withResolvers<void>();
  #horizon: string | undefined;
  /** In monotonic milliseconds, when the last look that went well began. */
  #currentAt: number;

  /** Starts it. */
  constructor(options: RevocationWatchOptions) {
    const { env, observe, limits } = options;
    super({ name: "revocations", env, observe, drainMs: DRAIN_MS });
    this.#options = options;
    this.#limits = { ...defaultWatchLimits, ...limits };
    this.#currentAt = env.monotonic();
    // Perhaps nobody waits for it.
    this.#first.promise.catch(() => {});
    this.start();
  }

  /** How long ago it was last known what is revoked. */
  get ageMs(): number {
    return this.env.monotonic() - this.#currentAt;
  }

  /**
   * Nothing to wait for while it is known what is revoked; before the first look has ended, that.
   *
   * @throws {TransientFault} when it has not been known for too long.
   */
  believing(): Promise<void> | undefined {
    if (this.isKnown) return undefined;
    if (!this.#isStale) return this.#first.promise;
    if (this.#options.isReadOnly()) return undefined;
    throw this.#ignorance();
  }

  /** Whether it is known what is revoked, up to a moment ago. */
  get isKnown(): boolean {
    return this.#horizon !== undefined && !this.#isStale;
  }

  /** Resolves once the first look has ended, well or with a store that is read-only. */
  get ready(): Promise<void> {
    return this.#first.promise;
  }

  protected override async run(): Promise<void> {
    while (!this.isDraining) {
      try {
        await this.#look();
        this.note();
      } catch (error) {
        if (!(error instanceof TransientFault)) throw error;
        this.note(error);
        // Nobody waits longer than they would have to be believed later on.
        if (this.#options.isReadOnly()) this.#first.resolve();
        else if (this.#isStale) this.#first.reject(this.#ignorance());
      }
      await this.rest(this.#limits.pollMs);
    }
  }

  protected override finish(): Promise<void> {
    this.#first.reject(new TransientFault("Cannot look at revocations: the node is stopping"));
    return Promise.resolve();
  }

  get #isStale(): boolean {
    return this.ageMs > this.#limits.staleMs;
  }

  #ignorance(): TransientFault {
    const ms = Math.round(this.ageMs);
    return new TransientFault(`It is not known what was revoked in the last ${ms} ms`);
  }

  async #look(): Promise<void> {
    const { source, revocations } = this.#options;
    const startedAt = this.env.monotonic();
    const page = await this.#page(source);
    for (const revocation of page.revocations) revocations.note(revocation);
    revocations.forget();
    // A store that stands where it stood before has been put back in time: look from the beginning.
    const isPutBack = this.#horizon !== undefined && BigInt(page.horizon) < BigInt(this.#horizon);
    this.#horizon = isPutBack ? undefined : page.horizon;
    if (isPutBack) return;
    this.#currentAt = startedAt;
    this.#first.resolve();
  }

  #page(source: RevocationSource): Promise<RevocationPage> {
    return this.#horizon === undefined
      ? source.recent(this.#limits.recentMs)
      : source.since(this.#horizon);
  }
}
