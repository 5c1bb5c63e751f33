/**
 * Nodes on one store and one clock, and a counter to ask.
 *
 * @module
 */
import assert from "node:assert/strict";
import { MemoryStore } from "../../../lib/memory/store.ts";
import type { Publish } from "../../../lib/runtime/activation.ts";
import type { Peers } from "../../../lib/runtime/peers.ts";
import type { Cause } from "../../../lib/runtime/envelope.ts";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import type { NewEvent, StoredEvent } from "../../../lib/runtime/store.ts";
import type { ActorStrategy } from "../../../lib/runtime/supervisor.ts";
import {
  ActorSystem,
  type Reading,
  type ReadOptions,
  type StoreState,
  type SystemLimits,
} from "../../../lib/runtime/system.ts";
import type { Outcome } from "../../../lib/runtime/turn.ts";
import * as Counter from "../../support/counter.ts";
import { FaultyStore } from "../../support/faulty_store.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

/** What a test changes of an envelope. */
export type Circumstances = Partial<Cause>;

/** What a node has besides its store. */
export interface NodeParts {
  readonly publish?: Publish;
  readonly strategy?: Partial<ActorStrategy>;
  readonly peers?: Peers;
  readonly storeState?: StoreState;
}

export class World implements AsyncDisposable {
  readonly env: VirtualEnv;
  readonly store: MemoryStore;
  readonly #nodes: Node[] = [];

  constructor(seed = 1) {
    this.env = new VirtualEnv(seed);
    this.store = new MemoryStore(this.env);
  }

  /** One more node, which reaches the common store through a network of its own. */
  node(limits: Partial<SystemLimits> = {}, parts: NodeParts = {}): Node {
    const node = new Node(this, limits, parts);
    this.#nodes.push(node);
    return node;
  }

  cause(circumstances: Circumstances = {}): Cause {
    const messageId = this.env.uuid();
    return {
      messageId,
      correlationId: messageId,
      causationId: messageId,
      principal: { id: "ana", roles: [] },
      deadline: Infinity,
      ...circumstances,
    };
  }

  async stream(key: string): Promise<readonly StoredEvent[]> {
    return await this.store.readStream({ kind: Counter.kind, key });
  }

  /** The amounts recorded, in their order; "reset" for a reset. */
  async recorded(key: string): Promise<readonly (number | "reset")[]> {
    return (await this.stream(key)).map(({ data }) => {
      const event = Counter.Event.parse(data);
      return event.type === "Added" ? event.amount : "reset";
    });
  }

  /** Writes history past all nodes, as an older release might have left it. */
  async plant(key: string, ...events: readonly Partial<NewEvent>[]): Promise<void> {
    const address = { kind: Counter.kind, key };
    const [standing] = await this.store.load([{ address, afterVersion: 0 }]);
    const { revision, version } = standing!;
    const recorded = events.map((event): NewEvent => {
      const id = this.env.uuid();
      const written = { correlationId: id, causationId: id, principalId: "ana" };
      return { type: "Added", schema: Counter.eventSchema, data: {}, ...written, ...event };
    });
    const commit = { address, revision, version, at: this.env.now(), events: recorded };
    const [outcome] = await this.store.commit([{ ...commit, replies: [] }]);
    assert.equal(outcome?.is, "ok");
  }

  async plantAdded(key: string, ...amounts: readonly number[]): Promise<void> {
    await this.plant(key, ...amounts.map((amount) => ({ data: { type: "Added", amount } })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.stop();
    assert.equal(this.env.sleepers, 0, "a node that has stopped leaves nobody asleep");
  }
}

export type CounterOutcome = Outcome<number, Counter.Reason>;

export class Node {
  readonly store: FaultyStore;
  readonly system: ActorSystem;
  readonly observed: RuntimeEvent[] = [];
  readonly #world: World;

  constructor(
    world: World,
    limits: Partial<SystemLimits>,
    { strategy = {}, ...parts }: NodeParts,
  ) {
    this.#world = world;
    this.store = new FaultyStore(world.store);
    this.system = new ActorSystem({
      env: world.env,
      store: this.store,
      observe: (event) => void this.observed.push(event),
      limits,
      ...parts,
    });
    this.system.host(Counter, strategy);
  }

  /** Answers with the total right after the command. */
  ask(
    key: string,
    command: Counter.Command,
    circumstances: Circumstances = {},
  ): Promise<CounterOutcome> {
    const cause = this.#world.cause(circumstances);
    return this.system.ask(Counter, key, command, cause, ({ state }) => state.total);
  }

  /** To an actor that is presumed not to be there yet. */
  addFirst(key: string, amount: number, circumstances: Circumstances = {}) {
    const cause = this.#world.cause(circumstances);
    const answer = ({ state }: { readonly state: Counter.State }) => state.total;
    const command = { type: "Add", amount } as const;
    return this.system.ask(Counter, key, command, cause, answer, { isFirst: true });
  }

  add(key: string, amount: number, circumstances: Circumstances = {}): Promise<CounterOutcome> {
    return this.ask(key, { type: "Add", amount }, circumstances);
  }

  async total(key: string, options?: ReadOptions): Promise<number> {
    return (await this.read(key, options)).view;
  }

  read(key: string, options?: ReadOptions): Promise<Reading<number>> {
    const look = (state: Counter.State) => state.total;
    return this.system.read(Counter, key, this.#world.cause(), look, options);
  }

  /** What was observed of that type, in its order. */
  seen<Type extends RuntimeEvent["type"]>(type: Type): Extract<RuntimeEvent, { type: Type }>[] {
    return this.observed.filter((event): event is Extract<RuntimeEvent, { type: Type }> =>
      event.type === type
    );
  }

  async stop(): Promise<void> {
    await this.#world.env.until(this.system[Symbol.asyncDispose]());
  }
}

/** Whether and how a promise is settled by now, without waiting for it. */
export function watched<T>(promise: Promise<T>) {
  const watch: { state: "pending" | "resolved" | "rejected"; value?: T; error?: unknown } = {
    state: "pending",
  };
  promise.then(
    (value) => Object.assign(watch, { state: "resolved", value }),
    (error) => Object.assign(watch, { state: "rejected", error }),
  );
  return watch;
}

/** The outcome of an ask, as a test compares it. */
export function brief(outcome: CounterOutcome): string {
  const { version, replayed } = outcome;
  const told = outcome.accepted ? `total ${outcome.answer}` : outcome.reason;
  return `${told} at ${version}${replayed ? ", again" : ""}`;
}
