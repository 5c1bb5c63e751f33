/**
 * A wall around one kind of work, so that it cannot take what all others need: cockatiel's, with an
 * end to waiting.
 *
 * @module
 */
import { bulkhead, BulkheadRejectedError } from "cockatiel";
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";

export interface BulkheadOptions {
  readonly name: string;
  readonly env: Pick<Env, "monotonic">;
  /** Run at a time. */
  readonly runningMax: number;
  /** Wait for their turn. */
  readonly waitingMax: number;
  /** Whoever has waited so long when its turn comes has waited in vain. */
  readonly waitMs: number;
}

export interface BulkheadStanding {
  readonly name: string;
  readonly running: number;
  readonly waiting: number;
  /** Turned away since it was constructed. */
  readonly refused: number;
}

export class Bulkhead {
  readonly name: string;
  readonly #options: BulkheadOptions;
  readonly #policy: ReturnType<typeof bulkhead>;
  readonly #listeners: (() => void)[] = [];
  #refused = 0;

  constructor(options: BulkheadOptions) {
    this.name = options.name;
    this.#options = options;
    this.#policy = bulkhead(options.runningMax, options.waitingMax);
  }

  /** Hears of everyone who is turned away; must not throw. */
  onRefused(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** @throws {TransientFault} when too many wait already, or it has waited for too long. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    const { env, waitMs } = this.#options;
    const askedAt = env.monotonic();
    try {
      return await this.#policy.execute(() => {
        if (env.monotonic() - askedAt > waitMs) {
          throw this.#refusal(`others were in its way for ${waitMs} ms`);
        }
        return task();
      });
    } catch (error) {
      if (!(error instanceof BulkheadRejectedError)) throw error;
      throw this.#refusal("too many wait already");
    }
  }

  standing(): BulkheadStanding {
    const { runningMax, waitingMax } = this.#options;
    return {
      name: this.name,
      running: runningMax - this.#policy.executionSlots,
      waiting: waitingMax - this.#policy.queueSlots,
      refused: this.#refused,
    };
  }

  #refusal(why: string): TransientFault {
    this.#refused++;
    for (const tell of this.#listeners) tell();
    return new TransientFault(`Cannot run any more ${this.name}: ${why}`);
  }
}
