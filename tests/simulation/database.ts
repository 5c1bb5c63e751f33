/**
 * The database of a run: what the nodes reach over connections that fail, and what the world sees of
 * it without any.
 *
 * @module
 */
import type { JobQueue } from "../../lib/jobs/job_queue.ts";
import { type Address, addressText } from "../../lib/runtime/envelope.ts";
import type { DeadLetter, Outbox, OutboxMessage } from "../../lib/runtime/outbox.ts";
import type { Projection, ProjectionStore } from "../../lib/runtime/projector.ts";
import type { Commit, Store, StoredEvent } from "../../lib/runtime/store.ts";
import { AT } from "../support/given.ts";
import type { Committed } from "./history.ts";
import type { Incarnation } from "./incarnation.ts";
import { type FaultPlan, noFaults, type Pace } from "./postgres/fault_plan.ts";
import type { ReadModel } from "./postgres/projection_store.ts";
import { type Landed, type ServerOptions, SimulatedPostgres } from "./postgres/server.ts";
import { Life, type Place, type Scheduler } from "./scheduler.ts";

/** All that a node needs of a database. */
export interface Ports {
  readonly store: Store;
  readonly outbox: Outbox;
  readonly jobs: JobQueue;
  readonly projections: ProjectionStore<ReadModel>;
}

/** The ports of one life of a node. */
export interface Connected {
  readonly ports: Ports;
  /** All its connections are reset. */
  cut(): void;
  /** For so long nothing gets through, and nobody is told. */
  blackHole(ms: number): void;
  /** The node is done with its connections: what was sent on them goes on, and nobody hears of it. */
  drop(): void;
}

export interface DatabaseOptions {
  readonly scheduler: Scheduler;
  readonly place: Place;
  readonly seed: number;
  readonly faults: FaultPlan;
  readonly pace: Pace;
  /** What befalls the `nth` statement of that name by that node. */
  readonly strike: NonNullable<ServerOptions["strike"]>;
  readonly onCommit: (committed: Omit<Committed, "tick">) => void;
}

/** An event that a consumer of the feed has met, as the stream has it. */
export type Met = StoredEvent & { readonly address: Address };

/** What a consumer of the feed has met, in that order. */
export type Effects = readonly Met[];

export class SimulatedDatabase {
  readonly #server: SimulatedPostgres;
  readonly #onCommit: DatabaseOptions["onCommit"];
  /** By so much altogether. */
  #turnedBackMs = 0;

  constructor({ scheduler, place, onCommit, ...options }: DatabaseOptions) {
    const life = new Life(place);
    this.#onCommit = onCommit;
    this.#server = new SimulatedPostgres({
      time: {
        now: () => Math.floor(AT + scheduler.now),
        monotonic: () => scheduler.now,
        sleep: (ms, signal) => scheduler.sleep(life, "database", ms, signal),
      },
      ...options,
      onCommit: (landed) => this.#landed(landed),
    });
  }

  connect(node: Incarnation): Connected {
    const client = this.#server.connect({
      name: node.place.name,
      env: node,
      resumed: () => node.resumed(),
    });
    return {
      ports: client,
      cut: () => client.cut(),
      blackHole: (ms) => client.blackHole(ms),
      drop: () => client.vanish(),
    };
  }

  restart(downMs: number): void {
    this.#server.restart(downMs);
  }

  /** Of its own clock. */
  jump(byMs: number): void {
    this.#server.moveClock(byMs);
    if (byMs < 0) this.#turnedBackMs -= byMs;
  }

  /** From now on it fails by nothing. */
  heal(): void {
    this.#server.faults = noFaults;
  }

  /** How often what went wrong in it, and what followed. */
  get occurred(): ReadonlyMap<string, number> {
    return this.#server.occurred;
  }

  /** By address text. */
  get streams(): ReadonlyMap<string, readonly StoredEvent[]> {
    return new Map(
      [...this.#server.tables.actors].map(([text, { events }]) => [text, [...events]] as const),
    );
  }

  get deadLetters(): readonly DeadLetter[] {
    return [...this.#server.tables.letters.values()].map(({ letter }) => letter);
  }

  /** All messages to actors and to the outside that wait. */
  get waiting(): readonly OutboxMessage[] {
    return [...this.#server.tables.outbox.values()].flat().map(({ message }) => message);
  }

  /** Messages that wait though they are due, or were before the clock was turned back. */
  get undelivered(): number {
    const latest = this.#server.now() + this.#turnedBackMs;
    return this.#server.statements.lanes.depth(Infinity, latest).due;
  }

  /** Lanes and jobs that somebody holds. */
  get leases(): number {
    const now = this.#server.now();
    const { lanes, jobs } = this.#server.tables;
    let held = 0;
    for (const rows of [lanes.values(), jobs.values()]) {
      for (const { leaseUntil } of rows) if (leaseUntil > now) held++;
    }
    return held;
  }

  /** Jobs that have not ended. */
  get openJobs(): number {
    return this.#server.tables.jobs.size;
  }

  /** Whether that consumer has come to the end of the feed. */
  isFollowed(consumer: string, kind: string | undefined): boolean {
    const { feed, readModel } = this.#server.tables;
    const wanted = kind === undefined
      ? feed
      : feed.filter(({ event: { address } }) => address.kind === kind);
    return (readModel.get(consumer)?.get(COUNT) ?? 0) === wanted.length;
  }

  effectsOf(consumer: string): Effects {
    const { readModel, actors } = this.#server.tables;
    const table = readModel.get(consumer);
    return [...table ?? []].filter(([key]) => key !== COUNT).map(([, row]) => {
      const [text, version] = row as MetRow;
      const { address, events } = actors.get(text)!;
      return { ...events[version - 1]!, version, address };
    });
  }

  #landed({ changes }: Landed): void {
    for (const change of changes) {
      const { address, at, events, replies, messages, consumed, transaction, drawn } = change;
      const row = this.#server.tables.actors.get(addressText(address))!;
      const commit: Commit = {
        address,
        revision: row.revision - 1,
        version: row.events.length - events.length,
        at,
        events,
        replies,
        messages,
        consumed,
      };
      const lane = this.#server.tables.outbox.get(addressText(address)) ?? [];
      this.#onCommit({
        commit,
        transaction: String(transaction),
        position: drawn.message + 1,
        waiting: consumed.length === 0 ? [] : lane.map(({ message: { position } }) => position),
      });
    }
  }
}

/** How many effects there are. */
const COUNT = "count";

/** Of which actor, and its version. */
type MetRow = readonly [string, number];

/** Records every event that it is given, as often as it is given it. */
export function recorder({ name, kind }: { readonly name: string; readonly kind?: string }) {
  return {
    name,
    ...(kind !== undefined && { kind }),
    apply: (model, events) => {
      let count = (model.get(name, COUNT) ?? 0) as number;
      for (const { address, version } of events) {
        model.put(name, String(++count), [addressText(address), version] satisfies MetRow);
      }
      model.put(name, COUNT, count);
      return Promise.resolve();
    },
  } satisfies Projection<ReadModel>;
}

/** The port with some of its methods replaced: for mistakes that are made on purpose. */
export function altered<Port extends object>(port: Port, methods: Partial<Port>): Port {
  return new Proxy(port, {
    get(target, name) {
      const own = Reflect.get(methods, name);
      if (own !== undefined) return own;
      const method = Reflect.get(target, name);
      return typeof method === "function" ? method.bind(target) : method;
    },
  });
}

/** A port whose every call goes through `call`. */
export function carried<Port extends object>(
  port: Port,
  call: <T>(name: string, run: () => Promise<T>) => Promise<T>,
): Port {
  const methods = new Map<PropertyKey, unknown>();
  return new Proxy(port, {
    get(target, name) {
      const known = methods.get(name);
      if (known !== undefined) return known;
      const method = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      const through = (...args: unknown[]) =>
        call(String(name), () => method.apply(target, args) as Promise<unknown>);
      methods.set(name, through);
      return through;
    },
  });
}
