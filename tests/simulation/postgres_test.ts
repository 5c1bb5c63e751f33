/** The simulated Postgres is as unpleasant as the real one. */
import assert from "node:assert/strict";
import { PoisonFault, TransientFault } from "../../lib/fault.ts";
import type { Address } from "../../lib/runtime/envelope.ts";
import { type Commit, feedStart, type NewMessage, type Store } from "../../lib/runtime/store.ts";
import { AT, commitOf, newEvent } from "../contracts/store_contract.ts";
import { VirtualEnv } from "../support/virtual_env.ts";
import type { Client } from "./postgres/client.ts";
import {
  type CommitMishap,
  type FaultPlan,
  noFaults,
  type Pace,
  type Span,
  type StatementError,
} from "./postgres/fault_plan.ts";
import { type Landed, type ServerOptions, SimulatedPostgres } from "./postgres/server.ts";

/** Every way takes 1 ms; how long a commit takes is up to each test. */
function paceWith(commitMs: Span): Pace {
  return { connectMs: [1, 1], requestMs: [1, 1], commitMs, replyMs: [1, 1] };
}

class Bench {
  readonly env = new VirtualEnv();
  readonly server: SimulatedPostgres;
  readonly landed: Landed[] = [];
  readonly #struck = new Map<string, StatementError | CommitMishap>();

  constructor(options: Partial<ServerOptions> = {}) {
    this.server = new SimulatedPostgres({
      time: this.env,
      seed: 1,
      pace: paceWith([2, 2]),
      strike: (client, statement, nth) => this.#struck.get(`${client} ${statement} ${nth}`),
      onCommit: (landed) => void this.landed.push(landed),
      ...options,
    });
  }

  node(name = "one"): Client {
    return this.server.connect({ name });
  }

  strike(what: StatementError | CommitMishap, statement: string, client = "one", nth = 1): void {
    this.#struck.set(`${client} ${statement} ${nth}`, what);
  }

  count(occurrence: Parameters<SimulatedPostgres["note"]>[0]): number {
    return this.server.occurred.get(occurrence) ?? 0;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.env.until(promise);
  }

  /** What it fails with. */
  async fault(promise: Promise<unknown>): Promise<TransientFault> {
    const fault = await this.until(promise.then(() => undefined, (error) => error));
    assert(fault instanceof TransientFault, `${fault} is a fault of the world`);
    return fault;
  }

  async version(key: string, { store }: Client = this.node("reader")): Promise<number> {
    const [loaded] = await this.until(store.load([{ address: { kind: "k", key } }]));
    return loaded!.version;
  }
}

function opening(key: string, changes: Partial<Commit> = {}): Commit {
  return commitOf("k", key, { events: [newEvent("Opened")], ...changes });
}

function next(key: string, at: number, type = "Changed"): Commit {
  return commitOf("k", key, { revision: at, version: at, events: [newEvent(type)] });
}

async function keysIn(bench: Bench, store: Store, after = feedStart) {
  const page = await bench.until(store.readFeed({ after, limit: 100 }));
  return { keys: page.events.map(({ address }) => address.key), page };
}

Deno.test("a commit is there for all at one moment, before its writer hears of it", async () => {
  const bench = new Bench();
  const { store } = bench.node();
  const committing = store.commit([opening("a"), opening("b")]);
  await bench.env.advance(3);
  assert.equal(bench.landed.length, 0, "connected, sent, and judged by now");
  await bench.env.advance(1);
  assert.deepEqual(bench.landed.map(({ changes }) => changes.length), [2]);
  assert.deepEqual((await bench.until(committing)).map(({ is }) => is), ["ok", "ok"]);
});

Deno.test("transactions commit in another order than that of their ids, and no feed loses one", async () => {
  const bench = new Bench({ pace: paceWith([0, 400]) });
  const nodes = ["one", "two", "three"].map((name) => bench.node(name));
  const seen: string[] = [];
  let cursor = feedStart;
  const commits = Array.from(
    { length: 60 },
    (_, n) => nodes[n % 3]!.store.commit([opening(`${n}`)]),
  );
  const done = Promise.all(commits);
  for (let round = 0; round < 400; round++) {
    const { keys, page } = await keysIn(bench, nodes[round % 3]!.store, cursor);
    seen.push(...keys);
    const last = page.events.at(-1)?.cursor;
    if (last !== undefined) cursor = last;
    await bench.env.advance(5);
  }
  await bench.until(done);
  assert.equal(new Set(seen).size, 60);
  assert.equal(seen.length, 60, "nothing is met twice");
  assert(bench.count("commit out of order") > 0);
  assert(bench.count("horizon held back") > 0);
});

Deno.test("by their positions alone a reader would have lost some", async () => {
  const bench = new Bench({ pace: paceWith([0, 400]) });
  const nodes = ["one", "two", "three"].map((name) => bench.node(name));
  const done = Promise.all(
    Array.from({ length: 60 }, (_, n) => nodes[n % 3]!.store.commit([opening(`${n}`)])),
  );
  const seen = new Set<number>();
  let reached = 0;
  for (let round = 0; round < 400; round++) {
    for (const { position } of [...bench.server.tables.feed]) {
      if (position > reached) seen.add(position);
    }
    reached = Math.max(reached, ...seen);
    await bench.env.advance(5);
  }
  await bench.until(done);
  assert(seen.size < 60);
});

Deno.test("who loses a race for an actor waits for its row, and finds a conflict", async () => {
  const bench = new Bench({ pace: paceWith([100, 100]) });
  const [one, two] = [bench.node("one"), bench.node("two")];
  await bench.until(one.store.commit([opening("a")]));
  const both = Promise.all([one, two].map(({ store }) => store.commit([next("a", 1)])));
  const outcomes = (await bench.until(both)).map(([outcome]) => outcome!.is).sort();
  assert.deepEqual(outcomes, ["conflict", "ok"]);
  assert.equal(bench.count("lock wait"), 1);
  assert.equal(await bench.version("a"), 2);
});

Deno.test("two that make the same actor wait for each other too", async () => {
  const bench = new Bench({ pace: paceWith([100, 100]) });
  const both = Promise.all(
    ["one", "two"].map((name) => bench.node(name).store.commit([opening("a")])),
  );
  const outcomes = (await bench.until(both)).map(([outcome]) => outcome!.is).sort();
  assert.deepEqual(outcomes, ["conflict", "ok"]);
  assert.equal(bench.count("lock wait"), 1);
});

Deno.test("an exclusive turn holds its actor until it is committed", async () => {
  const bench = new Bench({ pace: paceWith([50, 50]) });
  const [one, two] = [bench.node("one"), bench.node("two")];
  await bench.until(one.store.commit([opening("a")]));
  const versions: number[] = [];
  const turn = ({ store }: Client) =>
    store.commitExclusively({ kind: "k", key: "a" }, 0, ({ revision, version }) => {
      versions.push(version);
      return { ...next("a", version), revision };
    });
  const outcomes = await bench.until(Promise.all([turn(one), turn(two), turn(one)]));
  assert.deepEqual(outcomes.map(({ is }) => is), ["ok", "ok", "ok"]);
  assert.deepEqual(versions, [1, 2, 3]);
  assert(bench.count("lock wait") >= 2);
});

Deno.test("an exclusive turn gives way where a commit with a later id slipped in before it", async () => {
  for (let seed = 1;; seed++) {
    const bench = new Bench({ seed, pace: paceWith([50, 50]) });
    const [one, two, three] = ["one", "two", "three"].map((name) => bench.node(name));
    await bench.until(one!.store.commit([opening("a")]));
    bench.strike("failed commit", "commit", "one", 2);
    const failing = one!.store.commit([next("a", 1)]).catch(() => {});
    await bench.env.advance(2);
    const address = { kind: "k", key: "a" };
    const turn = two!.store.commitExclusively(address, 0, ({ version, revision }) => {
      return { ...next("a", version), revision };
    });
    await bench.env.advance(3);
    const slipping = three!.store.commit([next("a", 1)]);
    await bench.until(failing);
    const outcomes = [(await bench.until(turn)).is, (await bench.until(slipping))[0]!.is];
    if (bench.count("overtaken") === 0) {
      assert.deepEqual(outcomes, ["ok", "conflict"]);
      assert(seed < 50, "nobody ever slips in");
    } else {
      assert.deepEqual(outcomes, ["conflict", "ok"]);
      return;
    }
  }
});

Deno.test("who waits for a lock too long is told so, and nothing is there", async () => {
  const bench = new Bench({ pace: paceWith([3_500, 3_500]) });
  const [one, two] = [bench.node("one"), bench.node("two")];
  const making = one.store.commit([opening("a")]);
  await bench.env.advance(3);
  const fault = await bench.fault(two.store.commit([opening("a"), opening("b")]));
  assert.match(fault.message, /55P03/);
  assert.equal(fault.outcome, "not-applied");
  await bench.until(making);
  assert.equal(await bench.version("b"), 0);
});

Deno.test("who waits for each other in a circle is found out", async () => {
  const bench = new Bench();
  const [first, second] = [bench.server.begin("one"), bench.server.begin("two")];
  first.beginStatement();
  second.beginStatement();
  await first.lock("x");
  await second.lock("y");
  const waiting = first.lock("y");
  const closing = bench.until(second.lock("x")!.then(() => "granted", ({ code }) => code));
  assert.equal(await closing, "40P01");
  second.abort();
  await waiting;
  first.abort();
});

const mishaps: readonly [CommitMishap, TransientFault["outcome"], number][] = [
  ["failed commit", "not-applied", 0],
  ["lost reply", "unknown", 1],
  ["hung, then committed", "unknown", 1],
  ["hung, then rolled back", "unknown", 0],
  ["panic, though committed", "unknown", 1],
  ["panic, rolled back", "unknown", 0],
];

for (const [mishap, outcome, version] of mishaps) {
  Deno.test(`the outcome of a commit: ${mishap}`, async () => {
    const bench = new Bench();
    bench.strike(mishap, "commit");
    const fault = await bench.fault(bench.node().store.commit([opening("a")]));
    assert.equal(fault.outcome, outcome);
    await bench.env.advance(12_000);
    assert.equal(await bench.version("a"), version);
    assert.equal(bench.count(mishap), 1);
    assert.equal(bench.server.open.size, 0);
  });

  Deno.test(`the outcome of an exclusive turn: ${mishap}`, async () => {
    const bench = new Bench();
    bench.strike(mishap, "commit exclusively");
    const turn = bench.node().store.commitExclusively(
      { kind: "k", key: "a" },
      0,
      () => opening("a"),
    );
    assert.equal((await bench.fault(turn)).outcome, outcome);
    await bench.env.advance(12_000);
    assert.equal(await bench.version("a"), version);
    assert.equal(bench.server.open.size, 0);
  });
}

const errors: readonly [StatementError, TransientFault["outcome"]][] = [
  ["serialization failure", "not-applied"],
  ["deadlock", "not-applied"],
  ["lock not available", "not-applied"],
  ["statement timeout", "not-applied"],
  ["disk full", "not-applied"],
  ["terminated", "unknown"],
];

for (const [error, outcome] of errors) {
  Deno.test(`a statement ends with an error: ${error}`, async () => {
    const bench = new Bench();
    bench.strike(error, "commit");
    bench.strike(error, "load", "one");
    const { store } = bench.node();
    const fault = await bench.fault(store.commit([opening("a")]));
    assert.equal(fault.outcome, outcome);
    const read = await bench.fault(store.load([{ address: { kind: "k", key: "a" } }]));
    assert.equal(read.outcome, "not-applied", "a read has changed nothing");
    assert.equal(await bench.version("a"), 0);
    assert.equal(bench.count(error), 2);
    await bench.until(store.commit([opening("a")]));
  });
}

Deno.test("a restart ends all that goes on, keeps what is committed, and refuses for a while", async () => {
  const bench = new Bench({ pace: paceWith([100, 100]) });
  const { store, outbox } = bench.node();
  await bench.until(store.commit([opening("a")]));
  const committing = store.commit([next("a", 1)]);
  const turn = store.commitExclusively({ kind: "k", key: "b" }, 0, () => opening("b"));
  await bench.env.advance(4);
  const deciding = store.commitExclusively({ kind: "k", key: "c" }, 0, () => opening("c"));
  await bench.env.advance(4);
  const faults = Promise.all([committing, turn, deciding].map((work) => bench.fault(work)));
  bench.server.restart(1_000);
  const outcomes = (await faults).map(({ outcome }) => outcome);
  assert.deepEqual(outcomes, ["unknown", "unknown", "not-applied"], "the last had not said COMMIT");
  assert.equal((await bench.fault(outbox.depth(10))).outcome, "not-applied");
  assert(bench.count("connection refused") > 0);
  await bench.env.advance(1_000);
  assert.deepEqual([await bench.version("a"), await bench.version("b")], [1, 0]);
  assert.deepEqual((await bench.until(store.commit([next("a", 1)]))).map(({ is }) => is), ["ok"]);
});

Deno.test("a node that is cut off between its statements leaves no lock behind", async () => {
  const bench = new Bench();
  const [one, two] = [bench.node("one"), bench.node("two")];
  await bench.until(one.store.commit([opening("a")]));
  const address = { kind: "k", key: "a" };
  const turn = one.store.commitExclusively(address, 0, ({ version, revision }) => {
    one.cut();
    return { ...next("a", version), revision };
  });
  assert.equal((await bench.fault(turn)).outcome, "not-applied");
  assert.equal(bench.server.open.size, 0);
  assert.equal((await bench.until(two.store.commit([next("a", 1)])))[0]!.is, "ok");
  assert.equal(bench.count("lock wait"), 0);
});

Deno.test("what was sent by a node that is gone is done all the same", async () => {
  const bench = new Bench();
  const one = bench.node();
  await bench.until(one.store.commit([opening("a")]));
  const committing = one.store.commit([next("a", 1)]);
  one.vanish();
  assert.equal((await bench.fault(committing)).outcome, "unknown");
  await bench.env.advance(10);
  assert.equal(await bench.version("a"), 2);
});

Deno.test("through a black hole nobody hears anything, and what was sent comes late", async () => {
  const bench = new Bench();
  const one = bench.node();
  await bench.until(one.store.commit([opening("a")]));
  one.blackHole(9_000);
  const fault = await bench.fault(one.store.commit([next("a", 1)]));
  assert.equal(fault.outcome, "unknown");
  assert.equal(bench.env.monotonic() < 9_000, true, "it gave up before");
  assert.equal(await bench.version("a"), 1);
  await bench.env.advance(2_000);
  assert.equal(await bench.version("a"), 2, "it got through, and is done");
});

Deno.test("what waits for a connection that its node gives up is never sent", async () => {
  const bench = new Bench();
  const one = bench.node();
  one.blackHole(9_000);
  const fault = await bench.fault(one.store.commit([opening("a")]));
  assert.equal(fault.outcome, "not-applied");
  await bench.env.advance(2_000);
  assert.equal(await bench.version("a"), 0);
});

Deno.test("a turn that its node forgets about is ended by the server", async () => {
  const bench = new Bench();
  const stopped = bench.server.connect({ name: "one", resumed: () => new Promise(() => {}) });
  const two = bench.node("two");
  await bench.until(two.store.commit([opening("a")]));
  void stopped.store.commitExclusively({ kind: "k", key: "a" }, 0, () => opening("a"));
  await bench.env.advance(100);
  assert.match((await bench.fault(two.store.commit([next("a", 1)]))).message, /55P03/);
  await bench.env.advance(12_500);
  assert.equal((await bench.until(two.store.commit([next("a", 1)])))[0]!.is, "ok");
  assert.equal(bench.count("idle transaction ended"), 1);
});

Deno.test("what was told at once keeps its place, though the clock of the database goes back", async () => {
  const bench = new Bench();
  const { store, outbox } = bench.node();
  const to = { kind: "k", key: "lane" };
  const tell = (key: string, note: string, delayMs = 0) =>
    store.commit([opening(key, { at: bench.server.now(), messages: [noteTo(to, note, delayMs)] })]);
  await bench.until(tell("a", "first"));
  await bench.until(tell("b", "later", 60_000));
  bench.server.moveClock(-10_000);
  await bench.until(tell("c", "second"));
  const claim = outbox.claim([to], { token: 1, leaseMs: 60_000, limit: 10 });
  const [lane] = await bench.until(claim);
  assert.deepEqual(lane!.messages.map(({ command }) => command), ["first", "second"]);
});

Deno.test("leases go by the clock of the database, which jumps", async () => {
  const bench = new Bench();
  const { store, outbox } = bench.node();
  const to = { kind: "k", key: "lane" };
  const messages = [noteTo(to, "1")];
  await bench.until(store.commit([opening("a", { at: AT - 1, messages })]));
  const claim = (token: number) => outbox.claim([to], { token, leaseMs: 60_000, limit: 1 });
  assert.equal((await bench.until(claim(1))).length, 1);
  assert.equal((await bench.until(claim(2))).length, 0);
  bench.server.moveClock(61_000);
  assert.equal((await bench.until(claim(2))).length, 1);
});

Deno.test("a failover loses the last commits", async () => {
  const bench = new Bench({ commitsKept: 3 });
  const { store } = bench.node();
  await bench.until(store.commit([opening("a")]));
  for (const at of [1, 2, 3]) await bench.until(store.commit([next("a", at)]));
  bench.server.failOver({ commitsLost: 2, downMs: 100 });
  await bench.env.advance(100);
  assert.equal(await bench.version("a"), 2);
  assert.deepEqual((await keysIn(bench, bench.node("two").store)).keys, ["a", "a"]);
});

Deno.test("too many connections, and content that is refused, are told as what they are", async () => {
  const faults: FaultPlan = { ...noFaults, tooManyConnections: 1 };
  const bench = new Bench({ faults });
  const { store } = bench.node();
  const fault = await bench.fault(store.commit([opening("a")]));
  assert.match(fault.message, /53300/);
  assert.equal(fault.outcome, "not-applied");
  bench.server.faults = { ...noFaults, refused: "forbidden" };
  const bad = opening("a", { events: [newEvent("Opened", { title: "forbidden" })] });
  await assert.rejects(bench.until(store.commit([opening("b"), bad])), PoisonFault);
  assert.deepEqual([await bench.version("a"), await bench.version("b")], [0, 0]);
});

Deno.test("the same seed leads to the same course, another to another", async () => {
  const course = async (seed: number) => {
    const faults: FaultPlan = {
      ...noFaults,
      errors: { "serialization failure": 0.1, "terminated": 0.05 },
      commits: { "lost reply": 0.1, "hung, then committed": 0.05 },
      stalls: 0.1,
    };
    const bench = new Bench({ seed, faults, pace: paceWith([0, 10]) });
    const { store } = bench.node();
    const outcomes = Array.from({ length: 50 }, (_, n) =>
      store.commit([opening(`${n}`)]).then(
        ([outcome]) => `${bench.env.monotonic()} ${JSON.stringify(outcome)}`,
        ({ message }) => `${bench.env.monotonic()} ${message}`,
      ));
    return await bench.until(Promise.all(outcomes));
  };
  assert.deepEqual(await course(1), await course(1));
  assert.notDeepEqual(await course(1), await course(2));
});

function noteTo(to: Address, command: string, delayMs = 0): NewMessage {
  return {
    messageId: crypto.randomUUID(),
    to,
    schema: 1,
    command,
    correlationId: crypto.randomUUID(),
    causationId: crypto.randomUUID(),
    principal: { id: "ana", roles: [] },
    delayMs,
  };
}
