/**
 * Makes the tables of a projection anew from the beginning of the feed, beside those in use, and
 * then puts them in their place.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { backoffMs } from "../resilience/backoff.ts";
import { pause } from "../resilience/pause.ts";
import type { Observe } from "./observe.ts";
import type { Operator } from "./outbox.ts";
import type { Projection } from "./projector.ts";

export type RebuildState = "running" | "interrupted" | "done" | "failed";

/** The newest rebuild of a projection. */
export interface Rebuild {
  readonly state: RebuildState;
  readonly principalId: string;
  /** In epoch milliseconds, as the next. */
  readonly startedAt: number;
  readonly endedAt?: number;
  /** Applied so far. */
  readonly events: number;
  readonly through: string;
  readonly error?: string;
}

/** How far a projection is. */
export interface ProjectionStanding {
  readonly name: string;
  /** Writes up to this transaction are shown by it, and perhaps later ones. */
  readonly through: string;
  /** Of the oldest event that it does not show, in epoch milliseconds; undefined if there is none. */
  readonly oldestAt?: number;
  readonly rebuild?: Rebuild;
}

/** One attempt at a rebuild; no other has its token. */
export interface Attempt {
  /** An integer below 2^53. */
  readonly token: number;
  /** Unless it goes on for so long, by the store's clock, it counts as interrupted. */
  readonly leaseMs: number;
}

export interface RebuildPage {
  /** Of this page. */
  readonly events: number;
  /** Of all pages. */
  readonly total: number;
}

export interface Swap {
  /** There was too much yet to be applied, or the tables were in use all the time. */
  readonly is: "swapped" | "behind" | "busy";
  readonly total: number;
}

/** Every method throws {@linkcode TransientFault} when it cannot be done now. */
export interface RebuildStore<Transaction> {
  standing(projection: Projection<Transaction>): Promise<ProjectionStanding>;

  /**
   * Makes empty tables beside those in use, in place of what an earlier rebuild has left behind.
   * Repeated under its token, it begins once.
   *
   * @throws {RebuildRefused} while any rebuild is running, or if these tables cannot be exchanged.
   */
  begin(projection: Projection<Transaction>, attempt: Attempt, operator: Operator): Promise<void>;

  /**
   * Applies at most `limit` further events to the new tables.
   *
   * @throws {RebuildLost} if the attempt is over: another has begun, or it came to its end.
   */
  advance(
    projection: Projection<Transaction>,
    attempt: Attempt,
    limit: number,
  ): Promise<RebuildPage>;

  /** Readies the new tables for queries: all that may take long, and keeps nobody waiting. */
  prepare(projection: Projection<Transaction>): Promise<void>;

  /**
   * Applies the rest and puts the new tables in the place of the old, with their checkpoint, in one
   * transaction: a query meets the one or the other, and what the projection has once shown it goes
   * on showing. Repeated after it was done, it says so.
   *
   * @throws {RebuildLost} like `advance`.
   * @throws {RebuildRefused} if the tables in use have been altered since the rebuild began.
   */
  swap(projection: Projection<Transaction>, attempt: Attempt, limit: number): Promise<Swap>;

  /** Drops the new tables, and notes why; nothing if the attempt is over. */
  fail(projection: Projection<Transaction>, attempt: Attempt, error: string): Promise<void>;
}

export class RebuildRefused extends Error {
  override readonly name = "RebuildRefused";
  readonly reason: "running" | "not-rebuildable";

  constructor(reason: RebuildRefused["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Whoever was at it is not any more. */
export class RebuildLost extends Error {
  override readonly name = "RebuildLost";

  constructor(projection: string) {
    super(`The rebuild of ${projection} is no longer this process's`);
  }
}

export interface RebuildLimits {
  /** Events of one transaction. */
  readonly pageMax: number;
  /** After each page, so that commands come through. */
  readonly restMs: number;
  readonly leaseMs: number;
  /** Of pauses after a failed attempt at a page or at the exchange. */
  readonly pauseFirstMs: number;
  readonly pauseMostMs: number;
  /** How long faults, or tables in use, are put up with in a row. */
  readonly giveUpMs: number;
}

export const defaultRebuildLimits: RebuildLimits = {
  pageMax: 200,
  restMs: 10,
  leaseMs: 60_000,
  pauseFirstMs: 100,
  pauseMostMs: 5_000,
  giveUpMs: 10 * 60_000,
};

export interface RebuilderOptions<Transaction> {
  /** All that there are; those with `tables` can be rebuilt. */
  readonly projections: readonly Projection<Transaction>[];
  readonly store: RebuildStore<Transaction>;
  readonly env: Env;
  readonly observe: Observe;
  readonly limits?: Partial<RebuildLimits>;
}

/** So many that no two attempts ever draw the same. */
const TOKENS = 2 ** 53;

/**
 * Runs rebuilds, one at a time in a cluster. One whose process ends stays as it is, does no harm,
 * and is begun afresh by the next: what it had made may be the work of other code.
 */
export class Rebuilder<Transaction> implements AsyncDisposable {
  readonly #options: RebuilderOptions<Transaction>;
  readonly #limits: RebuildLimits;
  readonly #stopped = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: RebuilderOptions<Transaction>) {
    this.#options = options;
    this.#limits = { ...defaultRebuildLimits, ...options.limits };
  }

  /** Where each projection is, in the order in which they were given. */
  async list(): Promise<readonly ProjectionStanding[]> {
    const { projections, store } = this.#options;
    const standings: ProjectionStanding[] = [];
    for (const projection of projections) standings.push(await store.standing(projection));
    return standings;
  }

  /** Undefined if there is no such projection. */
  async find(name: string): Promise<ProjectionStanding | undefined> {
    const projection = this.#named(name);
    return projection && await this.#options.store.standing(projection);
  }

  /**
   * Begins a rebuild. It resolves once that is durable, to the promise of its end, which is true if
   * the new tables are in place; nobody has to wait for it. Undefined if there is no such projection.
   *
   * @throws {RebuildRefused} like `RebuildStore.begin`.
   */
  async start(
    name: string,
    operator: Operator,
  ): Promise<{ readonly ended: Promise<boolean> } | undefined> {
    const { store, env } = this.#options;
    const projection = this.#named(name);
    if (projection === undefined) return undefined;
    if (this.#stopped.signal.aborted) throw new TransientFault("Cannot rebuild: stopping");
    const token = Math.floor(env.random() * TOKENS);
    const attempt = { token, leaseMs: this.#limits.leaseMs };
    await store.begin(projection, attempt, operator);
    const ended = this.#run(projection, attempt);
    this.#running.add(ended);
    void ended.finally(() => this.#running.delete(ended));
    return { ended };
  }

  /** Lets the page in hand be finished, and ends what is running as interrupted. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#running);
  }

  #named(name: string): Projection<Transaction> | undefined {
    return this.#options.projections.find((projection) => projection.name === name);
  }

  /** Never throws. */
  async #run(projection: Projection<Transaction>, attempt: Attempt): Promise<boolean> {
    const { env, observe } = this.#options;
    const { name } = projection;
    const startedAt = env.monotonic();
    try {
      const events = await this.#rebuild(projection, attempt, startedAt);
      if (events === undefined) {
        await this.#end(projection, attempt, "The process was stopped");
        return false;
      }
      const durationMs = env.monotonic() - startedAt;
      observe({ type: "rebuilt", projection: name, events, durationMs });
      return true;
    } catch (error) {
      observe({ type: "rebuild-failed", projection: name, error });
      await this.#end(projection, attempt, String(error));
      return false;
    }
  }

  /** What cannot be noted now is found to be interrupted once its lease is over. */
  async #end(
    projection: Projection<Transaction>,
    attempt: Attempt,
    error: string,
  ): Promise<void> {
    const { store, observe } = this.#options;
    try {
      await store.fail(projection, attempt, error);
    } catch (fault) {
      observe({ type: "rebuild-failed", projection: projection.name, error: fault });
    }
  }

  /** How many events the new tables were made of; undefined if it was stopped. */
  async #rebuild(
    projection: Projection<Transaction>,
    attempt: Attempt,
    startedAt: number,
  ): Promise<number | undefined> {
    const { store } = this.#options;
    const { pageMax, restMs } = this.#limits;
    const patience = new Patience();
    let isPrepared = false;
    while (!this.#stopped.signal.aborted) {
      const step = await this.#step(projection, patience, async () => {
        const page = await store.advance(projection, attempt, pageMax);
        this.#tell(projection, page.total, startedAt);
        if (page.events === pageMax) return "more";
        if (!isPrepared) await store.prepare(projection);
        isPrepared = true;
        return await store.swap(projection, attempt, pageMax);
      });
      if (step === "failed") continue;
      if (step === "more" || step.is === "behind") {
        await this.#rest(restMs);
      } else if (step.is === "swapped") {
        return step.total;
      } else if (step.is === "busy") {
        const error = new TransientFault("The tables were in use all the time");
        await this.#rest(this.#pauseAfter(projection, patience, error));
      }
    }
    return undefined;
  }

  /** Puts up with faults of the world for a while. */
  async #step<Result>(
    projection: Projection<Transaction>,
    patience: Patience,
    take: () => Promise<Result>,
  ): Promise<Result | "failed"> {
    try {
      const result = await take();
      if (!isBusy(result)) patience.failures = 0;
      return result;
    } catch (error) {
      if (!(error instanceof TransientFault)) throw error;
      await this.#rest(this.#pauseAfter(projection, patience, error));
      return "failed";
    }
  }

  #pauseAfter(
    { name: projection }: Projection<Transaction>,
    patience: Patience,
    error: TransientFault,
  ): number {
    const { env, observe } = this.#options;
    const { pauseFirstMs: firstMs, pauseMostMs: mostMs, giveUpMs } = this.#limits;
    const now = env.monotonic();
    if (patience.failures++ === 0) patience.since = now;
    if (now - patience.since > giveUpMs) throw error;
    const retryInMs = backoffMs(patience.failures, env.random(), { firstMs, mostMs });
    observe({ type: "rebuild-failed", projection, error, retryInMs });
    return retryInMs;
  }

  #tell({ name: projection }: Projection<Transaction>, events: number, startedAt: number): void {
    const { env, observe } = this.#options;
    const durationMs = env.monotonic() - startedAt;
    observe({ type: "rebuilding", projection, events, durationMs });
  }

  async #rest(ms: number): Promise<void> {
    await pause(this.#options.env, ms, this.#stopped.signal);
  }
}

/** Failures in a row, and when they began. */
class Patience {
  failures = 0;
  since = 0;
}

function isBusy(result: unknown): boolean {
  return typeof result === "object" && result !== null && "is" in result && result.is === "busy";
}
