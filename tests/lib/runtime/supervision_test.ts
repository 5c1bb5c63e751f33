/** Actors that fail: who is restarted, who is kept away and for how long, and who never notices. */
import assert from "node:assert/strict";
import { MemoryStore } from "../../../lib/memory/store.ts";
import { defaultRootStrategy } from "../../../lib/runtime/supervision.ts";
import { defaultActorStrategy, Quarantined } from "../../../lib/runtime/supervisor.ts";
import { brief, type Node, watched, World } from "./world.ts";

const { restartsMax, quarantineMs, quarantinedMax, kindStopMs, pauseFirstMs, restartWindowMs } =
  defaultActorStrategy;

function explode(node: Node, key: string): Promise<unknown> {
  return node.ask(key, { type: "Explode", where: "decide" });
}

/** Has the actor fail so often, each time as soon as it takes messages again. */
async function fail(world: World, node: Node, key: string, times: number): Promise<void> {
  for (let failures = 0; failures < times; failures++) {
    await assert.rejects(world.env.until(explode(node, key)), RangeError);
  }
}

/** Into quarantine. */
async function exhaust(world: World, node: Node, key: string): Promise<void> {
  await fail(world, node, key, restartsMax + 1);
  await world.env.settle();
}

function isRefusal(retryAfterMs: number) {
  return (error: unknown) => {
    assert(error instanceof Quarantined);
    assert.equal(error.outcome, "not-applied");
    assert.equal(error.retryAfterMs, retryAfterMs);
    return true;
  };
}

/** Which actors, kinds and workers went in and out. */
function comings(node: Node): string[] {
  return node.observed.flatMap((event) => {
    if (event.type !== "quarantined" && event.type !== "released") return [];
    const { subject } = event;
    const who = subject.is === "actor" ? subject.address.key : subject.is;
    return event.type === "released" ? [`${who} out by ${event.because}`] : [`${who} in`];
  });
}

Deno.test("a handler that throws restarts its actor, and no other notices", async () => {
  await using world = new World();
  const node = world.node();
  await Promise.all([node.add("a", 1), node.add("b", 1)]);
  await fail(world, node, "a", 3);
  const loads = node.store.calls.load;
  assert.equal(brief(await node.add("b", 1)), "total 2 at 2");
  assert.equal(node.store.calls.load, loads, "it was never forgotten");
  const restarts = node.seen("restarted");
  assert.deepEqual(restarts.map(({ address }) => address.key), ["a", "a", "a"]);
});

Deno.test("the first restart is immediate, later ones wait, and messages wait in the mailbox", async () => {
  await using world = new World();
  const node = world.node({ mailboxCapacity: 2 });
  await fail(world, node, "a", 2);
  await world.env.settle();
  const [first, second] = node.seen("restarted").map(({ inMs }) => inMs);
  assert.equal(first, 0);
  assert(second! >= pauseFirstMs / 2 && second! <= pauseFirstMs);
  const waiting = [node.add("a", 1), node.add("a", 2)].map(watched);
  await assert.rejects(node.add("a", 3), /mailbox full/);
  const elsewhere = watched(node.add("b", 1));
  await world.env.advance(second! - 1);
  assert.deepEqual(waiting.map(({ state }) => state), ["pending", "pending"]);
  assert.equal(elsewhere.state, "resolved");
  await world.env.advance(1);
  assert.deepEqual(waiting.map(({ state }) => state), ["resolved", "resolved"]);
});

Deno.test("whoever waits for a restart is answered when the system stops", async () => {
  const world = new World();
  const node = world.node();
  await fail(world, node, "a", 2);
  await world.env.settle();
  const asked = watched(node.add("a", 1));
  const before = world.env.monotonic();
  await world[Symbol.asyncDispose]();
  assert.equal(asked.state, "resolved");
  assert.equal(world.env.monotonic(), before, "and nobody waits for it");
});

Deno.test("an actor in a crash loop is put into quarantine, and refuses at once", async () => {
  await using world = new World();
  const node = world.node();
  await fail(world, node, "a", restartsMax);
  assert.deepEqual(comings(node), []);
  await fail(world, node, "a", 1);
  await world.env.settle();
  assert.deepEqual(comings(node), ["a in"]);
  const loads = node.store.calls.load;
  assert.equal(node.system.residents, 0);
  await assert.rejects(node.add("a", 1), isRefusal(quarantineMs));
  await assert.rejects(node.total("a"), isRefusal(quarantineMs));
  assert.deepEqual([node.store.calls.load, node.system.residents], [loads, 0]);
  await world.env.advance(1_000);
  await assert.rejects(node.add("a", 1), isRefusal(quarantineMs - 1_000));
  assert.equal(brief(await node.add("b", 1)), "total 1 at 1");
  assert.deepEqual(await world.recorded("a"), []);
});

Deno.test("what waits when its actor is put into quarantine is refused with it", async () => {
  await using world = new World();
  const node = world.node({ turnMax: 1 });
  await fail(world, node, "a", restartsMax);
  const last = watched(explode(node, "a"));
  const behind = watched(node.add("a", 1));
  await world.env.advance(10_000);
  assert(last.error instanceof RangeError);
  assert(behind.error instanceof Quarantined);
  assert.deepEqual(await world.recorded("a"), []);
});

Deno.test("a quarantine ends by time, and then the actor serves with its past forgiven", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  await exhaust(world, node, "a");
  await world.env.advance(quarantineMs - 1);
  await assert.rejects(node.add("a", 1), Quarantined);
  await world.env.advance(1);
  assert.deepEqual(comings(node), ["a in", "a out by time"]);
  await fail(world, node, "a", restartsMax);
  assert.equal(brief(await world.env.until(node.add("a", 1))), "total 2 at 2");
});

Deno.test("a quarantine ends by hand, once, and the time of the first does not end a second", async () => {
  await using world = new World();
  const node = world.node();
  const address = { kind: "counter", key: "a" };
  assert.equal(node.system.supervision.release(address), false);
  await exhaust(world, node, "a");
  await world.env.advance(quarantineMs / 2);
  assert.equal(node.system.supervision.isQuarantined(address), true);
  assert.equal(node.system.supervision.release(address), true);
  assert.equal(node.system.supervision.release(address), false);
  await exhaust(world, node, "a");
  await world.env.advance(quarantineMs / 2);
  await assert.rejects(node.add("a", 1), Quarantined);
  await world.env.advance(quarantineMs / 2);
  assert.equal(brief(await node.add("a", 1)), "total 1 at 1");
  assert.deepEqual(comings(node), ["a in", "a out by operator", "a in", "a out by time"]);
});

Deno.test("who decides something in between is in no crash loop, be it a refusal", async () => {
  await using world = new World();
  const node = world.node();
  for (let round = 0; round < 3; round++) {
    await fail(world, node, "a", restartsMax - 1);
    const outcome = await world.env.until(node.add("a", round === 1 ? 1_000 : 1));
    assert.equal(outcome.accepted, round !== 1);
  }
  await fail(world, node, "a", 1);
  await world.env.settle();
  assert.equal(node.seen("restarted").at(-1)!.inMs, 0, "the next one is a first one");
  assert.deepEqual(comings(node), []);
});

Deno.test("a poisonous command among others takes a popular actor away from nobody", async () => {
  await using world = new World();
  const node = world.node();
  for (let turn = 0; turn < 3 * restartsMax; turn++) {
    const [defect, served] = await world.env.until(
      Promise.allSettled([explode(node, "a"), node.add("a", 0.5)]),
    );
    assert.equal(defect.status, "rejected");
    assert.equal(served.status, "fulfilled");
  }
  assert.deepEqual(comings(node), []);
});

Deno.test("failures that lie far apart are no crash loop", async () => {
  await using world = new World();
  const node = world.node();
  for (let failures = 0; failures < 3 * restartsMax; failures++) {
    await fail(world, node, "a", 1);
    await world.env.advance(restartWindowMs / restartsMax);
  }
  assert.deepEqual(comings(node), []);
});

Deno.test("what an actor failed at is known after it has left memory", async () => {
  await using world = new World();
  const node = world.node({ idleMs: 1_000 });
  await fail(world, node, "a", restartsMax);
  await world.env.advance(5_000);
  assert.equal(node.system.residents, 0);
  await fail(world, node, "a", 1);
  await world.env.settle();
  assert.deepEqual(comings(node), ["a in"]);
});

Deno.test("the failures of so many are remembered, of those who failed last", async () => {
  await using world = new World();
  const node = world.node({}, { strategy: { troubledMax: 2, restartsMax: 2 } });
  await fail(world, node, "a", 1);
  await fail(world, node, "b", 2);
  await fail(world, node, "a", 1);
  await fail(world, node, "c", 1);
  await fail(world, node, "a", 1);
  await world.env.settle();
  assert.deepEqual(comings(node), ["a in"]);
  await fail(world, node, "b", 2);
  await world.env.settle();
  assert.deepEqual(comings(node), ["a in"], "b was forgotten");
  await fail(world, node, "d", 1);
  assert.deepEqual(comings(node), ["a in", "a out by room"]);
  assert.equal(brief(await node.add("a", 1)), "total 1 at 1");
});

Deno.test("a stream that nobody can read leads into quarantine, and out of it once it is mended", async () => {
  await using world = new World();
  await world.plant("a", { data: { type: "Added", amount: "much" } });
  const node = world.node();
  for (let failures = 0; failures <= restartsMax; failures++) {
    await assert.rejects(world.env.until(node.total("a")), /Cannot read counter\/a/);
  }
  await world.env.settle();
  await assert.rejects(node.total("a"), Quarantined);
  const { supervisors } = node.system.supervision.report();
  assert.match(
    supervisors[0]!.quarantined[0]!.why,
    /^Unreadable: Cannot read counter\/a: ZodError/,
  );
  const load = node.store.load;
  node.store.load = async (requests) => {
    const loaded = await load.call(node.store, requests);
    return loaded.map((one) => ({
      ...one,
      events: one.events.map((event) => ({ ...event, data: { type: "Added", amount: 7 } })),
    }));
  };
  node.system.supervision.release({ kind: "counter", key: "a" });
  assert.equal(await node.total("a"), 7);
});

Deno.test("when too many of a kind fail and none is served, the whole kind rests", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("well", 1);
  await world.env.advance(restartWindowMs);
  for (let index = 0; index < quarantinedMax; index++) await exhaust(world, node, `bad-${index}`);
  await assert.rejects(explode(node, "other"), RangeError, "so many are each for themselves");
  await exhaust(world, node, "last");
  assert.deepEqual(comings(node).slice(-2), ["last in", "kind in"]);
  await assert.rejects(node.add("well", 1), isRefusal(kindStopMs));
  assert.equal(await node.total("well"), 1, "what is in memory may still be read");
  assert.equal(node.system.supervision.isStopped("counter"), true);
  await world.env.advance(kindStopMs);
  assert.equal(comings(node).at(-1), "kind out by time");
  assert.equal(brief(await node.add("well", 1)), "total 2 at 2");
  await assert.rejects(node.add("last", 1), Quarantined);
});

Deno.test("a kind that rests goes on when somebody says so", async () => {
  await using world = new World();
  const node = world.node({}, { strategy: { quarantinedMax: 0, restartsMax: 0 } });
  await fail(world, node, "a", 1);
  await world.env.settle();
  assert.equal(node.system.supervision.releaseKind("counter"), true);
  assert.equal(node.system.supervision.releaseKind("counter"), false);
  assert.equal(brief(await node.add("b", 1)), "total 1 at 1");
  await assert.rejects(node.add("a", 1), Quarantined);
  assert.deepEqual(comings(node), ["a in", "kind in", "kind out by operator"]);
});

Deno.test("while others of a kind are served, whoever spoils many actors spoils those alone", async () => {
  await using world = new World();
  const node = world.node();
  for (let index = 0; index < 2 * quarantinedMax; index++) {
    await exhaust(world, node, `bad-${index}`);
    assert.equal((await node.add("well", 1)).accepted, true);
  }
  assert.equal(node.system.supervision.isStopped("counter"), false);
});

/** Whatever the node knows, its store has forgotten. */
function forgetAll(world: World, node: Node): void {
  const emptied = new MemoryStore(world.env);
  node.store.commit = (batch) => emptied.commit(batch);
  node.store.load = (requests) => emptied.load(requests);
  node.store.commitExclusively = (...exclusive) => emptied.commitExclusively(...exclusive);
}

Deno.test("once the store is found to have lost events, nothing is believed that was read before", async () => {
  await using world = new World();
  const node = world.node();
  await Promise.all([node.add("a", 5), node.add("b", 7)]);
  await world.env.advance(1);
  forgetAll(world, node);
  assert.equal(await node.total("b"), 7);
  await assert.rejects(node.add("a", 1), /lost events/);
  await world.env.settle();
  assert.equal(await node.total("b"), 0, "though it never failed itself");
  assert.equal(brief(await node.add("b", 2)), "total 2 at 1");
  const [loss, ...more] = node.seen("data-loss");
  assert.deepEqual(more, []);
  assert.deepEqual([loss!.address.key, loss!.known, loss!.stored], [
    "a",
    { version: 1, revision: 1 },
    { version: 0, revision: 0 },
  ]);
  const { dataLoss } = node.system.supervision;
  assert.deepEqual([dataLoss!.actors, dataLoss!.firstAt], [1, world.env.now()]);
  assert.equal(node.system.supervision.acknowledgeDataLoss(), true);
  assert.equal(node.system.supervision.acknowledgeDataLoss(), false);
  assert.equal(node.system.supervision.dataLoss, undefined);
});

Deno.test("a store that lost commits without events is found out as well", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 5);
  const [before] = await world.store.load([{ address: { kind: "counter", key: "a" } }]);
  await node.add("a", 1_000, { idempotency: { key: "once", requestHash: "hash" } });
  await world.env.advance(1);
  node.store.load = (requests) => Promise.resolve(requests.map(() => ({ ...before!, events: [] })));
  node.store.commit = (batch) => Promise.resolve(batch.map(() => ({ is: "conflict" })));
  await assert.rejects(node.add("a", 1_000), /lost events/);
  await world.env.settle();
  assert.deepEqual(node.seen("data-loss").map(({ known, stored }) => [known, stored]), [
    [{ version: 1, revision: 2 }, { version: 1, revision: 1 }],
  ]);
});

Deno.test("one loss that many turns meet at once is one escalation", async () => {
  await using world = new World();
  const node = world.node();
  const keys = Array.from({ length: 10 }, (_, index) => `actor-${index}`);
  await Promise.all(keys.map((key) => node.add(key, 1)));
  await world.env.advance(1);
  forgetAll(world, node);
  const asks = await Promise.allSettled(keys.map((key) => node.add(key, 1)));
  assert(asks.every(({ status }) => status === "rejected"));
  await world.env.settle();
  assert.equal(node.seen("data-loss").length, keys.length);
  assert.equal(node.system.supervision.report().escalations, 1);
  assert.equal(node.system.supervision.dataLoss?.actors, keys.length);
});

Deno.test("a node whose store goes on losing events asks to end, and not before", async () => {
  await using world = new World();
  const node = world.node();
  const ended = watched(node.system.supervision.ended);
  for (let losses = 0; losses <= defaultRootStrategy.escalationsMax; losses++) {
    assert.equal(ended.state, "pending");
    await node.add("a", 1);
    await world.env.advance(1);
    forgetAll(world, node);
    await assert.rejects(node.add("a", 1), /lost events/);
    await world.env.settle();
  }
  assert.equal(ended.state, "resolved");
  assert.match(String(ended.value), /lost events 4 times within 600000 ms/);
});

Deno.test("losses that lie far apart end no node", async () => {
  await using world = new World();
  const node = world.node();
  const ended = watched(node.system.supervision.ended);
  for (let losses = 0; losses <= 2 * defaultRootStrategy.escalationsMax; losses++) {
    await node.add("a", 1);
    await world.env.advance(defaultRootStrategy.escalationWindowMs / 2);
    await node.add("a", 1);
    await world.env.advance(1);
    forgetAll(world, node);
    await assert.rejects(node.add("a", 1), /lost events/);
    await world.env.settle();
  }
  assert.equal(ended.state, "pending");
});

Deno.test("a fault of the world is no failure of an actor, however often", async () => {
  await using world = new World();
  const node = world.node({ giveUpMs: 100 });
  node.store.isDown = true;
  for (let faults = 0; faults < 3 * restartsMax; faults++) {
    await assert.rejects(world.env.until(node.add("a", 1)), /The store is away/);
  }
  node.store.isDown = false;
  assert.equal(brief(await node.add("a", 1)), "total 1 at 1");
  assert.deepEqual([node.seen("restarted"), comings(node)], [[], []]);
});

Deno.test("unknown outcomes restart an actor at once, and never lead into quarantine", async () => {
  await using world = new World();
  const node = world.node({ giveUpMs: 100 });
  await node.total("a");
  for (let faults = 0; faults < 2 * restartsMax; faults++) {
    node.store.failNext("commit", "unknown-before-applying", ...Array(20).fill("not-applied"));
    await assert.rejects(world.env.until(node.add("a", 1)), { outcome: "unknown" });
    node.store.clear("commit");
    await world.env.until(node.total("a"));
  }
  const restarts = node.seen("restarted");
  assert.equal(restarts.length, 2 * restartsMax);
  assert(restarts.every(({ because, inMs }) => because === "unknown-outcome" && inMs === 0));
  assert.deepEqual(comings(node), []);
});

Deno.test("the tree shows each kind, what it keeps to, and who is in quarantine why", async () => {
  await using world = new World();
  const node = world.node();
  await exhaust(world, node, "a");
  const { strategy, escalations, dataLoss, supervisors } = node.system.supervision.report();
  assert.deepEqual([strategy, escalations, dataLoss], [defaultRootStrategy, 0, undefined]);
  const since = world.env.now();
  assert.deepEqual(supervisors, [{
    kind: "counter",
    strategy: defaultActorStrategy,
    restarts: restartsMax,
    quarantined: [{
      key: "a",
      since,
      until: since + quarantineMs,
      why: "RangeError: decide exploded",
    }],
  }]);
});
