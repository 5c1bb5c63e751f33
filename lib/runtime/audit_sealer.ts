/**
 * Seals what the audit keeps, about a second after it was written; and says each hour, and after so
 * many seals, what the newest is, so that it is known in places that nobody can change together.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { AuditRewritten, type AuditSealing } from "./audit.ts";
import type { Observe } from "./observe.ts";
import { Worker } from "./worker.ts";

export interface AuditSealerOptions {
  readonly env: Env;
  readonly sealing: AuditSealing;
  readonly observe: Observe;
  readonly everyMs?: number;
  readonly headEveryMs?: number;
}

const EVERY_MS = 1_000;
/** The alarm is repeated as often. */
const HEAD_EVERY_MS = 3_600_000;
/** Made by this node since it last told the newest. */
export const HEAD_EVERY_SEALS = 1_000;
/** Rows of one transaction. */
const SEALED_MAX = 500;
const DRAIN_MS = 5_000;

/** Every node may run one: they take turns. */
export class AuditSealer extends Worker {
  readonly #options: AuditSealerOptions;
  #isFailing = false;
  /** When to say next that it was rewritten. */
  #alarmAt = -Infinity;
  /** Seals since the newest was told. */
  #untold = 0;

  constructor(options: AuditSealerOptions) {
    const { env, observe } = options;
    super({ name: "audit", env, observe, drainMs: DRAIN_MS });
    this.#options = options;
  }

  protected override async run(): Promise<void> {
    const { env, everyMs = EVERY_MS, headEveryMs = HEAD_EVERY_MS } = this.#options;
    let tellAt = env.monotonic();
    while (!this.isDraining) {
      const isTime = env.monotonic() >= tellAt;
      // All rows are looked at as often as the newest seal is told in any case.
      const step = { all: isTime, tellsFrom: isTime ? 0 : HEAD_EVERY_SEALS };
      if (await this.#step(step) && isTime) tellAt = env.monotonic() + headEveryMs;
      await this.rest(everyMs);
    }
    // What was done last is sealed as well, if the store can be reached.
    await this.#step({ all: false, tellsFrom: 1 });
  }

  /** Whether it went well. The newest seal is told if there are so many that were not. */
  async #step({ all, tellsFrom }: { all: boolean; tellsFrom: number }): Promise<boolean> {
    try {
      await this.#seal(all);
      if (this.#untold >= tellsFrom) await this.#tellHead();
      this.note();
      this.#isFailing = false;
      this.#alarmAt = -Infinity;
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error: unknown): void {
    const { env, observe, headEveryMs = HEAD_EVERY_MS } = this.#options;
    if (error instanceof AuditRewritten) {
      this.note(error);
      if (env.monotonic() < this.#alarmAt) return;
      this.#alarmAt = env.monotonic() + headEveryMs;
      const { known, found } = error;
      return observe({ type: "audit-rewritten", known, ...(found !== undefined && { found }) });
    }
    if (!(error instanceof TransientFault)) throw error;
    this.note(error);
    if (!this.#isFailing) observe({ type: "maintenance-failed", task: "seal-audit", error });
    this.#isFailing = true;
  }

  async #seal(all: boolean): Promise<void> {
    const { sealing } = this.#options;
    let sealed: number;
    do {
      sealed = await sealing.seal({ limit: SEALED_MAX, all });
      this.#untold += sealed;
    } while (sealed === SEALED_MAX);
  }

  async #tellHead(): Promise<void> {
    const { sealing, observe } = this.#options;
    const head = await sealing.head();
    if (head !== undefined) observe({ type: "audit-head", ...head });
    this.#untold = 0;
  }
}
