/**
 * The way in: hosts aggregates, and brings messages to their actors.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { pause } from "../resilience/pause.ts";
import { retryPolicies, retryTransient } from "../resilience/retry.ts";
import type { RetryBudget } from "../resilience/retry_budget.ts";
import {
  Activation,
  type ActivationContext,
  type HostingLimits,
  type Publish,
} from "./activation.ts";
import type { Aggregate } from "./aggregate.ts";
import { Batcher } from "./batcher.ts";
import { Committer, type CommitterLimits } from "./committer.ts";
import { type Address, addressText, type Cause } from "./envelope.ts";
import type { Observe } from "./observe.ts";
import type { OutboxMessage } from "./outbox.ts";
import type { PeerNews, Peers } from "./peers.ts";
import type { Snapshot, Store } from "./store.ts";
import { type RootStrategy, Supervision } from "./supervision.ts";
import type { ActorStrategy } from "./supervisor.ts";
import type { Accepted, AnyAggregate, DeliveryBatch, Letter, Outcome } from "./turn.ts";

export interface SystemLimits extends HostingLimits, CommitterLimits {
  /** Actors of one loading query. */
  readonly loadMax: number;
  readonly loadsInFlightMax: number;
  /** Above this many in memory, those at rest are passivated, least recently used first. */
  readonly residentMax: number;
  /** An actor that heard nothing for this long is passivated. */
  readonly idleMs: number;
}

export const defaultLimits: SystemLimits = {
  mailboxCapacity: 10_000,
  turnMax: 1_000,
  snapshotEvery: 500,
  batchMax: 512,
  batchEventsMax: 2_000,
  statementsInFlightMax: 2,
  loadMax: 256,
  loadsInFlightMax: 2,
  giveUpMs: 5_000,
  residentMax: 100_000,
  idleMs: 10 * 60_000,
};

export interface SystemOptions {
  readonly env: Env;
  readonly store: Store;
  readonly observe: Observe;
  /** Hears of every turn that recorded something, before its senders do. Must not throw. */
  readonly publish?: Publish;
  /** Without them, a plain read may show what this node last saw for as long as it keeps the actor. */
  readonly peers?: Peers;
  /** Without it, the store is believed to be there. */
  readonly storeState?: StoreState;
  /** For what it tries again. */
  readonly budget?: RetryBudget;
  readonly limits?: Partial<SystemLimits>;
  readonly strategy?: Partial<RootStrategy>;
}

/** What is known of the store without asking it. */
export interface StoreState {
  /** What it would refuse to be read with, at once; undefined while it may be asked. */
  refusal(): TransientFault | undefined;
  /** Nothing can be recorded, here or at all. */
  readonly isReadOnly: boolean;
}

const alwaysThere: StoreState = { refusal: () => undefined, isReadOnly: false };

export interface Reading<View> {
  readonly view: View;
  readonly version: number;
  /** Where feeds meet the newest write that `view` shows. */
  readonly transaction: string;
  /**
   * How long ago the store confirmed it; only while the store is read-only, when others may have
   * written meanwhile to a store that this node does not reach.
   */
  readonly staleMs?: number;
}

export interface ReadOptions {
  /** Shows at least this version, which the caller has seen elsewhere. */
  readonly atLeast?: number;
  /** Shows everything that was acknowledged before the read began, by any node. */
  readonly isStrong?: boolean;
}

export interface AskOptions {
  /**
   * The key was made up for this command, so nothing is looked for before it is decided. If there is
   * such an actor all the same, as when the command is repeated, the commit finds out.
   */
  readonly isFirst?: boolean;
}

/** How many are looked at in search of one at rest that was not used of late. */
const PRESSURE_LOOK_MAX = 64;

export class ActorSystem implements AsyncDisposable, PeerNews {
  /** Who answers for the actors. */
  readonly supervision: Supervision;
  readonly #env: Env;
  readonly #observe: Observe;
  readonly #storeState: StoreState;
  readonly #limits: SystemLimits;
  readonly #context: ActivationContext;
  readonly #snapshots: Batcher<{ address: Address; snapshot: Snapshot }, undefined>;
  readonly #hosted = new Map<string, AnyAggregate>();
  /**
   * By age, but for those used since: they are found at their old places, and put last where anybody
   * looks for one to put out of memory (the second chance of CLOCK; Corbató, 1968). To move them at
   * each use would cost more than all else that a read does.
   */
  readonly #activations = new Map<string, Activation>();
  readonly #running = new Set<Promise<void>>();
  readonly #stopped = new AbortController();
  #awake: Activation[] = [];
  /** When news of other nodes may last have been missed, in monotonic milliseconds. */
  #newsMissedAt = -Infinity;

  constructor(options: SystemOptions) {
    const { env, store, observe, publish, peers, budget, limits, strategy = {} } = options;
    const { signal: stopped } = this.#stopped;
    this.supervision = new Supervision({ env, observe, stopped, strategy });
    this.#env = env;
    this.#observe = observe;
    this.#storeState = options.storeState ?? alwaysThere;
    this.#limits = { ...defaultLimits, ...limits };
    const { loadMax, loadsInFlightMax } = this.#limits;
    this.#snapshots = new Batcher({
      run: async (batch) => {
        await store.saveSnapshots(batch);
        return batch.map(() => undefined);
      },
      batchMax: 100,
      inFlightMax: 1,
    });
    this.#context = {
      env,
      store,
      observe,
      publish,
      peers,
      limits: this.#limits,
      budget,
      committer: new Committer(store, env, observe, this.#limits, budget),
      loader: new Batcher({
        run: (requests) =>
          retryTransient(() => store.load(requests), {
            ...retryPolicies.load,
            env,
            budget,
            onFailure: (error, retryInMs) =>
              observe({ type: "load-failed", actors: requests.length, error, retryInMs }),
          }),
        batchMax: loadMax,
        inFlightMax: loadsInFlightMax,
      }),
      supervision: this.supervision,
      pause: (ms) => pause(env, ms, stopped),
      wake: (activation) => this.#wake(activation),
      discard: (activation) => this.#passivate(activation, "quarantine"),
      keepSnapshot: (address, snapshot) => this.#keepSnapshot(address, snapshot),
    };
    void this.#passivateIdle();
  }

  /** Actors in memory. */
  get residents(): number {
    return this.#activations.size;
  }

  host<State, Command, Event extends { readonly type: string }, Reason extends string>(
    aggregate: Aggregate<State, Command, Event, Reason>,
    strategy: Partial<ActorStrategy> = {},
  ): void {
    this.#hosted.set(aggregate.kind, aggregate);
    this.supervision.of(aggregate.kind, strategy);
  }

  heard(address: Address, revision: number): void {
    this.#activations.get(addressText(address))?.heard(revision);
  }

  missed(): void {
    this.#newsMissedAt = this.#env.monotonic();
  }

  /** Whether actors of that kind are to hear nothing more after a message was buried. */
  parks(kind: string): boolean {
    return this.#hosted.get(kind)?.afterBurial === "park";
  }

  /**
   * Delivers `command` to one actor, activating it if need be, and resolves once the decision is
   * durable, or confirmed if it was a refusal. Commands from one sender are decided in their order.
   *
   * `answer` makes the reply out of what the command led to. It is pure and gives JSON: with an
   * idempotency key it is remembered, and given again to whoever repeats the command.
   *
   * @throws {TransientFault} when the mailbox is full, the actor in quarantine, the deadline passed,
   * the system stopping or the store out of reach; its outcome says whether the command may have
   * counted.
   */
  ask<State, Command, Event extends { readonly type: string }, Reason extends string, Answer>(
    aggregate: Aggregate<State, Command, Event, Reason>,
    key: string,
    command: NoInfer<Command>,
    cause: Cause,
    answer: (accepted: Accepted<State, Event>) => Answer,
    { isFirst = false }: AskOptions = {},
  ): Promise<Outcome<Answer, Reason>> {
    // The letter forgets the aggregate's types; what comes back is what its own
    // `decide` and `answer` made, which is what this signature says.
    const outcome = this.#deliver(aggregate.kind, key, command, cause, {
      isInspection: false,
      isFirst,
      answer,
    });
    return outcome as Promise<Outcome<Answer, Reason>>;
  }

  /**
   * Shows one actor's state through `view`, activating it if need be.
   *
   * Unless asked for more it shows what this node has seen committed; another node may have
   * committed since. Of what this node has heard that another committed, it shows all. While the store
   * is read-only, it shows what there is in memory, and says how old that is.
   *
   * @throws {TransientFault} like `ask`.
   */
  async read<State, Command, Event extends { readonly type: string }, Reason extends string, View>(
    aggregate: Aggregate<State, Command, Event, Reason>,
    key: string,
    cause: Cause,
    view: (state: State, version: number) => View,
    { atLeast = 0, isStrong = false }: ReadOptions = {},
  ): Promise<Reading<View>> {
    const text = addressText({ kind: aggregate.kind, key });
    const activation = this.#activations.get(text);
    const { isReadOnly } = this.#storeState;
    const standing = isReadOnly ? activation?.lastConfirmed : activation?.standing;
    const isShown = !isStrong && standing !== undefined && standing.version >= atLeast &&
      (isReadOnly || activation!.isFresh(this.#newsMissedAt));
    if (isShown) {
      this.#touch(activation!);
      const { state, version, transaction } = standing;
      const reading = { view: view(state as State, version), version, transaction };
      if (!isReadOnly) return reading;
      return { ...reading, staleMs: this.#env.monotonic() - activation!.confirmedAt };
    }
    const look = ({ state, version }: Accepted<State, Event>) => view(state, version);
    // Reading twice is no harm, so there is nothing to remember.
    const { idempotency: _, ...plain } = cause;
    const outcome = await this.#deliver(aggregate.kind, key, undefined, plain, {
      isInspection: true,
      answer: look,
    });
    if (!outcome.accepted) throw new Error(`An inspection was refused: ${outcome.reason}`);
    const { answer, version, transaction } = outcome;
    return { view: answer as View, version, transaction };
  }

  /**
   * Brings a message out of the outbox to its actor; resolves once it is handled for good, be it
   * accepted or refused. Those of one batch have to be brought in their order.
   *
   * @throws {TransientFault} like `ask`, or because one of its batch before it was not handled; an
   * `AlreadyHandled` where another node was first; anything else is a defect.
   */
  async deliver(message: OutboxMessage, batch: DeliveryBatch, deadline: number): Promise<void> {
    const { to, command, position, schema, at: _, ...cause } = message;
    const delivery = { position, schema, batch };
    await this.#deliver(to.kind, to.key, command, { ...cause, deadline }, {
      isInspection: false,
      answer: () => null,
      delivery,
    });
  }

  /**
   * Refuses new messages, lets those in the mailboxes be answered, and writes down what makes the
   * next activation quick.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    while (this.#running.size > 0 || this.#awake.length > 0) {
      await Promise.all(this.#running);
      await new Promise<void>((resolve) => this.#env.soon(resolve));
    }
    for (const activation of this.#activations.values()) this.#passivate(activation, "shutdown");
    await Promise.all(this.#running);
  }

  #deliver(
    kind: string,
    key: string,
    command: unknown,
    cause: Cause,
    kindOfLetter: Pick<Letter, "isInspection" | "isFirst" | "answer" | "delivery">,
  ): Promise<Outcome> {
    if (this.#stopped.signal.aborted) {
      return Promise.reject(new TransientFault("Cannot deliver: the system is stopping"));
    }
    const address = { kind, key };
    return new Promise((resolve, reject) => {
      this.#activationOf(address).deliver({
        ...kindOfLetter,
        envelope: { ...cause, address, command },
        receivedAt: this.#env.monotonic(),
        resolve,
        reject,
        isSettled: false,
      });
    });
  }

  #activationOf(address: Address): Activation {
    const text = addressText(address);
    const existing = this.#activations.get(text);
    if (existing !== undefined) {
      this.#touch(existing);
      return existing;
    }
    const aggregate = this.#hosted.get(address.kind);
    if (aggregate === undefined) throw new Error(`No aggregate of kind ${address.kind} is hosted`);
    // Nobody is brought into memory to refuse what comes, nor is anybody put out of it for them.
    this.supervision.of(address.kind).admit(address.key);
    const refusal = this.#storeState.refusal();
    if (refusal !== undefined) throw refusal;
    const activation = new Activation(aggregate, address, this.#context);
    activation.lastUsedAt = this.#env.monotonic();
    this.#relievePressure();
    this.#activations.set(text, activation);
    return activation;
  }

  #touch(activation: Activation): void {
    activation.lastUsedAt = this.#env.monotonic();
    activation.isUsedSince = true;
  }

  #wake(activation: Activation): void {
    this.#awake.push(activation);
    // Once for all that wake by then, so that one batch takes what arrived together.
    if (this.#awake.length === 1) this.#env.soon(() => this.#runAwake());
  }

  #runAwake(): void {
    const awake = this.#awake;
    this.#awake = [];
    for (const activation of awake) this.#track(activation.run());
  }

  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  /** Busy actors stay: how many there are is bounded by the requests under way. */
  #relievePressure(): void {
    let looked = 0;
    for (const [text, activation] of this.#activations) {
      if (this.#activations.size < this.#limits.residentMax) return;
      if (++looked > PRESSURE_LOOK_MAX) return;
      if (activation.isUsedSince) this.#putLast(text, activation);
      else if (activation.isAtRest) this.#passivate(activation, "pressure");
    }
  }

  /** A map keeps the order of insertion. */
  #putLast(text: string, activation: Activation): void {
    activation.isUsedSince = false;
    this.#activations.delete(text);
    this.#activations.set(text, activation);
  }

  async #passivateIdle(): Promise<void> {
    const { idleMs } = this.#limits;
    while (await pause(this.#env, idleMs / 4, this.#stopped.signal)) {
      // Who is put out of memory now cannot be read again.
      if (this.#storeState.isReadOnly) continue;
      const since = this.#env.monotonic() - idleMs;
      for (const activation of this.#activations.values()) {
        const isIdle = activation.lastUsedAt <= since && activation.isAtRest;
        if (isIdle) this.#passivate(activation, "idle");
      }
    }
  }

  #passivate(
    activation: Activation,
    because: "idle" | "pressure" | "shutdown" | "quarantine",
  ): void {
    const { address } = activation;
    this.#activations.delete(addressText(address));
    const snapshot = activation.parting();
    if (snapshot !== undefined) this.#keepSnapshot(address, snapshot);
    this.#observe({ type: "passivated", address, because });
  }

  #keepSnapshot(address: Address, snapshot: Snapshot): void {
    // Losing one costs a longer replay and nothing else, so nobody waits for it.
    const saved = this.#snapshots.add({ address, snapshot }).catch((error) => {
      this.#observe({ type: "maintenance-failed", task: "snapshot", error });
    });
    this.#track(saved);
  }
}
