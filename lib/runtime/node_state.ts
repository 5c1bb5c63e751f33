/**
 * How a node stands: what it depends on, how busy it is, and the mode that follows from both.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { TransientFault } from "../fault.ts";
import type { Bulkhead, BulkheadStanding } from "../resilience/bulkhead.ts";
import type { Dependency, DependencyStanding } from "../resilience/dependency.ts";
import { type Load, LoadGauge, type RequestClass } from "../resilience/load_gauge.ts";
import { type Conditions, type Mode, namesOf, ServiceMode } from "../resilience/mode.ts";
import type { RetryBudget, RetryBudgetStanding } from "../resilience/retry_budget.ts";
import type { InFlightLimits } from "../resilience/in_flight.ts";
import type { SheddingLimits } from "../resilience/shedding.ts";
import type { Observe, RuntimeEvent } from "./observe.ts";
import type { StoreState } from "./system.ts";

export interface NodeStateOptions {
  readonly env: Env;
  readonly observe: Observe;
  /** Whether the database answers. */
  readonly database: Dependency;
  /** Whether it takes writes. */
  readonly writing: Dependency;
  /** What nodes share beside the database, if they do. */
  readonly kv?: Dependency | undefined;
  readonly bulkheads: readonly Bulkhead[];
  readonly budget: RetryBudget;
  readonly shedding?: Partial<SheddingLimits & InFlightLimits> | undefined;
}

export interface NodeReport {
  readonly mode: Mode;
  /** All that speaks against the normal one. */
  readonly because: readonly string[];
  readonly load: Load;
  readonly breakers: readonly DependencyStanding[];
  readonly bulkheads: readonly BulkheadStanding[];
  readonly retries: RetryBudgetStanding;
}

/** How often the load is told of, unless what is refused changes. */
const TELL_MS = 1_000;

export class NodeState implements StoreState, AsyncDisposable {
  readonly mode: ServiceMode;
  readonly gauge: LoadGauge;
  readonly #options: NodeStateOptions;
  readonly #dependencies: readonly Dependency[];
  /** Requests refused since that was last told of. */
  readonly #shed = new Map<RequestClass, number>();
  #toldAt = 0;
  #levelTold = 0;

  constructor(options: NodeStateOptions) {
    const { env, observe, database, writing, kv, bulkheads, budget, shedding = {} } = options;
    this.#options = options;
    this.#dependencies = [database, writing, ...kv === undefined ? [] : [kv]];
    this.mode = new ServiceMode((change) => observe({ type: "mode", ...change }));
    this.gauge = new LoadGauge({
      env,
      limits: shedding,
      onInterval: (load) => this.#afterInterval(load),
    });
    this.#follow(database, (isDatabaseAway) => ({ isDatabaseAway }));
    this.#follow(writing, (isWritingRefused) => ({ isWritingRefused }));
    if (kv !== undefined) this.#follow(kv, (isKvAway) => ({ isKvAway }));
    budget.onRefused((operation) => observe({ type: "retry-refused", operation }));
    for (const bulkhead of bulkheads) {
      bulkhead.onRefused(() => observe({ type: "bulkhead-full", bulkhead: bulkhead.name }));
    }
  }

  refusal(): TransientFault | undefined {
    return this.#options.database.refusal();
  }

  get isReadOnly(): boolean {
    const { database, writing } = this.#options;
    return !database.isAvailable || !writing.isAvailable;
  }

  /** For how long it is of no use to ask for anything to be recorded. */
  get writableInMs(): number {
    const { database, writing } = this.#options;
    return (database.refusal() ?? writing.refusal())?.retryAfterMs ?? 0;
  }

  /** The process is about to end. */
  drain(): void {
    this.mode.note({ isDraining: true });
  }

  /** What is observed of turns says how busy the node is. */
  note(event: RuntimeEvent): void {
    if (event.type !== "turn") return;
    const { messages, startedAt, endedAt } = event;
    this.gauge.took({
      waitedMs: startedAt - messages[messages.length - 1]!.receivedAt,
      durationMs: endedAt - startedAt,
    });
  }

  /** A request was refused for load. */
  shed(requestClass: RequestClass): void {
    this.#shed.set(requestClass, (this.#shed.get(requestClass) ?? 0) + 1);
  }

  report(): NodeReport {
    const { bulkheads, budget } = this.#options;
    return {
      mode: this.mode.mode,
      because: namesOf(this.mode.conditions),
      load: this.gauge.load,
      breakers: this.#dependencies.map((dependency) => dependency.standing()),
      bulkheads: bulkheads.map((bulkhead) => bulkhead.standing()),
      retries: budget.standing(),
    };
  }

  /** An operator has the breaker of that name closed, or all; says of which ones. */
  async resetBreakers(name?: string): Promise<readonly string[]> {
    const chosen = this.#dependencies.filter((each) => name === undefined || each.name === name);
    await Promise.all(chosen.map((dependency) => dependency.reset()));
    return chosen.map((dependency) => dependency.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gauge[Symbol.asyncDispose]();
  }

  #follow(dependency: Dependency, conditionOf: (isAway: boolean) => Partial<Conditions>): void {
    const { observe } = this.#options;
    this.mode.note(conditionOf(!dependency.isAvailable));
    dependency.onChange(({ name, failures, error }) => {
      const state = dependency.isAvailable ? "closed" : "open";
      observe({
        type: "breaker",
        dependency: name,
        state,
        failures,
        ...(error !== undefined && { error }),
      });
      this.mode.note(conditionOf(!dependency.isAvailable));
    });
  }

  #afterInterval({ loopMs, queueMs, shedding, inFlight, isShedding }: Load): void {
    const { env, observe } = this.#options;
    const { level, admittedShare } = shedding;
    const hasChanged = level !== this.#levelTold;
    if (isShedding !== this.mode.conditions.isShedding) this.mode.note({ isShedding });
    const now = env.monotonic();
    if (!hasChanged && now - this.#toldAt < TELL_MS) return;
    this.#toldAt = now;
    this.#levelTold = level;
    const delays = { loopDelayMs: loopMs, queueDelayMs: queueMs };
    observe({ type: "load", ...delays, inFlight, level, refusedShare: 1 - admittedShare });
    for (const [requestClass, requests] of this.#shed) {
      observe({ type: "shed", requestClass, requests });
    }
    this.#shed.clear();
  }
}
