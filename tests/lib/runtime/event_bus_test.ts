/** Subscribers beside a real system on a virtual clock. */
import assert from "node:assert/strict";
import type { Commit } from "../../../lib/runtime/store.ts";
import { type BusLimits, EventBus, type Subscriber } from "../../../lib/runtime/event_bus.ts";
import {
  around,
  type Delivery,
  type Middleware,
  observing,
  type PublishedEvent,
  skipped,
} from "../../../lib/runtime/middleware.ts";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import type { ProjectionStore } from "../../../lib/runtime/projector.ts";
import { feedStart } from "../../../lib/runtime/store.ts";
import * as Counter from "../../support/counter.ts";
import { watched, World } from "./world.ts";

type Rows = string[];

/** Durable subscribers without a database: what they write counts once the page is through. */
class MemoryCheckpoints implements ProjectionStore<Rows> {
  readonly rows: Rows = [];
  readonly #world: World;
  readonly #cursors = new Map<string, typeof feedStart>();

  constructor(world: World) {
    this.#world = world;
  }

  async advance(projection: Parameters<ProjectionStore<Rows>["advance"]>[0], limit: number) {
    const after = this.#cursors.get(projection.name) ?? feedStart;
    const { events, through } = await this.#world.store.readFeed({ after, limit });
    const rows: Rows = [];
    if (events.length > 0) await projection.apply(rows, events);
    this.rows.push(...rows);
    this.#cursors.set(projection.name, events.at(-1)?.cursor ?? after);
    return { events: events.length, through };
  }

  through(): Promise<string> {
    return Promise.resolve("0");
  }
}

async function started(limits: Partial<BusLimits> = {}) {
  const world = new World();
  const observed: RuntimeEvent[] = [];
  const checkpoints = new MemoryCheckpoints(world);
  const bus = new EventBus<Rows>({
    env: world.env,
    observe: (event) => void observed.push(event),
    store: checkpoints,
    limits: { attemptsMax: 3, pauseFirstMs: 100, pauseMostMs: 1_000, ...limits },
  });
  const node = world.node({}, { publish: (address, commit) => bus.publish(address, commit) });
  await world.env.settle();
  return {
    world,
    node,
    bus,
    observed,
    checkpoints,
    seen: <Type extends RuntimeEvent["type"]>(type: Type) =>
      observed.filter((event): event is Extract<RuntimeEvent, { type: Type }> =>
        event.type === type
      ),
    async [Symbol.asyncDispose]() {
      await world.env.until(bus[Symbol.asyncDispose]());
      await world[Symbol.asyncDispose]();
    },
  };
}

function textOf({ address, version }: Pick<PublishedEvent, "address" | "version">): string {
  return `${address.key}${version}`;
}

/** Notes what it sees; throws as long as `fails` says so. */
function noting(
  name: string,
  notes: string[],
  fails: (events: readonly PublishedEvent[]) => boolean = () => false,
): Subscriber {
  return {
    name,
    handle(events) {
      if (fails(events)) throw new RangeError(`${name} is broken`);
      notes.push(...events.map(textOf));
    },
  };
}

Deno.test("whoever has an answer meets what a synchronous subscriber did", async () => {
  await using test = await started();
  const { bus, node, world } = test;
  const totals = new Map<string, number>();
  bus.subscribe({
    name: "totals",
    handle: (events) =>
      events.forEach(({ address: { key }, data }) => {
        const event = Counter.Event.parse(data);
        if (event.type === "Added") totals.set(key, (totals.get(key) ?? 0) + event.amount);
      }),
  });
  const meeting = async (key: string, amount: number) => {
    const outcome = await node.add(key, amount);
    assert(outcome.accepted);
    return [outcome.answer, totals.get(key)];
  };
  const met = await world.env.until(
    Promise.all([meeting("a", 1), meeting("b", 2), meeting("a", 3)]),
  );
  assert.deepEqual(met, [[1, 4], [2, 2], [4, 4]], "a turn of two is told of as one");
});

Deno.test("a synchronous subscriber hears what it asked for, in each actor's order", async () => {
  await using test = await started();
  const { bus, node, world } = test;
  const [all, resets, others]: [string[], string[], string[]] = [[], [], []];
  bus.subscribe({ ...noting("all", all), kind: Counter.kind });
  bus.subscribe({ ...noting("resets", resets), types: ["WasReset"] });
  bus.subscribe({ ...noting("others", others), kind: "other" });
  for (let i = 0; i < 3; i++) await world.env.until(node.add("a", 1));
  await world.env.until(node.ask("a", { type: "Reset" }));
  assert.deepEqual([all, resets, others], [["a1", "a2", "a3", "a4"], ["a4"], []]);
});

Deno.test("nothing is told of what was refused, or never became durable", async () => {
  await using test = await started();
  const { bus, node, world } = test;
  const notes: string[] = [];
  bus.subscribe(noting("notes", notes));
  const before = world.cause();
  await world.env.until(node.add("a", 1));
  await world.env.until(node.add("a", 1, { ...before, expectedVersion: 7 }));
  assert.deepEqual(notes, ["a1"]);
});

Deno.test("a turn that was found to be written is told of, once, before it is answered", async () => {
  await using test = await started();
  const { bus, node, world } = test;
  const notes: string[] = [];
  bus.subscribe(noting("notes", notes));
  await world.env.until(node.add("a", 1));
  node.store.failNext("commit", "unknown-after-applying");
  const outcome = await world.env.until(node.add("a", 1));
  assert(outcome.accepted);
  assert.deepEqual(notes, ["a1", "a2"]);
});

Deno.test("one that throws harms neither publisher nor peers, and is tried again", async () => {
  await using test = await started();
  const { bus, node, world, seen } = test;
  const [before, broken, after]: [string[], string[], string[]] = [[], [], []];
  let failures = 2;
  bus.use(observing(world.env, (event) => void test.observed.push(event)));
  bus.subscribe(noting("before", before));
  bus.subscribe(noting("broken", broken, ([event]) => textOf(event!) === "a1" && failures-- > 0));
  bus.subscribe(noting("after", after));
  const outcome = await world.env.until(node.add("a", 1));
  assert(outcome.accepted);
  assert.deepEqual([before, broken, after], [["a1"], [], ["a1"]]);
  await world.env.until(node.add("a", 1));
  await world.env.until(node.add("b", 1));
  assert.deepEqual(broken, ["b1"], "of that actor, what follows waits; of others it does not");
  await world.env.advance(1_000);
  assert.deepEqual(broken, ["b1", "a1", "a2"]);
  assert.deepEqual(seen("handling-failed").map(({ attempt }) => attempt), [1, 2]);
  assert.deepEqual(seen("given-up"), []);
  await world.env.until(node.add("a", 1));
  assert.deepEqual(broken, ["b1", "a1", "a2", "a3"], "and at once again after that");
});

Deno.test("what never succeeds is given up visibly, and what waits behind it goes on", async () => {
  await using test = await started();
  const { bus, node, world, seen } = test;
  const notes: string[] = [];
  let attempts = 0;
  bus.subscribe(noting("notes", notes, ([event]) => event!.version === 1 && ++attempts > 0));
  await world.env.until(node.add("a", 1));
  await world.env.until(node.add("a", 1));
  await world.env.advance(10_000);
  assert.equal(attempts, 3);
  assert.deepEqual(notes, ["a2"]);
  const [given, ...none] = seen("given-up");
  assert.deepEqual(none, []);
  const { subscriber, version, because, address } = given!;
  assert.deepEqual([subscriber, version, because, given!.attempts], ["notes", 1, "attempts", 3]);
  assert.deepEqual(address, { kind: Counter.kind, key: "a" });
  assert(given!.error instanceof RangeError);
});

Deno.test("what waits for a broken subscriber is bounded, and what is too much given up", async () => {
  await using test = await started({ backlogMax: 2, attemptsMax: 10 });
  const { bus, node, world, seen } = test;
  const notes: string[] = [];
  let isBroken = true;
  bus.subscribe(noting("notes", notes, () => isBroken));
  for (let i = 0; i < 3; i++) await world.env.until(node.add("a", 1), 50);
  await world.env.until(node.add("b", 1), 50);
  assert.deepEqual(
    seen("given-up").map(({ address, version, because }) => [address.key, version, because]),
    [["a", 3, "room"], ["b", 1, "room"]],
  );
  isBroken = false;
  await world.env.advance(1_000);
  assert.deepEqual(notes, ["a1", "a2"]);
  await world.env.until(node.add("a", 1));
  assert.deepEqual(notes, ["a1", "a2", "a4"]);
});

Deno.test("at the end, what is still owed is given up visibly, and nobody is left asleep", async () => {
  const test = await started();
  const { bus, node, world, seen } = test;
  bus.subscribe(noting("notes", [], () => true));
  await world.env.until(node.add("a", 1));
  await world.env.until(node.add("a", 1));
  await test[Symbol.asyncDispose]();
  assert.deepEqual(seen("given-up").map(({ because }) => because), ["shutdown", "shutdown"]);
});

Deno.test("layers nest in the order of their registration, around both kinds of subscriber", async () => {
  await using test = await started();
  const { bus, node, world, checkpoints } = test;
  const trace: string[] = [];
  const layer = (name: string): Middleware => {
    const note = (what: string) => ({ subscriber, attempt }: Delivery) =>
      void trace.push(`${name} ${what} ${subscriber} ${attempt}`);
    return around({ before: note("before"), after: note("after"), failed: note("failed") });
  };
  bus.use(layer("outer")).use(layer("inner"));
  bus.subscribe({ name: "now", handle: () => void trace.push("now") });
  await world.env.until(node.add("a", 1));
  const order = (name: string) => [
    `outer before ${name} 1`,
    `inner before ${name} 1`,
    name,
    `inner after ${name} 1`,
    `outer after ${name} 1`,
  ];
  assert.deepEqual(trace.splice(0), order("now"));
  let isBroken = true;
  bus.follow({
    name: "later",
    apply: (rows, events) => {
      if (isBroken) throw new RangeError("broken");
      trace.push("later");
      rows.push(...events.map(textOf));
      return Promise.resolve();
    },
  });
  await world.env.settle();
  assert.deepEqual(trace.splice(0), [
    "outer before later 1",
    "inner before later 1",
    "inner failed later 1",
    "outer failed later 1",
  ]);
  isBroken = false;
  await world.env.advance(200);
  assert.deepEqual(trace, order("later").map((step) => step.replace("1", "2")));
  assert.deepEqual(checkpoints.rows, ["a1"]);
});

Deno.test("a layer may keep events from a subscriber, but only by saying so", async () => {
  await using test = await started();
  const { bus, node, world, checkpoints, seen } = test;
  bus.use(observing(world.env, (event) => void test.observed.push(event)));
  let isKnowing = false;
  bus.use(({ events }, next) =>
    events.some(({ version }) => version === 1) ? isKnowing ? skipped : undefined : next()
  );
  const notes: string[] = [];
  bus.subscribe(noting("notes", notes));
  bus.follow({
    name: "rows",
    apply: (rows, events) => Promise.resolve(void rows.push(...events.map(textOf))),
  }, { pageMax: 1 });
  await world.env.until(node.add("a", 1));
  await world.env.until(node.add("a", 1));
  await world.env.advance(1_100);
  assert.deepEqual(checkpoints.rows, [], "what was forgotten blocks");
  assert.deepEqual(seen("given-up").map(({ subscriber }) => subscriber), ["notes"]);
  assert(seen("handling-failed").some(({ error }) => /without saying so/.test(String(error))));
  isKnowing = true;
  await world.env.advance(60_000);
  assert.deepEqual(checkpoints.rows, ["a2"]);
  assert(seen("handled").some(({ isSkipped, subscriber }) => isSkipped && subscriber === "rows"));
});

Deno.test("a layer that hands the events on twice fails the delivery", async () => {
  await using test = await started({ attemptsMax: 1 });
  const { bus, node, world, seen } = test;
  bus.use((_, next) => {
    next();
    return next();
  });
  const notes: string[] = [];
  bus.subscribe(noting("notes", notes));
  await world.env.until(node.add("a", 1));
  await world.env.settle();
  assert.deepEqual(notes, ["a1"]);
  assert.match(String(seen("given-up")[0]?.error), /twice/);
});

Deno.test("a layer that awaits puts a synchronous subscriber off, and keeps each actor's order", async () => {
  await using test = await started();
  const { bus, node, world } = test;
  const notes: string[] = [];
  bus.use(async ({ events }, next) => {
    await world.env.sleep(events[0]!.version === 1 ? 50 : 1);
    await next();
  });
  bus.subscribe(noting("notes", notes));
  const asked = watched(node.add("a", 1));
  await world.env.settle();
  assert.equal(asked.state, "resolved", "the publisher does not wait for it");
  const again = node.add("a", 1);
  await world.env.until(again, 0);
  await world.env.advance(100);
  assert.deepEqual(notes, ["a1", "a2"]);
});

Deno.test("an event that one durable subscriber cannot take blocks that one alone", async () => {
  await using test = await started();
  const { bus, node, world, checkpoints, seen } = test;
  const following = (name: string, poison: string) =>
    bus.follow({
      name,
      apply: (rows, events) => {
        const texts = events.map(textOf);
        if (texts.includes(poison)) throw new RangeError("poison");
        return Promise.resolve(void rows.push(...texts.map((text) => `${name} ${text}`)));
      },
    });
  following("blocked", "a2");
  following("well", "none");
  for (let i = 0; i < 4; i++) await world.env.until(node.add("a", 1));
  await world.env.advance(20_000);
  assert.deepEqual(checkpoints.rows.toSorted(), [
    "blocked a1",
    "well a1",
    "well a2",
    "well a3",
    "well a4",
  ]);
  const failures = seen("projection-failed");
  assert(failures.every(({ projection }) => projection === "blocked"));
  assert.equal(failures.at(-1)!.blockedBy?.version, 2);
});

Deno.test("a name belongs to one subscriber", async () => {
  await using test = await started();
  test.bus.subscribe(noting("notes", []));
  assert.throws(() => test.bus.subscribe(noting("notes", [])), /notes/);
  assert.throws(() => test.bus.follow({ name: "notes", apply: () => Promise.resolve() }), /notes/);
});

Deno.test("without subscribers nothing is made of a turn", async () => {
  await using test = await started();
  const commit = new Proxy({}, {
    get(): never {
      throw new Error("somebody looked");
    },
  });
  test.bus.publish({ kind: "counter", key: "a" }, commit as Commit);
  await Promise.resolve();
});
