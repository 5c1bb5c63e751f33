/**
 * Lanes that lead out of the system: their messages are brought to no actor, but to a function.
 *
 * No commit takes such a message out, so it is handled at least once, always under the same id. It is
 * taken out once the function has returned; while it fails, its lane rests for ever longer, and the
 * messages behind it wait. That makes the lane a circuit breaker which every node sees and no restart
 * forgets: a failure opens it, the first message after the pause tries it, a success closes it.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { withinDeadline } from "../resilience/deadline.ts";
import type { RetryBudget } from "../resilience/retry_budget.ts";
import { type Address, addressText } from "./envelope.ts";
import type { Observe } from "./observe.ts";
import { type ClaimedLane, newToken, type Outbox, type OutboxMessage, reasonOf } from "./outbox.ts";
import { Worker } from "./worker.ts";

/** What handles the messages of one kind of lane. */
export interface OutsideTarget {
  /** Of the lanes; no aggregate may have it. */
  readonly kind: string;
  /** How long the lane rests after each failed attempt; one more than these buries the message. */
  readonly pausesMs: readonly number[];
  /**
   * Handles one message, at least once. Throws a {@linkcode DeliveryFailure}, or a
   * `TransientFault` where this side cannot: that is nobody's attempt.
   */
  deliver(message: OutboxMessage, signal: AbortSignal): Promise<void>;
  /** Called before a message is buried because all its attempts have failed. */
  exhausted?(message: OutboxMessage): Promise<void>;
}

/** The other side did not take the message. */
export class DeliveryFailure extends Error {
  override readonly name = "DeliveryFailure";
  /** Trying again is useless: the message is buried at once. */
  readonly isPermanent: boolean;
  /** What the other side asked for; the lane rests for at least so long. */
  readonly retryAfterMs: number;

  constructor(
    message: string,
    options: {
      readonly cause?: unknown;
      readonly isPermanent?: boolean;
      readonly retryAfterMs?: number;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.isPermanent = options.isPermanent ?? false;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

export interface OutsideLimits {
  /** Lanes in hand at one time, each with one message under way. */
  readonly lanesMax: number;
  /** Of these, lanes that were slow or failed when they were last seen: they cannot crowd out others. */
  readonly doubtfulMax: number;
  /** A delivery that takes as long makes its lane doubtful. */
  readonly slowMs: number;
  /** Doubtful lanes that are remembered; beyond it, those doubtful for longest get another chance. */
  readonly doubtfulKept: number;
  /** Messages of one claim. */
  readonly batchMax: number;
  /** After so long no further message of a claim is begun: others have a turn. */
  readonly holdMs: number;
  /** After so long a delivery has failed. */
  readonly deliveryMs: number;
  /** Covers `holdMs` and `deliveryMs` with much to spare. */
  readonly leaseMs: number;
  /** Lanes remembered to have messages; what is announced beyond it is found again when it is due. */
  readonly announcedMax: number;
  /** What waits in a lane that rests for so long is postponed with it, so many at a time. */
  readonly postponeFromMs: number;
  readonly postponeMax: number;
  /** How long to wait where claims fail. */
  readonly pollMs: number;
}

export const defaultOutsideLimits: OutsideLimits = {
  lanesMax: 128,
  doubtfulMax: 32,
  slowMs: 1_000,
  doubtfulKept: 10_000,
  batchMax: 50,
  holdMs: 10_000,
  deliveryMs: 15_000,
  leaseMs: 60_000,
  announcedMax: 10_000,
  postponeFromMs: 60_000,
  postponeMax: 5_000,
  pollMs: 500,
};

export interface OutsideOptions {
  readonly targets: readonly OutsideTarget[];
  readonly outbox: Outbox;
  readonly env: Env;
  readonly observe: Observe;
  readonly budget?: RetryBudget | undefined;
  /** Told of every message that was handled. */
  readonly onHandled: (lane: Address) => void;
  readonly limits?: Partial<OutsideLimits>;
}

/** A pause is longer than asked for by up to this part, so that what failed together parts. */
const JITTER = 0.2;

/** To settle what was broken off. */
const DRAIN_MS = 10_000;

/** Hands of its own, so that no slow endpoint ever holds up a message between actors. */
export class OutsideLanes extends Worker {
  readonly #options: OutsideOptions;
  readonly #limits: OutsideLimits;
  readonly #targets: ReadonlyMap<string, OutsideTarget>;
  readonly #announced = new Map<string, Address>();
  readonly #held = new Map<string, Promise<void>>();
  /** Slow or failing when last seen; in the order in which they became so. */
  readonly #doubtful = new Set<string>();
  #isClaiming = false;

  /** Starts it. */
  constructor(options: OutsideOptions) {
    const { env, observe, budget } = options;
    super({ name: "outbox/outside", env, observe, drainMs: DRAIN_MS, budget });
    this.#options = options;
    this.#limits = { ...defaultOutsideLimits, ...options.limits };
    this.#targets = new Map(options.targets.map((target) => [target.kind, target]));
    this.start();
  }

  takes(kind: string): boolean {
    return this.#targets.has(kind);
  }

  /** Nothing that was announced is left to be brought. */
  get isIdle(): boolean {
    return this.#announced.size === 0 && this.#held.size === 0 && !this.#isClaiming;
  }

  /** There may be messages due in that lane. */
  announce(lane: Address): void {
    if (this.#announced.size >= this.#limits.announcedMax) return;
    this.#announced.set(addressText(lane), lane);
    this.wake();
  }

  /** Once drained, it breaks off what is under way, which nobody counts, and gives the lanes back. */
  protected override async finish(): Promise<void> {
    await Promise.all(this.#held.values());
  }

  protected override get inHand(): number {
    return this.#held.size;
  }

  protected override async run(): Promise<void> {
    const { outbox, observe, env } = this.#options;
    const { leaseMs, batchMax: limit } = this.#limits;
    while (!this.isDraining) {
      const wanted = this.#takeAnnounced();
      if (wanted.length === 0) {
        await this.rest(this.#limits.pollMs);
        continue;
      }
      this.#isClaiming = true;
      try {
        const claimedAt = env.monotonic();
        const claim = { token: newToken(env), leaseMs, limit };
        const lanes = await this.#insisting("claim", () => outbox.claim(wanted, claim));
        for (const lane of lanes) this.#hold(lane, claimedAt + this.#limits.holdMs);
      } catch (error) {
        observe({ type: "relay-failed", task: "claim", error });
        await this.pause(this.#limits.pollMs);
      } finally {
        this.#isClaiming = false;
      }
    }
  }

  /** As many as there are hands, and of the doubtful ones as many as there are hands for those. */
  #takeAnnounced(): Address[] {
    const { lanesMax, doubtfulMax } = this.#limits;
    let free = lanesMax - this.#held.size;
    let freeForDoubtful = doubtfulMax;
    for (const text of this.#held.keys()) if (this.#doubtful.has(text)) freeForDoubtful--;
    const taken: Address[] = [];
    for (const [text, lane] of this.#announced) {
      if (free <= 0) break;
      if (this.#held.has(text)) continue;
      if (this.#doubtful.has(text) && freeForDoubtful-- <= 0) continue;
      this.#announced.delete(text);
      taken.push(lane);
      free--;
    }
    return taken;
  }

  #hold(lane: ClaimedLane, until: number): void {
    const text = addressText(lane.address);
    const work = this.#bring(lane, until).catch((error) => {
      // The lease gives the lane back.
      this.#options.observe({ type: "relay-failed", task: "settle", error });
    }).finally(() => {
      this.#held.delete(text);
      this.wake();
    });
    this.#held.set(text, work);
  }

  /** One by one: a message is begun once the one before it is out. */
  async #bring(lane: ClaimedLane, until: number): Promise<void> {
    const { outbox, env, observe, onHandled } = this.#options;
    const { address, token, messages } = lane;
    const target = this.#targets.get(address.kind)!;
    for (const [index, message] of messages.entries()) {
      if (this.isDraining || env.monotonic() >= until) break;
      const error = await this.#failureOf(target, message);
      if (error !== undefined) {
        if (this.isDraining) break;
        return await this.#afterFailure(target, lane, message, index === 0, error);
      }
      const completion = { address, token, position: message.position };
      if (!await this.#insisting("settle", () => outbox.complete(completion))) break;
      observe({ type: "delivered", address, messages: 1 });
      onHandled(address);
    }
    await this.#free(lane);
  }

  /** What the delivery failed by; undefined where it did not. */
  async #failureOf(target: OutsideTarget, message: OutboxMessage): Promise<unknown> {
    const { env } = this.#options;
    const { slowMs } = this.#limits;
    const text = addressText(message.to);
    const startedAt = env.monotonic();
    const error = await this.#withinDeadline((signal) => target.deliver(message, signal))
      .then(() => undefined, (error) => error ?? new DeliveryFailure("It failed with nothing"));
    const isDoubtful = error !== undefined || env.monotonic() - startedAt >= slowMs;
    this.#doubtful.delete(text);
    if (isDoubtful) this.#doubt(text);
    return error;
  }

  #doubt(lane: string): void {
    this.#doubtful.add(lane);
    if (this.#doubtful.size <= this.#limits.doubtfulKept) return;
    const [longest] = this.#doubtful;
    this.#doubtful.delete(longest!);
  }

  /** Ends by then even where `deliver` does not: nobody may keep a lane beyond its lease. */
  #withinDeadline(deliver: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { env } = this.#options;
    const { deliveryMs: ms } = this.#limits;
    const late = () => new DeliveryFailure(`It took longer than ${ms} ms`);
    return withinDeadline(deliver, { env, ms, cancelled: this.draining, late });
  }

  async #afterFailure(
    target: OutsideTarget,
    lane: ClaimedLane,
    message: OutboxMessage,
    isHead: boolean,
    error: unknown,
  ): Promise<void> {
    const before = isHead ? lane.attempts : 0;
    if (error instanceof TransientFault) {
      return await this.#pause(lane, message, before, error, error.retryAfterMs);
    }
    const attempts = before + 1;
    const isPermanent = error instanceof DeliveryFailure && error.isPermanent;
    const pauseMs = target.pausesMs[before];
    if (isPermanent) return await this.#bury(lane, message, attempts, error);
    if (pauseMs === undefined) {
      try {
        await target.exhausted?.(message);
      } catch (fault) {
        if (!(fault instanceof TransientFault)) throw fault;
        return await this.#pause(lane, message, before, fault, fault.retryAfterMs);
      }
      return await this.#bury(lane, message, attempts, error);
    }
    const { env, observe } = this.#options;
    const askedMs = error instanceof DeliveryFailure ? error.retryAfterMs : 0;
    const retryInMs = Math.max(pauseMs, askedMs) * (1 + JITTER * env.random());
    const { address } = lane;
    const { messageId } = message;
    observe({ type: "delivery-failed", address, messageId, attempts, error, retryInMs });
    await this.#pause(lane, message, attempts, error, retryInMs);
  }

  async #pause(
    { address, token }: ClaimedLane,
    { position }: OutboxMessage,
    attempts: number,
    error: unknown,
    ms: number,
  ): Promise<void> {
    const { outbox } = this.#options;
    const { postponeFromMs, postponeMax } = this.#limits;
    const pause = { ms, position, attempts, error: reasonOf(error) };
    await this.#insisting("settle", () => outbox.settle([{ address, token, pause }]));
    if (ms < postponeFromMs) return;
    for (let postponed = postponeMax; postponed === postponeMax;) {
      postponed = await this.#insisting("settle", () => outbox.postpone(address, postponeMax));
    }
  }

  async #bury(
    lane: ClaimedLane,
    { position, messageId }: OutboxMessage,
    attempts: number,
    error: unknown,
  ): Promise<void> {
    const { outbox, observe } = this.#options;
    const { address, token } = lane;
    const burial = {
      address,
      token,
      position,
      attempts,
      error: reasonOf(error),
      isParked: false,
    };
    if (await this.#insisting("settle", () => outbox.bury(burial))) {
      observe({ type: "buried", address, messageId, attempts, error });
    }
    await this.#free(lane);
  }

  async #free({ address, token }: ClaimedLane): Promise<void> {
    const { outbox } = this.#options;
    const more = await this.#insisting("settle", () => outbox.settle([{ address, token }]));
    for (const lane of more) this.announce(lane);
  }

  #insisting<T>(task: "claim" | "settle", attempt: () => Promise<T>): Promise<T> {
    const { observe } = this.#options;
    return this.insisting(attempt, (error) => observe({ type: "relay-failed", task, error }));
  }
}
