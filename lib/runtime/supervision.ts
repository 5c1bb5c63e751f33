/**
 * The root of the tree: answers for the supervisors of all kinds, and hears what they cannot decide.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { type DataLoss, recentOf } from "./directive.ts";
import type { Address } from "./envelope.ts";
import type { Observe, ReleasedBy } from "./observe.ts";
import {
  type ActorStrategy,
  defaultActorStrategy,
  Supervisor,
  type SupervisorReport,
} from "./supervisor.ts";

export interface RootStrategy {
  /** Escalations within the window; one more ends the node. */
  readonly escalationsMax: number;
  readonly escalationWindowMs: number;
}

export const defaultRootStrategy: RootStrategy = {
  escalationsMax: 3,
  escalationWindowMs: 10 * 60_000,
};

/** That the store was found to have lost events, until somebody says to have seen to it. */
export interface DataLossReport {
  /** In epoch milliseconds, as the next. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** Actors that it was found at. */
  readonly actors: number;
  /** At the last of them. */
  readonly error: string;
}

export interface SupervisionReport {
  readonly strategy: RootStrategy;
  /** Within the last window. */
  readonly escalations: number;
  readonly dataLoss?: DataLossReport;
  readonly supervisors: readonly SupervisorReport[];
}

export interface SupervisionHealth {
  readonly quarantined: number;
  readonly stoppedKinds: readonly string[];
  readonly isDataLost: boolean;
}

export interface SupervisionOptions {
  readonly env: Env;
  readonly observe: Observe;
  readonly stopped: AbortSignal;
  readonly strategy?: Partial<RootStrategy>;
}

export class Supervision {
  readonly #options: SupervisionOptions;
  readonly #strategy: RootStrategy;
  readonly #supervisors = new Map<string, Supervisor>();
  readonly #ended = Promise.withResolvers<Error>();
  #epoch = 0;
  #escalations: readonly number[] = [];
  #dataLoss: DataLossReport | undefined;

  constructor(options: SupervisionOptions) {
    this.#options = options;
    this.#strategy = { ...defaultRootStrategy, ...options.strategy };
  }

  /** What was read from the store in an earlier epoch is not to be trusted any more. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Resolves, with the reason, once the node had better end: it never comes to rest by itself. */
  get ended(): Promise<Error> {
    return this.#ended.promise;
  }

  get dataLoss(): DataLossReport | undefined {
    return this.#dataLoss;
  }

  /** The supervisor of that kind; the first to ask for it may say how it is to act. */
  of(kind: string, strategy: Partial<ActorStrategy> = {}): Supervisor {
    const existing = this.#supervisors.get(kind);
    if (existing !== undefined) return existing;
    const { env, observe, stopped } = this.#options;
    const supervisor = new Supervisor(kind, { ...defaultActorStrategy, ...strategy }, {
      env,
      observe,
      stopped,
      escalate: (loss, epoch) => this.#escalate(loss, epoch),
    });
    this.#supervisors.set(kind, supervisor);
    return supervisor;
  }

  isQuarantined({ kind, key }: Address): boolean {
    return this.#supervisors.get(kind)?.isQuarantined(key) ?? false;
  }

  isStopped(kind: string): boolean {
    return this.#supervisors.get(kind)?.isStopped ?? false;
  }

  /** False if the actor was not in quarantine. */
  release({ kind, key }: Address, because: ReleasedBy = "operator"): boolean {
    return this.#supervisors.get(kind)?.release(key, because) ?? false;
  }

  /** False if the kind was not stopped. */
  releaseKind(kind: string, because: ReleasedBy = "operator"): boolean {
    return this.#supervisors.get(kind)?.releaseKind(because) ?? false;
  }

  /** False if there is none to be acknowledged. */
  acknowledgeDataLoss(): boolean {
    const isThere = this.#dataLoss !== undefined;
    this.#dataLoss = undefined;
    return isThere;
  }

  /** In a word: how many actors are in quarantine, which kinds are stopped, and whether data is lost. */
  health(): SupervisionHealth {
    const { supervisors, dataLoss } = this.report();
    const stopped = supervisors.filter((supervisor) => supervisor.stopped !== undefined);
    return {
      quarantined: supervisors.reduce((sum, { quarantined }) => sum + quarantined.length, 0),
      stoppedKinds: stopped.map(({ kind }) => kind),
      isDataLost: dataLoss !== undefined,
    };
  }

  report(): SupervisionReport {
    const now = this.#options.env.monotonic();
    return {
      strategy: this.#strategy,
      escalations: recentOf(this.#escalations, this.#strategy.escalationWindowMs, now).length,
      ...(this.#dataLoss !== undefined && { dataLoss: this.#dataLoss }),
      supervisors: [...this.#supervisors.values()].map((supervisor) => supervisor.report()),
    };
  }

  /**
   * A store that lost the events of one actor has lost those of others, too: a copy that was behind
   * has taken over. All that was read before is dropped. Whoever was amid a turn then may find the
   * same loss later; it is told, but what had to be done is done.
   */
  #escalate(loss: DataLoss, epoch: number): void {
    const { env, observe } = this.#options;
    const at = env.now();
    const { firstAt = at, actors = 0 } = this.#dataLoss ?? {};
    this.#dataLoss = { firstAt, lastAt: at, actors: actors + 1, error: loss.message };
    const { address, known, stored } = loss;
    observe({ type: "data-loss", address, known, stored, error: loss });
    if (epoch !== this.#epoch) return;
    this.#epoch++;
    const { escalationsMax, escalationWindowMs } = this.#strategy;
    const now = env.monotonic();
    const recent = recentOf(this.#escalations, escalationWindowMs, now);
    this.#escalations = [...recent, now];
    if (this.#escalations.length <= escalationsMax) return;
    const times = `${this.#escalations.length} times within ${escalationWindowMs} ms`;
    this.#ended.resolve(new Error(`The store lost events ${times}`, { cause: loss }));
  }
}
