/**
 * Brings told messages from the outbox to their actors: at least once, in order per lane. That each
 * has its effect once is the doing of the commit that takes it out. What leads out of the system is
 * found here as well, and handed to {@linkcode OutsideLanes}.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { backoffMs } from "../resilience/backoff.ts";
import { pause } from "../resilience/pause.ts";
import type { RetryBudget } from "../resilience/retry_budget.ts";
import { Batcher } from "./batcher.ts";
import { type Address, addressText } from "./envelope.ts";
import type { Observe } from "./observe.ts";
import {
  type ClaimedLane,
  type DueCursor,
  newToken,
  type Outbox,
  type OutboxDepth,
  type OutboxMessage,
  reasonOf,
  type SettledLane,
} from "./outbox.ts";
import { OutsideLanes, type OutsideLimits, type OutsideTarget } from "./outside_lanes.ts";
import type { ActorSystem } from "./system.ts";
import { AlreadyHandled } from "./turn.ts";
import { Worker, type WorkerHealth } from "./worker.ts";

export interface RelayLimits {
  /** Lanes in hand at one time. */
  readonly lanesMax: number;
  /** Messages of a lane that are brought together. */
  readonly batchMax: number;
  /** How long a claim holds; a node that falls silent gives its lanes back after that. */
  readonly leaseMs: number;
  /** After so many failures in a row a message is buried. */
  readonly attemptsMax: number;
  readonly pauseFirstMs: number;
  readonly pauseMostMs: number;
  /**
   * After a fault, at the most, whatever it asks for: another node may fare better with the lane, and
   * who mends what was wrong does not tell it.
   */
  readonly faultPauseMostMs: number;
  /** So many requests under way are a crowd, which is let by: who calls waits, a message does not. */
  readonly crowdFrom: number;
  /** Of its time, the part that is spent on messages at most while there is a crowd. */
  readonly crowdShareMax: number;
  /** What is done between two rests counts as no longer than that. */
  readonly crowdWorkMs: number;
  /** Unless so many lanes wait: then what follows from requests must catch up with them. */
  readonly crowdLanesMax: number;
  /** How often to look for messages that nobody has announced: what other nodes left behind. */
  readonly pollMs: number;
  /** Due messages looked at in one go. */
  readonly pageMax: number;
  /** The outbox is tidied after so many messages, and anyway after so long. */
  readonly tidyEvery: number;
  readonly tidyMs: number;
  /** How often the depth of the outbox is observed. */
  readonly depthMs: number;
  readonly depthCountMax: number;
}

export const defaultRelayLimits: RelayLimits = {
  lanesMax: 256,
  batchMax: 100,
  leaseMs: 30_000,
  attemptsMax: 8,
  pauseFirstMs: 100,
  pauseMostMs: 10 * 60_000,
  faultPauseMostMs: 5_000,
  crowdFrom: 16,
  crowdShareMax: 0.2,
  crowdWorkMs: 250,
  crowdLanesMax: 20_000,
  pollMs: 500,
  pageMax: 1_000,
  tidyEvery: 20_000,
  tidyMs: 10 * 60_000,
  depthMs: 10_000,
  depthCountMax: 100_000,
};

export interface RelayOptions {
  readonly outbox: Outbox;
  readonly system: ActorSystem;
  readonly env: Env;
  readonly observe: Observe;
  readonly budget?: RetryBudget | undefined;
  /** How many requests are not answered yet; without it there is never a crowd. */
  readonly requests?: { readonly underWay: number };
  readonly limits?: Partial<RelayLimits>;
  /** What messages of a kind that no actor has are brought to. */
  readonly outside?: readonly OutsideTarget[];
  readonly outsideLimits?: Partial<OutsideLimits>;
}

/** Of a lease, the part after which its holder starts nothing more. */
const LEASE_USABLE = 2 / 3;
/** What is in hand may take so long, once no more is taken. */
const DRAIN_MS = 10_000;
/** How often a crowd is looked for again that others are let by. */
const CROWD_LOOK_MS = 20;
/** How often whoever waits for everything to be brought looks whether it is. */
const DRAIN_LOOK_MS = 10;

/** Any number of nodes may run one over the same outbox. */
export class OutboxRelay extends Worker {
  readonly #options: RelayOptions;
  readonly #limits: RelayLimits;
  readonly #settling: Batcher<SettledLane, undefined>;
  readonly #outside: OutsideLanes;
  /** Lanes that are said to have messages due. */
  readonly #announced = new Map<string, Address>();
  /** Lanes in hand. */
  readonly #held = new Map<string, Promise<void>>();
  #isClaiming = false;
  /** Messages handled, and calls to the outbox that were given up, since it was constructed. */
  #handled = 0;
  #failures = 0;
  /** Messages handled since the outbox was tidied. */
  #untidy = 0;
  #tidying: Promise<void> | undefined;

  /** Starts it. */
  constructor(options: RelayOptions) {
    const { outbox, env, observe, budget } = options;
    const { outside: targets = [], outsideLimits: outsides = {} } = options;
    super({ name: "outbox", env, observe, drainMs: DRAIN_MS, budget });
    this.#options = options;
    this.#limits = { ...defaultRelayLimits, ...options.limits };
    this.#settling = new Batcher({
      run: (lanes) => this.#settle(lanes),
      batchMax: this.#limits.lanesMax,
      inFlightMax: 1,
    });
    const onHandled = () => this.#tally(1);
    this.#outside = new OutsideLanes({
      targets,
      outbox,
      env,
      observe,
      budget,
      onHandled,
      limits: outsides,
    });
    this.start();
  }

  protected override async run(): Promise<void> {
    await Promise.all([
      this.keep(() => this.#claimAnnounced()),
      this.keep(() => this.#sweep()),
      this.keep(() => this.#observeDepth()),
      this.keep(() => this.#tidyRegularly()),
    ]);
  }

  /** Finishes the lanes in hand. */
  protected override async finish(): Promise<void> {
    await this.#outside.stop();
    await Promise.all(this.#held.values());
    await this.#tidying;
  }

  protected override get inHand(): number {
    return this.#held.size;
  }

  /** Of those lanes that lead outside as well. */
  healthOfAll(): readonly WorkerHealth[] {
    return [this.health(), this.#outside.health()];
  }

  /** Messages to these were committed: bring them soon. */
  announce(lanes: readonly Address[]): void {
    for (const lane of lanes) {
      if (this.#outside.takes(lane.kind)) this.#outside.announce(lane);
      else this.#announced.set(addressText(lane), lane);
    }
    this.wake();
  }

  /**
   * Brings what is due by now and what follows from it at once; for processes that do not run all the
   * time. False if that takes longer than `withinMs`, if the outbox fails, or if this is stopped. What
   * others have in hand is left to them, and what is paused after a failure to its time.
   */
  async drained(withinMs: number): Promise<boolean> {
    const until = this.#options.env.monotonic() + withinMs;
    const failures = this.#failures;
    for (let before = -1; before !== this.#handled;) {
      before = this.#handled;
      if (!await this.#bringDue(until)) return false;
    }
    return this.#failures === failures;
  }

  get #isIdle(): boolean {
    const isOwnIdle = this.#announced.size === 0 && this.#held.size === 0 && !this.#isClaiming;
    return isOwnIdle && this.#outside.isIdle;
  }

  /** Page by page; false if it did not come to its end. */
  async #bringDue(until: number): Promise<boolean> {
    const { outbox, env } = this.#options;
    let cursor: DueCursor | undefined;
    do {
      try {
        const { lanes, next } = await outbox.due(cursor, this.#limits.pageMax);
        cursor = next;
        this.announce(lanes);
      } catch (error) {
        this.#failed("sweep", error);
        return false;
      }
      while (!this.#isIdle) {
        const leftMs = until - env.monotonic();
        if (leftMs <= 0 || this.isDraining) return false;
        await this.pause(Math.min(leftMs, DRAIN_LOOK_MS));
      }
    } while (cursor !== undefined);
    return true;
  }

  async #claimAnnounced(): Promise<void> {
    const { outbox, observe, env } = this.#options;
    const { leaseMs, batchMax: limit } = this.#limits;
    while (!this.isDraining) {
      const wanted = this.#takeAnnounced();
      if (wanted.length === 0) {
        await this.rest(this.#limits.pollMs);
        continue;
      }
      this.#isClaiming = true;
      const claimedAt = env.monotonic();
      try {
        const claim = { token: newToken(env), leaseMs, limit };
        const lanes = await this.insisting(
          () => outbox.claim(wanted, claim),
          (error) => observe({ type: "relay-failed", task: "claim", error }),
        );
        for (const lane of lanes) this.#hold(lane, claimedAt + leaseMs * LEASE_USABLE);
        this.note();
      } catch (error) {
        this.#failed("claim", error);
        // Whoever looks for what is due finds them again.
        await this.pause(this.#limits.pollMs);
      } finally {
        this.#isClaiming = false;
      }
      await this.#letCrowdBy(claimedAt);
    }
  }

  /** In proportion to what the lanes in hand have taken since then, and no longer than there is a crowd. */
  async #letCrowdBy(since: number): Promise<void> {
    if (!this.#isCrowded) return;
    const { env } = this.#options;
    const { crowdShareMax, crowdWorkMs } = this.#limits;
    const isDone = new AbortController();
    void Promise.all(this.#held.values()).then(() => isDone.abort());
    await pause(env, crowdWorkMs, isDone.signal);
    const now = env.monotonic();
    // A lane that stands still is no work.
    const until = now + Math.min(now - since, crowdWorkMs) * (1 / crowdShareMax - 1);
    while (this.#isCrowded && !this.isDraining && env.monotonic() < until) {
      await this.pause(CROWD_LOOK_MS);
    }
  }

  get #isCrowded(): boolean {
    const { crowdFrom, crowdLanesMax } = this.#limits;
    const underWay = this.#options.requests?.underWay ?? 0;
    return underWay >= crowdFrom && this.#announced.size < crowdLanesMax;
  }

  /** Those that are not in hand, as many as there are hands. */
  #takeAnnounced(): Address[] {
    const free = this.#limits.lanesMax - this.#held.size;
    const taken: Address[] = [];
    for (const [text, lane] of this.#announced) {
      if (taken.length >= free) break;
      if (this.#held.has(text)) continue;
      this.#announced.delete(text);
      taken.push(lane);
    }
    return taken;
  }

  #hold(lane: ClaimedLane, deadline: number): void {
    const text = addressText(lane.address);
    const work = this.#bring(lane, deadline).finally(() => {
      this.#held.delete(text);
      this.wake();
    });
    this.#held.set(text, work);
  }

  /** Never throws: a lane that could not be settled is given back by its lease. */
  async #bring(lane: ClaimedLane, deadline: number): Promise<void> {
    try {
      const failure = await this.#deliver(lane.messages, deadline);
      const handled = failure?.index ?? lane.messages.length;
      if (handled > 0) this.#count(lane.address, handled);
      if (failure === undefined) await this.#settling.add(laneOf(lane));
      else await this.#afterFailure(lane, failure);
    } catch (error) {
      this.#failed("settle", error);
    }
  }

  /** It is not tried again at once. */
  #failed(task: "claim" | "settle" | "sweep", error: unknown): void {
    this.#failures++;
    this.note(error);
    this.#options.observe({ type: "relay-failed", task, error });
  }

  #count(address: Address, messages: number): void {
    this.#options.observe({ type: "delivered", address, messages });
    this.#tally(messages);
  }

  #tally(messages: number): void {
    this.#handled += messages;
    this.removed(messages);
  }

  /** So many messages left the outbox, through this relay or otherwise. */
  removed(messages: number): void {
    this.#untidy += messages;
    if (this.#untidy >= this.#limits.tidyEvery) void this.#tidy();
  }

  async #tidyRegularly(): Promise<void> {
    while (!this.isDraining) {
      await this.pause(this.#limits.tidyMs);
      if (!this.isDraining) await this.#tidy();
    }
  }

  /** Once at a time. */
  #tidy(): Promise<void> {
    this.#untidy = 0;
    return this.#tidying ??= this.#tidyNow().finally(() => this.#tidying = undefined);
  }

  async #tidyNow(): Promise<void> {
    const { outbox, observe } = this.#options;
    try {
      await outbox.tidy();
    } catch (error) {
      observe({ type: "maintenance-failed", task: "tidy-outbox", error });
    }
  }

  /** All at once, so that one turn takes them; answers with the first that was not handled. */
  async #deliver(
    messages: readonly OutboxMessage[],
    deadline: number,
  ): Promise<Failure | undefined> {
    const { system } = this.#options;
    const batch = { isBroken: false };
    const endings = await Promise.allSettled(
      messages.map((message) => system.deliver(message, batch, deadline)),
    );
    const index = endings.findIndex((ending) =>
      ending.status === "rejected" && !(ending.reason instanceof AlreadyHandled)
    );
    if (index < 0) return undefined;
    return { index, error: (endings[index] as PromiseRejectedResult).reason };
  }

  /** A fault of the world is nobody's attempt; a defect is, and one too many buries the message. */
  async #afterFailure(lane: ClaimedLane, { index, error }: Failure): Promise<void> {
    const { env, observe, system, outbox } = this.#options;
    const { pauseFirstMs, pauseMostMs, faultPauseMostMs, attemptsMax } = this.#limits;
    const before = index === 0 ? lane.attempts : 0;
    const { address, token } = lane;
    const { position, messageId } = lane.messages[index]!;
    if (error instanceof TransientFault) {
      // By chance, so that nodes that wait for one lane take turns at it.
      const most = { firstMs: faultPauseMostMs, mostMs: faultPauseMostMs };
      const pause = {
        ms: Math.min(error.retryAfterMs, backoffMs(1, env.random(), most)),
        position,
        attempts: before,
        error: reasonOf(error),
      };
      return void await this.#settling.add({ address, token, ...(pause.ms > 0 && { pause }) });
    }

    const attempts = before + 1;
    if (attempts >= attemptsMax) {
      const isParked = system.parks(address.kind);
      const burial = { address, token, position, attempts, error: reasonOf(error), isParked };
      if (await outbox.bury(burial)) {
        observe({ type: "buried", address, messageId, attempts, error });
      }
      return void await this.#settling.add(laneOf(lane));
    }
    const ms = backoffMs(attempts, env.random(), { firstMs: pauseFirstMs, mostMs: pauseMostMs });
    observe({ type: "delivery-failed", address, messageId, attempts, error, retryInMs: ms });
    const pause = { ms, position, attempts, error: reasonOf(error) };
    await this.#settling.add({ address, token, pause });
  }

  async #settle(lanes: readonly SettledLane[]): Promise<readonly undefined[]> {
    const { outbox, observe } = this.#options;
    const more = await this.insisting(
      () => outbox.settle(lanes),
      (error) => observe({ type: "relay-failed", task: "settle", error }),
    );
    this.announce(more);
    return lanes.map(() => undefined);
  }

  /** Finds what was never announced here: left by a node that died, told by others, due by now. */
  async #sweep(): Promise<void> {
    const { outbox } = this.#options;
    const { pageMax, pollMs } = this.#limits;
    let cursor: DueCursor | undefined;
    while (!this.isDraining) {
      let restMs = pollMs;
      // What was found is brought before more is looked for.
      if (this.#announced.size >= pageMax) {
        await this.pause(pollMs);
        continue;
      }
      try {
        const { lanes, next, nextDueMs = Infinity } = await outbox.due(cursor, pageMax);
        cursor = next;
        this.announce(lanes);
        restMs = next === undefined ? Math.min(pollMs, Math.max(1, nextDueMs)) : 0;
        this.note();
      } catch (error) {
        this.#failed("sweep", error);
      }
      await this.pause(restMs);
    }
  }

  async #observeDepth(): Promise<void> {
    const { outbox, observe } = this.#options;
    const { depthMs, depthCountMax } = this.#limits;
    while (!this.isDraining) {
      try {
        const depth: OutboxDepth = await outbox.depth(depthCountMax);
        observe({ type: "outbox-depth", ...depth });
      } catch (error) {
        observe({ type: "relay-failed", task: "depth", error });
      }
      await this.pause(depthMs);
    }
  }
}

interface Failure {
  readonly index: number;
  readonly error: unknown;
}

function laneOf({ address, token }: ClaimedLane): SettledLane {
  return { address, token };
}
