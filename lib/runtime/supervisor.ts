/**
 * Answers for the actors of one kind: restarts them, and keeps those away that would not come to rest.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { pause } from "../resilience/pause.ts";
import {
  type DataLoss,
  type Directive,
  directiveFor,
  type Failed,
  recentOf,
  type RestartStrategy,
} from "./directive.ts";
import { type Address, addressText } from "./envelope.ts";
import type { Observe, ReleasedBy } from "./observe.ts";
import { reasonOf } from "./outbox.ts";

export interface ActorStrategy extends RestartStrategy {
  /** Actors in quarantine at one time; one more stops the whole kind, unless others are served. */
  readonly quarantinedMax: number;
  readonly kindStopMs: number;
  /** Actors whose failures are remembered; beyond it the one that failed longest ago is forgiven. */
  readonly troubledMax: number;
}

export const defaultActorStrategy: ActorStrategy = {
  restartsMax: 10,
  restartWindowMs: 60_000,
  pauseFirstMs: 100,
  pauseMostMs: 2_000,
  quarantineMs: 5 * 60_000,
  quarantinedMax: 20,
  kindStopMs: 60_000,
  troubledMax: 10_000,
};

/** Its actor, or all of its kind, is in quarantine: nothing happened, and nothing will before it ends. */
export class Quarantined extends TransientFault {}

export interface Quarantine {
  /** In epoch milliseconds, as the next. */
  readonly since: number;
  readonly until: number;
  /** The error that led to it, without its stack. */
  readonly why: string;
}

export interface SupervisorReport {
  readonly kind: string;
  readonly strategy: ActorStrategy;
  /** Within the last window, forgiven ones among them. */
  readonly restarts: number;
  /** Of the whole kind. */
  readonly stopped?: Quarantine;
  readonly quarantined: readonly (Quarantine & { readonly key: string })[];
}

export interface SupervisorContext {
  readonly env: Env;
  readonly observe: Observe;
  /** Once it is, nobody waits for the end of a quarantine. */
  readonly stopped: AbortSignal;
  /** Tells the root. */
  readonly escalate: (loss: DataLoss, epoch: number) => void;
}

/** What is remembered of an actor that failed, until it has done something right. */
interface Trouble {
  readonly address: Address;
  readonly restarts: readonly number[];
  readonly hold?: Hold;
}

interface Hold {
  readonly quarantine: Quarantine;
  /** In monotonic milliseconds: the clock on the wall may jump meanwhile. */
  readonly endsAt: number;
}

/** Restarts that are counted for the report. */
const RECENT_KEPT = 1_000;

export class Supervisor {
  readonly kind: string;
  readonly strategy: ActorStrategy;
  readonly #context: SupervisorContext;
  /** By key, the one that failed last at the end. It outlives activations. */
  readonly #troubles = new Map<string, Trouble>();
  #quarantined = 0;
  #stopped: Hold | undefined;
  /** When an actor of this kind was last served; only known while some are in trouble. */
  #servedAt = -Infinity;
  #recent: readonly number[] = [];

  constructor(kind: string, strategy: ActorStrategy, context: SupervisorContext) {
    this.kind = kind;
    this.strategy = strategy;
    this.#context = context;
  }

  /** Some actor failed, and has done nothing right since. */
  get isTroubled(): boolean {
    return this.#troubles.size > 0;
  }

  /** @throws {Quarantined} while the actor, or its kind, is kept away. */
  admit(key: string): void {
    if (this.#quarantined === 0 && this.#stopped === undefined) return;
    const refusal = this.refusal(key);
    if (refusal !== undefined) throw refusal;
  }

  /** What its messages are refused with; undefined while they are welcome. */
  refusal(key: string): Quarantined | undefined {
    const own = this.#troubles.get(key)?.hold;
    const hold = own ?? this.#stopped;
    if (hold === undefined) return undefined;
    const who = own === undefined ? `all of ${this.kind}` : addressText({ kind: this.kind, key });
    const retryAfterMs = Math.max(0, hold.endsAt - this.#context.env.monotonic());
    return new Quarantined(`Cannot deliver: ${who} is in quarantine`, { retryAfterMs });
  }

  /** Says what becomes of an actor that failed, and remembers it. */
  judge(address: Address, { is, error }: Failed, epoch: number): Directive {
    const { env } = this.#context;
    const now = env.monotonic();
    const restarts = this.#troubles.get(address.key)?.restarts ?? [];
    const directive = directiveFor(is, restarts, this.strategy, { now, random: env.random() });
    switch (directive.do) {
      case "resume":
        break;
      case "restart":
        if (directive.isCounted) this.#remember({ address, restarts: [...restarts, now] });
        this.#restarted(address, is === "unknown-outcome" ? is : "defect", error, directive.inMs);
        break;
      case "stop":
        this.#quarantine(address, error, directive.forMs);
        break;
      case "escalate":
        this.#context.escalate(error as DataLoss, epoch);
    }
    return directive;
  }

  /** The actor decided something for good: whatever it failed at is no crash loop. */
  served(key: string): void {
    this.#servedAt = this.#context.env.monotonic();
    const trouble = this.#troubles.get(key);
    if (trouble !== undefined && trouble.hold === undefined) this.#troubles.delete(key);
  }

  isQuarantined(key: string): boolean {
    return this.#troubles.get(key)?.hold !== undefined;
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /** Its past is forgiven as well; false if it was not in quarantine. */
  release(key: string, because: ReleasedBy): boolean {
    const trouble = this.#troubles.get(key);
    if (trouble?.hold === undefined) return false;
    this.#troubles.delete(key);
    this.#quarantined--;
    const subject = { is: "actor", address: trouble.address } as const;
    this.#context.observe({ type: "released", subject, because, held: this.#quarantined });
    return true;
  }

  /** Ends the stop of the whole kind; actors in quarantine stay there. */
  releaseKind(because: ReleasedBy): boolean {
    if (this.#stopped === undefined) return false;
    this.#stopped = undefined;
    const subject = { is: "kind", kind: this.kind } as const;
    this.#context.observe({ type: "released", subject, because, held: 0 });
    return true;
  }

  report(): SupervisorReport {
    const now = this.#context.env.monotonic();
    return {
      kind: this.kind,
      strategy: this.strategy,
      restarts: recentOf(this.#recent, this.strategy.restartWindowMs, now).length,
      ...(this.#stopped !== undefined && { stopped: this.#stopped.quarantine }),
      quarantined: [...this.#troubles].flatMap(([key, { hold }]) =>
        hold === undefined ? [] : [{ key, ...hold.quarantine }]
      ),
    };
  }

  #restarted(
    address: Address,
    because: "defect" | "unknown-outcome",
    error: unknown,
    inMs: number,
  ): void {
    const { env, observe } = this.#context;
    const now = env.monotonic();
    const recent = recentOf(this.#recent, this.strategy.restartWindowMs, now);
    this.#recent = [...recent, now].slice(-RECENT_KEPT);
    observe({ type: "restarted", address, because, error, inMs });
  }

  #quarantine(address: Address, error: unknown, forMs: number): void {
    const hold = this.#holdFor(forMs, error);
    this.#quarantined++;
    this.#remember({ address, restarts: [], hold });
    const subject = { is: "actor", address } as const;
    this.#context.observe({ type: "quarantined", subject, error, forMs, held: this.#quarantined });
    void this.#endIn(forMs, () => {
      const isSame = this.#troubles.get(address.key)?.hold === hold;
      if (isSame) this.release(address.key, "time");
    });
    this.#stopKindIfLost(error);
  }

  /**
   * So many of one kind at a time are not each at fault: it is a bad release. But while others of the
   * kind are served, one client who knows of a poisonous request and has many actors of its own must
   * not take it away from everybody.
   */
  #stopKindIfLost(error: unknown): void {
    const { env, observe } = this.#context;
    const { quarantinedMax, kindStopMs: forMs, restartWindowMs } = this.strategy;
    if (this.#quarantined <= quarantinedMax || this.#stopped !== undefined) return;
    if (env.monotonic() - this.#servedAt < restartWindowMs) return;
    const stopped = this.#holdFor(forMs, error);
    this.#stopped = stopped;
    const subject = { is: "kind", kind: this.kind } as const;
    observe({ type: "quarantined", subject, error, forMs, held: 1 });
    void this.#endIn(forMs, () => {
      if (this.#stopped === stopped) this.releaseKind("time");
    });
  }

  #holdFor(ms: number, error: unknown): Hold {
    const { env } = this.#context;
    const since = env.now();
    const quarantine = { since, until: since + ms, why: reasonOf(error) };
    return { quarantine, endsAt: env.monotonic() + ms };
  }

  async #endIn(ms: number, end: () => void): Promise<void> {
    const { env, stopped } = this.#context;
    if (await pause(env, ms, stopped)) end();
  }

  #remember(trouble: Trouble): void {
    const { key } = trouble.address;
    this.#troubles.delete(key);
    this.#troubles.set(key, trouble);
    if (this.#troubles.size <= this.strategy.troubledMax) return;
    const [oldest] = this.#troubles.keys();
    if (!this.release(oldest!, "room")) this.#troubles.delete(oldest!);
  }
}
