/**
 * Tells subscribers in this process what was recorded.
 *
 * *Synchronous* subscribers hear of a turn in the process that took it: once it is durable, and
 * before its senders have their answers, so that whoever has an answer meets what the subscriber did
 * about it. They cannot veto. What one of them fails at is its own: it is tried again outside the
 * turn, with growing pauses, and whatever is recorded of that actor meanwhile waits behind it. After
 * `attemptsMax`, for want of room, or when the process ends, it is given up, which is observed.
 * What is never told: turns of other processes, and those whose outcome nobody has learned. So they
 * are for what lives and dies with the process, such as caches.
 *
 * *Durable* subscribers read the feed, each from a checkpoint of its own that moves in the
 * transaction of its effects: nothing is missed and nothing counts twice, whatever crashes. One that
 * fails is blocked there, alone, until it succeeds.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { backoffMs } from "../resilience/backoff.ts";
import { pause } from "../resilience/pause.ts";
import { type Address, addressText } from "./envelope.ts";
import {
  type Delivery,
  type Handled,
  type Handling,
  isPromise,
  type Middleware,
  type PublishedEvent,
  through,
} from "./middleware.ts";
import type { Observe } from "./observe.ts";
import {
  type Projection,
  type ProjectionStore,
  Projector,
  type ProjectorLimits,
} from "./projector.ts";
import type { Commit } from "./store.ts";
import type { WorkerHealth } from "./worker.ts";

export interface Subscriber {
  readonly name: string;
  /** Of actors of this kind only. */
  readonly kind?: string;
  /** Events of these types only. */
  readonly types?: readonly string[];
  /** Sees the events of one turn, in their order, and must not change them. */
  handle(events: readonly PublishedEvent[]): void;
}

export interface BusLimits {
  /** At the events of one turn; then a synchronous subscriber is not asked again. */
  readonly attemptsMax: number;
  readonly pauseFirstMs: number;
  readonly pauseMostMs: number;
  /** Events that may wait for one synchronous subscriber. */
  readonly backlogMax: number;
}

export const defaultBusLimits: BusLimits = {
  attemptsMax: 8,
  pauseFirstMs: 50,
  pauseMostMs: 5_000,
  backlogMax: 10_000,
};

export interface EventBusOptions<Transaction> {
  readonly env: Env;
  readonly observe: Observe;
  /** Where durable subscribers have their checkpoints. */
  readonly store: ProjectionStore<Transaction>;
  readonly limits?: Partial<BusLimits>;
}

export class EventBus<Transaction> implements AsyncDisposable {
  readonly #options: EventBusOptions<Transaction>;
  readonly #limits: BusLimits;
  readonly #layers: Middleware[] = [];
  readonly #names = new Set<string>();
  readonly #subscriptions: Subscription[] = [];
  readonly #followers: Follower<Transaction>[] = [];

  constructor(options: EventBusOptions<Transaction>) {
    this.#options = options;
    this.#limits = { ...defaultBusLimits, ...options.limits };
  }

  /** Puts a layer around every subscriber, within those put before. */
  use(layer: Middleware): this {
    this.#layers.push(layer);
    return this;
  }

  /** Adds a synchronous subscriber. */
  subscribe(subscriber: Subscriber): void {
    this.#name(subscriber.name);
    this.#subscriptions.push(
      new Subscription(subscriber, this.#layers, this.#limits, this.#options),
    );
  }

  /** Adds a durable subscriber, and starts it. */
  follow(
    projection: Projection<Transaction>,
    limits: Partial<ProjectorLimits> = {},
  ): Projector<Transaction> {
    this.#name(projection.name);
    const { env, observe, store } = this.#options;
    const around: Middleware = (delivery, next) => through(this.#layers, delivery, next);
    const projector = new Projector({ projection, store, env, observe, limits, around });
    const { kind, types } = projection;
    this.#followers.push({
      kinds: kind === undefined ? undefined : [kind].flat(),
      types,
      projector,
    });
    return projector;
  }

  /** Of each durable subscriber. */
  health(): readonly WorkerHealth[] {
    return this.#followers.map(({ projector }) => projector.health());
  }

  /**
   * Tells synchronous subscribers of a turn that has become durable, and durable ones to look soon. Never
   * throws.
   */
  publish(address: Address, commit: Commit): void {
    for (const follower of this.#followers) {
      if (isAbout(follower, address, commit)) follower.projector.wake();
    }
    if (this.#subscriptions.length === 0) return;
    const events = recordedIn(address, commit);
    for (const subscription of this.#subscriptions) subscription.offer(address, events);
  }

  /** Durable subscribers finish the page in hand; what synchronous ones still owe is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#followers.map(({ projector }) => projector[Symbol.asyncDispose]()));
    for (const subscription of this.#subscriptions) subscription.stop();
  }

  #name(name: string): void {
    if (this.#names.has(name)) throw new Error(`Cannot subscribe ${name}: there is one already`);
    this.#names.add(name);
  }
}

/** What drives a durable subscriber, and what that has to hear of; all where it does not say. */
interface Follower<Transaction> {
  readonly kinds: readonly string[] | undefined;
  readonly types: readonly string[] | undefined;
  readonly projector: Projector<Transaction>;
}

/** Who follows only what was not recorded need not look: each look is a transaction. */
function isAbout(
  { kinds, types }: Pick<Follower<never>, "kinds" | "types">,
  address: Address,
  { events }: Commit,
): boolean {
  if (kinds?.includes(address.kind) === false) return false;
  return types === undefined || events.some(({ type }) => types.includes(type));
}

function recordedIn(
  address: Address,
  { version, at, events }: Commit,
): readonly PublishedEvent[] {
  return events.map((event, index) => ({ ...event, address, at, version: version + index + 1 }));
}

/** What a synchronous subscriber owes to one actor, in order; the head is being attempted. */
type Backlog = (readonly PublishedEvent[])[];

/** A synchronous subscriber, and what it has failed at so far. */
class Subscription {
  readonly #subscriber: Subscriber;
  readonly #layers: readonly Middleware[];
  readonly #limits: BusLimits;
  readonly #env: Env;
  readonly #observe: Observe;
  readonly #stopped = new AbortController();
  readonly #backlogs = new Map<string, Backlog>();
  /** Events in all of them. */
  #owed = 0;

  constructor(
    subscriber: Subscriber,
    layers: readonly Middleware[],
    limits: BusLimits,
    { env, observe }: { readonly env: Env; readonly observe: Observe },
  ) {
    this.#subscriber = subscriber;
    this.#layers = layers;
    this.#limits = limits;
    this.#env = env;
    this.#observe = observe;
  }

  offer(address: Address, recorded: readonly PublishedEvent[]): void {
    const { kind, types } = this.#subscriber;
    if (kind !== undefined && kind !== address.kind) return;
    const events = types === undefined
      ? recorded
      : recorded.filter(({ type }) => types.includes(type));
    if (events.length === 0) return;
    const actor = addressText(address);
    const backlog = this.#backlogs.get(actor);
    if (backlog !== undefined) return this.#putBehind(backlog, events);
    try {
      const handling = this.#attempt(events, 1);
      if (isPromise(handling)) this.#owe(actor, events, handling);
    } catch (error) {
      this.#owe(actor, events, Promise.reject(error));
    }
  }

  stop(): void {
    this.#stopped.abort();
    for (const backlog of this.#backlogs.values()) {
      for (const events of backlog) this.#giveUp(events, 0, "shutdown");
    }
    this.#backlogs.clear();
  }

  #attempt(events: readonly PublishedEvent[], attempt: number): Handling {
    const { name } = this.#subscriber;
    const delivery: Delivery = { subscriber: name, mode: "synchronous", events, attempt };
    return through(this.#layers, delivery, () => this.#subscriber.handle(events));
  }

  #putBehind(backlog: Backlog, events: readonly PublishedEvent[]): void {
    if (!this.#hasRoom(events)) return this.#giveUp(events, 0, "room");
    this.#owed += events.length;
    backlog.push(events);
  }

  #owe(actor: string, events: readonly PublishedEvent[], first: Promise<Handled>): void {
    if (this.#stopped.signal.aborted || !this.#hasRoom(events)) {
      const because = this.#stopped.signal.aborted ? "shutdown" : "room";
      return void first.catch((error) => this.#giveUp(events, 1, because, error));
    }
    this.#owed += events.length;
    const backlog = [events];
    this.#backlogs.set(actor, backlog);
    void this.#settle(actor, backlog, first);
  }

  #hasRoom(events: readonly PublishedEvent[]): boolean {
    return this.#owed + events.length <= this.#limits.backlogMax;
  }

  /** Goes on with an actor's backlog until nothing is left of it. */
  async #settle(actor: string, backlog: Backlog, first: Promise<Handled>): Promise<void> {
    let isDone = await this.#isDone(backlog[0]!, 1, first);
    for (let attempt = 1;;) {
      if (this.#stopped.signal.aborted) return;
      if (isDone) {
        this.#owed -= backlog.shift()!.length;
        if (backlog.length === 0) return void this.#backlogs.delete(actor);
        attempt = 1;
      } else {
        if (!await this.#pause(attempt)) return;
        attempt++;
      }
      const handling = (async () => await this.#attempt(backlog[0]!, attempt))();
      isDone = await this.#isDone(backlog[0]!, attempt, handling);
    }
  }

  /** Handled, or given up. */
  async #isDone(
    events: readonly PublishedEvent[],
    attempt: number,
    handling: Promise<Handled>,
  ): Promise<boolean> {
    try {
      await handling;
    } catch (error) {
      if (attempt < this.#limits.attemptsMax || this.#stopped.signal.aborted) return false;
      this.#giveUp(events, attempt, "attempts", error);
    }
    return true;
  }

  /** False if there is no point in going on. */
  async #pause(failures: number): Promise<boolean> {
    const { pauseFirstMs: firstMs, pauseMostMs: mostMs } = this.#limits;
    const ms = backoffMs(failures, this.#env.random(), { firstMs, mostMs });
    return await pause(this.#env, ms, this.#stopped.signal);
  }

  #giveUp(
    events: readonly PublishedEvent[],
    attempts: number,
    because: "attempts" | "room" | "shutdown",
    error?: unknown,
  ): void {
    const { address, version } = events[0]!;
    this.#observe({
      type: "given-up",
      subscriber: this.#subscriber.name,
      address,
      version,
      events: events.length,
      attempts,
      because,
      error,
    });
  }
}
