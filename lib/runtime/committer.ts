/**
 * Group commit: the turns of many actors become one statement.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { PoisonFault } from "../fault.ts";
import { retryPolicies, retryTransient } from "../resilience/retry.ts";
import type { RetryBudget } from "../resilience/retry_budget.ts";
import { Batcher } from "./batcher.ts";
import type { Observe } from "./observe.ts";
import type { Commit, CommitOutcome, Store } from "./store.ts";

export interface CommitterLimits {
  /** Commits of one statement. */
  readonly batchMax: number;
  /** Events of one statement, unless a single commit has more. */
  readonly batchEventsMax: number;
  readonly statementsInFlightMax: number;
  /** A batch that cannot be written is tried again for this long, then its callers hear of it. */
  readonly giveUpMs: number;
}

/** What became of one commit. Those of one batch may end differently once it had to be split. */
type Ending = CommitOutcome | { readonly is: "failed"; readonly error: unknown };

export class Committer {
  readonly #store: Store;
  readonly #env: Env;
  readonly #observe: Observe;
  readonly #giveUpMs: number;
  readonly #budget: RetryBudget | undefined;
  readonly #batcher: Batcher<Commit, Ending>;

  constructor(
    store: Store,
    env: Env,
    observe: Observe,
    limits: CommitterLimits,
    budget?: RetryBudget,
  ) {
    this.#store = store;
    this.#env = env;
    this.#observe = observe;
    this.#giveUpMs = limits.giveUpMs;
    this.#budget = budget;
    this.#batcher = new Batcher({
      run: (batch) => this.#write(batch),
      batchMax: limits.batchMax,
      inFlightMax: limits.statementsInFlightMax,
      weight: ({ events }) => events.length,
      weightMax: limits.batchEventsMax,
    });
  }

  /**
   * Resolves once the store has answered for this commit.
   *
   * @throws {TransientFault} when the store could not be reached in time. Its outcome is `unknown`
   * if any attempt may have been applied.
   */
  async commit(commit: Commit): Promise<CommitOutcome> {
    const ending = await this.#batcher.add(commit);
    if (ending.is === "failed") throw ending.error;
    return ending;
  }

  /** Never throws: what one half of a split batch has come to must not be lost with the other. */
  async #write(batch: readonly Commit[]): Promise<readonly Ending[]> {
    try {
      return await this.#writeOrRepeat(batch);
    } catch (error) {
      if (!(error instanceof PoisonFault)) return batch.map(() => ({ is: "failed", error }));
      if (batch.length === 1) return [{ is: "poison", cause: error }];
      // Nothing of the batch was applied. Halving finds the commits that cannot be
      // stored in a few statements and lets all others through.
      this.#observe({ type: "batch-bisected", actors: batch.length, error });
      const middle = batch.length >> 1;
      const first = await this.#write(batch.slice(0, middle));
      return [...first, ...await this.#write(batch.slice(middle))];
    }
  }

  /**
   * Repeats the identical batch until the store says what became of it. A connection lost at
   * COMMIT leaves that open, and a repetition is how one asks: what was applied comes back as a
   * conflict, and the actor then finds its own events in the stream.
   */
  async #writeOrRepeat(batch: readonly Commit[]): Promise<readonly CommitOutcome[]> {
    const startedAt = this.#env.monotonic();
    const outcomes = await retryTransient(() => this.#store.commit(batch), {
      ...retryPolicies.commit,
      giveUpMs: this.#giveUpMs,
      env: this.#env,
      budget: this.#budget,
      onFailure: (error, retryInMs) =>
        this.#observe({ type: "commit-failed", actors: batch.length, error, retryInMs }),
    });
    this.#observe({
      type: "commit",
      actors: batch.length,
      events: batch.reduce((sum, { events }) => sum + events.length, 0),
      replies: batch.reduce((sum, { replies }) => sum + replies.length, 0),
      conflicts: outcomes.filter(({ is }) => is === "conflict").length,
      durationMs: this.#env.monotonic() - startedAt,
    });
    return outcomes;
  }
}
