/** A projector on a store of read models in memory, held to the port. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import {
  type Advance,
  type Projection,
  type ProjectionStore,
  Projector,
  type ProjectorLimits,
  wantedBy,
} from "../../../lib/runtime/projector.ts";
import { type FeedCursor, type FeedEvent, feedStart } from "../../../lib/runtime/store.ts";
import * as Counter from "../../support/counter.ts";
import { watched, World } from "./world.ts";

/** What has been seen; rows are added when the transaction ends, and only then. */
type Rows = FeedEvent[];

class MemoryProjectionStore implements ProjectionStore<Rows> {
  readonly rows: Rows = [];
  /** When it was asked for a page, in monotonic milliseconds. */
  readonly askedAt: number[] = [];
  /** How the next pages fail. */
  readonly failures: Error[] = [];
  /** While a reader is at it, this one or another node's. */
  isTaken = false;
  /** How many events each page had. */
  readonly pages: number[] = [];
  pageMs = 0;
  readonly #world: World;
  #cursor: FeedCursor = feedStart;
  #through = "0";

  constructor(world: World) {
    this.#world = world;
  }

  async advance(projection: Projection<Rows>, limit: number): Promise<Advance | undefined> {
    this.askedAt.push(this.#world.env.monotonic());
    if (this.isTaken) return undefined;
    this.isTaken = true;
    try {
      return await this.#advance(projection, limit);
    } finally {
      this.isTaken = false;
    }
  }

  async through(): Promise<string> {
    return await Promise.resolve(this.#through);
  }

  async #advance(projection: Projection<Rows>, limit: number): Promise<Advance> {
    const { env, store } = this.#world;
    const after = this.#cursor;
    const { events, through } = await store.readFeed({ after, limit, ...wantedBy(projection) });
    this.pages.push(events.length);
    if (this.pageMs > 0) await env.sleep(this.pageMs);
    const rows: Rows = [];
    if (events.length > 0) await projection.apply(rows, events);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.rows.push(...rows);
    this.#cursor = events.at(-1)?.cursor ?? this.#cursor;
    this.#through = through;
    return { events: events.length, through };
  }
}

const projection: Projection<Rows> = {
  name: "seen",
  kind: Counter.kind,
  apply: (rows, events) => {
    rows.push(...events);
    return Promise.resolve();
  },
};

function started(world: World, limits: Partial<ProjectorLimits> = {}) {
  const store = new MemoryProjectionStore(world);
  const observed: RuntimeEvent[] = [];
  const start = (apply = projection.apply) =>
    new Projector({
      projection: { ...projection, apply },
      store,
      env: world.env,
      observe: (event) => void observed.push(event),
      limits: { gatherMs: 50, pollMs: 500, waitPollMs: 20, ...limits },
    });
  return { store, observed, start };
}

function versions(store: MemoryProjectionStore): number[] {
  return store.rows.map(({ version }) => version);
}

Deno.test("a projector catches up page by page when it starts", async () => {
  await using world = new World();
  await world.plantAdded("a", 1, 1, 1, 1, 1);
  const { store, observed, start } = started(world, { pageMax: 2 });
  await using _ = start();
  await world.env.settle();
  assert.deepEqual(versions(store), [1, 2, 3, 4, 5]);
  assert.deepEqual(
    observed.map((event) => event.type === "projected" && event.events),
    [2, 2, 1],
  );
});

Deno.test("a projector that is woken gathers a little, then takes all in one page", async () => {
  await using world = new World();
  const { store, observed, start } = started(world);
  await using projector = start();
  await world.env.advance(100);
  await world.plantAdded("a", 1);
  projector.wake();
  await world.env.advance(30);
  await world.plantAdded("a", 1);
  projector.wake();
  assert.deepEqual(versions(store), []);
  await world.env.advance(20);
  assert.deepEqual(versions(store), [1, 2]);
  assert.equal(observed.length, 1);
});

Deno.test("a projector looks now and then without being woken", async () => {
  await using world = new World();
  const { store, start } = started(world);
  await using _ = start();
  await world.env.settle();
  await world.plantAdded("a", 1);
  await world.env.advance(499);
  assert.deepEqual(versions(store), []);
  await world.env.advance(1);
  assert.deepEqual(versions(store), [1]);
  await world.env.advance(5_000);
  assert.equal(store.askedAt.length, 12);
});

Deno.test("a wake while a page is read is not lost", async () => {
  await using world = new World();
  const { store, start } = started(world);
  store.pageMs = 10;
  await using projector = start();
  await world.env.settle();
  await world.plantAdded("a", 1);
  projector.wake();
  await world.env.advance(10 + 50 + 10);
  assert.deepEqual(versions(store), [1]);
});

Deno.test("a waiting query hears as soon as the projection shows its write", async () => {
  await using world = new World();
  const node = world.node();
  const { start } = started(world);
  await using projector = start();
  const outcome = await node.add("a", 1);
  assert(outcome.accepted);
  projector.wake();
  const shows = watched(projector.shows(outcome.transaction, 200));
  await world.env.advance(20);
  assert.equal(shows.value, true, "the projector did not gather for 50 ms while somebody waits");
  assert.equal(await projector.shows(outcome.transaction, 0), true);
});

Deno.test("a query that waits too long hears so, in time", async () => {
  await using world = new World();
  const { store, start } = started(world);
  store.isTaken = true;
  await using projector = start();
  const shows = watched(projector.shows("1", 50));
  await world.env.advance(49);
  assert.equal(shows.state, "pending");
  await world.env.advance(1);
  assert.equal(shows.value, false);
  const atOnce = watched(projector.shows("1", 0));
  await world.env.settle();
  assert.equal(atOnce.value, false);
});

Deno.test("a query is answered from the checkpoint that another node has moved", async () => {
  await using world = new World();
  const { store, start } = started(world);
  store.isTaken = true;
  await using projector = start();
  const shows = watched(projector.shows("4", 1_000));
  await world.env.advance(100);
  assert.equal(shows.state, "pending");
  store.through = () => Promise.resolve("4");
  await world.env.advance(20);
  assert.equal(shows.value, true);
});

Deno.test("a page that fails is observed, leaves nothing, and is read again", async () => {
  await using world = new World();
  await world.plantAdded("a", 1, 1);
  const { store, observed, start } = started(world);
  store.failures.push(new RangeError("no page"));
  await using projector = start();
  await world.env.settle();
  assert.equal(observed.length, 1);
  assert.equal(observed[0]?.type, "projection-failed");
  assert.deepEqual(versions(store), []);
  projector.wake();
  await world.env.advance(49);
  assert.deepEqual(versions(store), [], "not even for a commit before its pause is over");
  await world.env.advance(51);
  assert.deepEqual(versions(store), [1, 2]);
});

Deno.test("pauses grow while the world is at fault, up to the distance of two looks", async () => {
  await using world = new World();
  await world.plantAdded("a", 1, 1);
  const { store, observed, start } = started(world);
  const fault = new TransientFault("no connection");
  store.failures.push(...Array.from({ length: 12 }, () => fault));
  await using _ = start();
  await world.env.advance(6_000);
  const failed = observed.filter((event) => event.type === "projection-failed");
  assert.deepEqual(failed.map(({ attempts }) => attempts), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  for (const { retryInMs } of failed) assert(retryInMs <= 500);
  assert(failed.at(-1)!.retryInMs >= 250);
  assert(failed[0]!.retryInMs <= 100);
  assert.deepEqual(
    new Set(store.pages.filter((size) => size > 0)),
    new Set([2]),
    "the page was not at fault, and stays whole",
  );
});

Deno.test("an event that cannot be applied is met alone, named, and never skipped", async () => {
  await using world = new World();
  await world.plantAdded("a", 1, 1, 7, 1, 1);
  const { store, observed, start } = started(world);
  let isHealed = false;
  await using _ = start((rows, events) => {
    if (!isHealed && events.some(({ version }) => version === 3)) throw new RangeError("poison");
    rows.push(...events);
    return Promise.resolve();
  });
  await world.env.advance(10_000);
  assert.deepEqual(versions(store), [1, 2]);
  const failed = observed.filter((event) => event.type === "projection-failed");
  assert.equal(failed[0]!.blockedBy, undefined);
  const { blockedBy, ageMs, attempts } = failed.at(-1)!;
  assert.deepEqual(blockedBy, { address: { kind: Counter.kind, key: "a" }, version: 3 });
  assert(ageMs! > 3_000, "its age is told");
  assert.equal(attempts, failed.length - 1, "counted from where it was met alone");
  assert(failed.at(-1)!.retryInMs > failed[1]!.retryInMs * 4, "its pauses grow");
  assert(failed.length < 10);
  isHealed = true;
  await world.env.advance(60_000);
  assert.deepEqual(versions(store), [1, 2, 3, 4, 5]);
});

Deno.test("a projector in no hurry rests between its pages, unless a query waits", async () => {
  await using world = new World();
  await world.plantAdded("a", 1, 1, 1, 1, 1, 1);
  const { store, start } = started(world, { pageMax: 1, restMs: 40 });
  await using projector = start();
  await world.env.advance(79);
  assert.deepEqual(versions(store), [1, 2]);
  await world.env.advance(1);
  assert.deepEqual(versions(store), [1, 2, 3]);
  const shows = watched(projector.shows("1", 100));
  await world.env.advance(0);
  assert.deepEqual(versions(store), [1, 2, 3, 4]);
  // The sixth page is full, so only the one behind it says that nothing follows.
  await world.env.advance(99);
  assert.equal(shows.value, true);
});

Deno.test("a projector with a share of the time rests in proportion to what its pages take", async () => {
  await using world = new World();
  await world.plantAdded("a", 1, 1, 1, 1, 1, 1);
  const { store, start } = started(world, { pageMax: 1, shareMax: 0.1 });
  store.pageMs = 10;
  await using _ = start();
  await world.env.advance(250);
  assert.deepEqual(store.askedAt, [0, 100, 200]);
  store.pageMs = 20;
  await world.env.advance(400);
  assert.deepEqual(store.askedAt, [0, 100, 200, 300, 500]);
});

Deno.test("a projector that stops finishes its page and takes no other", async () => {
  await using world = new World();
  await world.plantAdded("a", 1, 1, 1, 1);
  const { store, start } = started(world, { pageMax: 2 });
  store.pageMs = 10;
  const projector = start();
  await world.env.settle();
  const stopping = watched(projector[Symbol.asyncDispose]());
  await world.env.settle();
  assert.equal(stopping.state, "pending");
  await world.env.advance(99);
  assert.equal(stopping.state, "resolved");
  assert.deepEqual(versions(store), [1, 2]);
  await world.env.advance(5_000);
  assert.equal(store.askedAt.length, 1);
});

Deno.test("a projector at rest stops at once", async () => {
  await using world = new World();
  const { start } = started(world);
  for (const restingMs of [0, 300, 520]) {
    const projector = start();
    await world.env.advance(restingMs);
    await projector[Symbol.asyncDispose]();
    assert.equal(world.env.sleepers, 0);
  }
});

Deno.test("two projectors of one projection show each event once", async () => {
  await using world = new World();
  const { store, start } = started(world);
  await using _one = start();
  await world.env.settle();
  await using _other = start();
  for (let round = 0; round < 5; round++) {
    await world.plantAdded("a", 1);
    await world.env.advance(600);
  }
  assert.deepEqual(versions(store), [1, 2, 3, 4, 5]);
});
