/**
 * A whole run: nodes with the real runtime, the database, the network and the clients, under one
 * virtual clock, with the faults of a plan.
 *
 * @module
 */
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import { DeliveryFailure } from "../../lib/runtime/outside_lanes.ts";
import type { OutboxMessage } from "../../lib/runtime/outbox.ts";
import { Client } from "./client.ts";
import { type Connected, type Ports, SimulatedDatabase } from "./database.ts";
import { Faults, nameOf } from "./faults.ts";
import type { Committed, History, Performed, Rung, Told } from "./history.ts";
import { Incarnation, type Side, WallClock } from "./incarnation.ts";
import { Markers } from "./markers.ts";
import { Network } from "./network.ts";
import { consumers, type Node, openNode } from "./node.ts";
import type { Fault, Plan } from "./plan.ts";
import { policiesOver } from "./policies.ts";
import { Life, Place, Scheduler } from "./scheduler.ts";

/** A node through all its lives. */
export interface Host {
  readonly place: Place;
  readonly clock: WallClock;
  /** Its life; undefined while it is down. */
  incarnation: Incarnation | undefined;
  /** Undefined while it is down, or being put together. */
  node: Node | undefined;
  connected: Connected | undefined;
  lives: number;
}

export interface CrashedAt {
  readonly point: number;
  readonly call: string;
  readonly side: Side;
}

export interface RunOptions {
  /** Looks at each commit as it becomes visible, and throws if it must not be. */
  readonly watch?: (committed: Committed) => void;
  /** Has the node end that comes to such a point; counted from 1 over the whole run, and all nodes. */
  readonly crashAtPoints?: readonly number[];
  /** Puts something between the runtime and the database, such as a mistake. */
  readonly alter?: (ports: Ports, incarnation: Incarnation) => Ports;
}

/** How long everything may take to come to rest once all is well. */
export const REST_MS = 30_000;
/** How long clients may go on asking once all is well; whoever has no answer by then gets none. */
const ANSWERED_MS = 10 * 60_000;
/** How often it is looked whether it has. */
const LOOK_MS = 250;
/** The way to the outside and back. */
const BELL_MS = 20;
/** A node that was ended at a point of its own choice is back after this. */
const DOWN_MS = 500;
/** Places are numbered: nodes, the database, the world, then the clients. */
const FIRST_CLIENT = 100;

export class World {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly markers = new Markers();
  readonly hosts: readonly Host[];
  readonly network: Network;
  readonly performed: Performed[] = [];
  readonly told: Told[] = [];
  /** The points at which a node was to end, and has. */
  readonly crashedAt: CrashedAt[] = [];
  readonly #options: RunOptions;
  readonly #life: Life;
  readonly #database: SimulatedDatabase;
  readonly #commits: Committed[] = [];
  readonly #rung: Rung[] = [];
  #ticks = 0;
  #wrong: { readonly error: unknown } | undefined;
  #points = 0;
  #rings = 0;
  #healedAtMs = Infinity;

  constructor(plan: Plan, options: RunOptions = {}) {
    this.plan = plan;
    this.#options = options;
    this.scheduler = new Scheduler(plan.seed);
    this.faults = new Faults(plan.faults, (kind) => this.markers.fired(kind));
    const places = plan.nodes.map((_, index) => new Place(index, nameOf(index)));
    const { scheduler } = this;
    this.#life = new Life(new Place(places.length + 1, "world"));
    this.#database = new SimulatedDatabase({
      scheduler,
      place: new Place(places.length, "database"),
      seed: plan.seed,
      faults: plan.database,
      pace: plan.pace,
      strike: (node, statement, nth) => this.faults.statement(node, statement, nth),
      onCommit: (landed) => this.#committed(landed),
    });
    this.network = new Network(this, this.#life);
    this.hosts = plan.nodes.map((node, index) => ({
      place: places[index]!,
      clock: new WallClock(scheduler, node),
      incarnation: undefined,
      node: undefined,
      connected: undefined,
      lives: 0,
    }));
  }

  /** What was thrown when a commit was watched; the run ends with it. */
  get wrong(): { readonly error: unknown } | undefined {
    return this.#wrong;
  }

  /** Points passed at which a node could have ended. */
  get points(): number {
    return this.#points;
  }

  /** One more than ever before. */
  tick(): number {
    return ++this.#ticks;
  }

  async run(): Promise<History> {
    const { scheduler, plan } = this;
    for (const host of this.hosts) this.#start(host);
    for (const fault of plan.faults) this.#expect(fault);
    const clients = Array.from({ length: plan.clients }, (_, index) => {
      const place = new Place(FIRST_CLIENT + index, `client ${index}`);
      const operations = plan.operations.filter(({ client }) => client === index);
      return new Client(this, place, operations);
    });
    let working = clients.length;
    for (const client of clients) void client.work().then(() => working--);
    // What goes on after something was found wrong tells nothing new.
    const isOver = () => working === 0 || this.#wrong !== undefined;
    await scheduler.run(isOver, plan.healAtMs);
    this.#heal();
    await scheduler.run(isOver, scheduler.now + ANSWERED_MS);
    const isAtRest = await this.#comeToRest();
    this.markers.add({ counts: this.#database.occurred });
    return this.#history(isAtRest);
  }

  /** Ends the life of a node; the next begins after `downMs`. */
  crash(host: Host, downMs: number): void {
    const { incarnation } = host;
    // It may well end while it is still being put together.
    if (incarnation === undefined) throw new Error(`${host.place.name} is down already`);
    incarnation.isOver = true;
    host.incarnation = undefined;
    host.node = undefined;
    host.connected?.drop();
    this.network.reset(host.place);
    this.scheduler.after(this.#life, "node comes back", downMs, () => this.#start(host));
  }

  #start(host: Host): void {
    if (host.incarnation !== undefined) return;
    const { scheduler, plan } = this;
    const { place, clock } = host;
    const { limits, seed } = plan;
    host.place.pausedUntil = 0;
    const incarnation = new Incarnation({
      scheduler,
      place,
      clock,
      rate: plan.nodes[place.index]!.rate,
      seed,
      number: ++host.lives,
      crashes: (_, call, nth, side) => this.#crashes(host, call, nth, side),
    });
    const { alter = (ports: Ports) => ports } = this.#options;
    host.incarnation = incarnation;
    host.connected = this.#database.connect(incarnation);
    const policies = policiesOver(
      alter(host.connected.ports, incarnation),
      host.connected,
      incarnation,
      (name) => this.markers.sometimes(`breaker opened: ${name}`),
    );
    const node = openNode({
      ...policies,
      incarnation,
      limits,
      observe: (event) => this.#observe(event),
      ring: (message) => this.#ring(incarnation, message),
    });
    if (!incarnation.isOver) host.node = node;
  }

  #crashes(host: Host, call: string, nth: number, side: Side): boolean {
    const point = ++this.#points;
    const isChosen = this.#options.crashAtPoints?.includes(point) ?? false;
    const downMs = isChosen ? DOWN_MS : this.faults.crash(host.place, call, nth, side);
    if (downMs === undefined) return false;
    if (isChosen) this.crashedAt.push({ point, call, side });
    this.crash(host, downMs);
    return true;
  }

  /** Has what is to happen at its time happen then. */
  #expect(fault: Fault): void {
    if (!("atMs" in fault)) return;
    this.scheduler.after(this.#life, fault.is, fault.atMs, () => {
      if (this.faults.isOver) return;
      this.markers.fired(fault.is);
      this.#strike(fault);
    });
  }

  #strike(fault: Extract<Fault, { readonly atMs: number }>): void {
    const { now } = this.scheduler;
    if (fault.is === "restart") return this.#database.restart(fault.ms);
    if (fault.is === "database jump") return this.#database.jump(fault.byMs);
    const { place, clock, connected } = this.hosts[fault.node]!;
    switch (fault.is) {
      case "pause":
        place.pausedUntil = now + fault.ms;
        break;
      case "jump":
        clock.jump(fault.byMs);
        break;
      case "cut":
        connected?.cut();
        break;
      case "hole":
        connected?.blackHole(fault.ms);
        break;
      case "partition":
        this.network.part(place, fault.ms);
    }
  }

  #heal(): void {
    this.#healedAtMs = this.scheduler.now;
    this.faults.isOver = true;
    this.#database.heal();
    for (const host of this.hosts) {
      this.network.part(host.place, 0);
      host.place.pausedUntil = 0;
      this.#start(host);
    }
  }

  async #comeToRest(): Promise<boolean> {
    const { scheduler } = this;
    const until = scheduler.now + REST_MS;
    while (scheduler.now < until && this.#wrong === undefined) {
      if (this.#isAtRest()) return true;
      let isOver = false;
      scheduler.after(this.#life, "look", LOOK_MS, () => isOver = true);
      await scheduler.run(() => isOver, Infinity);
    }
    return false;
  }

  #isAtRest(): boolean {
    const { undelivered, openJobs, leases } = this.#database;
    const left = undelivered + openJobs + leases + this.network.inHand;
    return left === 0 && consumers.every(({ name, kind }) => {
      return this.#database.isFollowed(name, kind);
    });
  }

  async #ring(incarnation: Incarnation, message: OutboxMessage): Promise<void> {
    const { scheduler } = this;
    const { place } = incarnation;
    const how = this.faults.bell(++this.#rings);
    const way = (label: string) =>
      scheduler.pause(incarnation, label, BELL_MS * scheduler.chance(place, label));
    await way("to the outside");
    if (how === "refused") throw new DeliveryFailure("The bell is out of order");
    this.#rung.push({ message, tick: this.tick() });
    await way("from the outside");
    if (how === "unheard") throw new DeliveryFailure("The bell was not heard");
  }

  #committed(landed: Omit<Committed, "tick">): void {
    const committed = { tick: this.tick(), ...landed };
    this.#commits.push(committed);
    try {
      this.#options.watch?.(committed);
    } catch (error) {
      this.#wrong ??= { error };
    }
  }

  #observe(event: RuntimeEvent): void {
    this.markers.observe(event);
  }

  #history(isAtRest: boolean): History {
    const { streams, deadLetters, waiting, undelivered, openJobs, leases } = this.#database;
    return {
      performed: this.performed,
      told: this.told,
      commits: this.#commits,
      rung: this.#rung,
      streams,
      effects: new Map(consumers.map(({ name }) => [name, this.#database.effectsOf(name)])),
      deadLetters,
      waiting,
      unanswered: this.network.inHand,
      undelivered,
      openJobs,
      leases,
      healedAtMs: this.#healedAtMs,
      isAtRest,
    };
  }
}
