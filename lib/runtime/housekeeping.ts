/**
 * Drops remembered replies once nobody can expect them any more.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { Observe } from "./observe.ts";
import type { Store } from "./store.ts";
import { Worker } from "./worker.ts";

export interface HousekeepingOptions {
  readonly env: Env;
  readonly store: Store;
  readonly observe: Observe;
  /** How long a reply is remembered. */
  readonly replyRetentionMs: number;
  readonly everyMs?: number;
}

const EVERY_MS = 10 * 60_000;
/** Rows of one deletion: few enough that it holds nobody up. */
const DELETE_MAX = 5_000;
/** What one deletion may take. */
const DRAIN_MS = 5_000;

/** Several nodes may run one: what one has dropped, the next does not find. */
export class Housekeeping extends Worker {
  readonly #options: HousekeepingOptions;

  constructor(options: HousekeepingOptions) {
    const { env, observe } = options;
    super({ name: "housekeeping", env, observe, drainMs: DRAIN_MS });
    this.#options = options;
  }

  protected override async run(): Promise<void> {
    const { env, observe, replyRetentionMs, everyMs = EVERY_MS } = this.#options;
    while (true) {
      await this.pause(everyMs);
      if (this.isDraining) return;
      try {
        await this.#forgetReplies(env.now() - replyRetentionMs);
        this.note();
      } catch (error) {
        this.note(error);
        observe({ type: "maintenance-failed", task: "forget-replies", error });
      }
    }
  }

  async #forgetReplies(before: number): Promise<void> {
    const { store } = this.#options;
    while (!this.isDraining && await store.forgetReplies(before, DELETE_MAX) === DELETE_MAX);
  }
}
