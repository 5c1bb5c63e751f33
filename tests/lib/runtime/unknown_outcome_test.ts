/** The store falls silent, or stays away: what was applied counts once, and nobody is lied to. */
import assert from "node:assert/strict";
import { type FaultOutcome, TransientFault } from "../../../lib/fault.ts";
import { brief, type Node, watched, World } from "./world.ts";

const once = { idempotency: { key: "once", requestHash: "hash" } };

function isFault(outcome: FaultOutcome) {
  return (error: unknown) => {
    assert(error instanceof TransientFault);
    assert.equal(error.outcome, outcome);
    return true;
  };
}

/** A node whose actor `a`, standing at 1, takes its turns under the row lock. */
async function lockedNode(world: World): Promise<Node> {
  const [node, other] = [world.node({ giveUpMs: 1_000 }), world.node()];
  await node.total("a");
  await other.add("a", 0.5);
  await node.add("a", 0.5);
  await other.stop();
  assert.equal(node.store.calls.commitExclusively, 1);
  return node;
}

Deno.test("a commit that was applied unheard counts once, and is answered from the stream", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  node.store.failNext("commit", "unknown-after-applying");
  const asks = [node.add("a", 5), node.add("a", 7, once), node.add("a", 0), node.add("a", 99)];
  const outcomes = await world.env.until(Promise.all(asks));
  assert.deepEqual(outcomes.map(brief), [
    "total 6 at 2",
    "total 13 at 3",
    "total 13 at 3",
    "over-limit at 3",
  ]);
  assert.deepEqual(await world.recorded("a"), [1, 5, 7]);
  assert.equal(node.seen("commit-failed").length, 1);
});

Deno.test("a commit of which nobody knows whether it was applied is applied once", async () => {
  await using world = new World();
  const node = world.node();
  node.store.failNext("commit", "unknown-before-applying", "not-applied");
  const outcomes = await world.env.until(Promise.all([node.add("a", 5), node.add("b", 6)]));
  assert.deepEqual(outcomes.map(brief), ["total 5 at 1", "total 6 at 1"]);
  assert.deepEqual(await world.recorded("a"), [5]);
  assert.equal(node.store.calls.commit, 3);
  assert.deepEqual(node.store.batches[2], node.store.batches[0], "the identical batch is repeated");
});

Deno.test("under the row lock, too, an unheard commit counts once", async () => {
  for (const mishap of ["unknown-after-applying", "unknown-before-applying"] as const) {
    await using world = new World();
    const node = await lockedNode(world);
    node.store.failNext("commitExclusively", mishap, "not-applied", mishap);
    const asks = [node.add("a", 5), node.add("a", 7, once), node.add("a", 99)];
    const outcomes = await world.env.until(Promise.all(asks));
    assert.deepEqual(outcomes.map(brief), ["total 6 at 3", "total 13 at 4", "over-limit at 4"]);
    assert.deepEqual(await world.recorded("a"), [0.5, 0.5, 5, 7]);
  }
});

Deno.test("messages of one sender keep their order when their commit was unheard", async () => {
  for (const mode of ["commit", "commitExclusively"] as const) {
    await using world = new World();
    const node = await lockedNode(world);
    // Eight turns without another writer, and the lock is left.
    for (let turn = 0; mode === "commit" && turn < 8; turn++) await node.add("a", 1);
    const calls = node.store.calls[mode];
    node.store.failNext(mode, "unknown-after-applying");
    const { version } = (await world.stream("a")).at(-1)!;
    const asks = [node.add("a", 100), node.ask("a", { type: "Reset" })];
    const outcomes = await world.env.until(Promise.all(asks));
    assert(node.store.calls[mode] > calls);
    assert.deepEqual(outcomes.map(brief), [
      `over-limit at ${version}`,
      `total 0 at ${version + 1}`,
    ]);
    assert.equal((await world.recorded("a")).at(-1), "reset");
  }
});

Deno.test("another node's writes behind an unheard commit are not taken for its own", async () => {
  await using world = new World();
  const [node, other] = [world.node(), world.node()];
  await node.add("a", 1);
  node.store.failNext("commit", "unknown-after-applying");
  const asks = Promise.all([node.add("a", 5), node.add("a", 7)]);
  await world.env.settle();
  assert.equal(brief(await other.add("a", 10)), "total 23 at 4");
  const outcomes = await world.env.until(asks);
  assert.deepEqual(outcomes.map(brief), ["total 6 at 2", "total 13 at 3"]);
  assert.equal(await node.total("a"), 23);
});

Deno.test("a store that stays away is a fault which says that nothing was applied", async () => {
  await using world = new World();
  const node = world.node({ giveUpMs: 1_000 });
  await node.add("a", 1);
  node.store.isDown = true;
  const startedAt = world.env.monotonic();
  await assert.rejects(world.env.until(node.add("a", 5)), isFault("not-applied"));
  assert(world.env.monotonic() - startedAt <= 1_000);
  assert(node.store.calls.commit > 3, "it was tried more than once");
  assert.equal(await node.total("a"), 1, "what is known is still shown");
  node.store.isDown = false;
  assert.equal(brief(await node.add("a", 6)), "total 7 at 2");
  assert.deepEqual(node.seen("restarted"), [], "a fault is no reason to forget what is durable");
});

Deno.test("a store that fell silent before it stayed away leaves the outcome unknown", async () => {
  await using world = new World();
  const node = world.node({ giveUpMs: 1_000 });
  await node.add("a", 1);
  node.store.failNext("commit", "unknown-after-applying");
  const ask = watched(node.add("a", 5, once));
  await world.env.settle();
  node.store.isDown = true;
  await world.env.advance(1_000);
  isFault("unknown")(ask.error);
  await world.env.settle();
  assert.deepEqual(node.seen("restarted").map(({ because }) => because), ["unknown-outcome"]);
  node.store.isDown = false;
  assert.equal(brief(await node.add("a", 5, once)), "total 6 at 2, again");
  assert.equal(brief(await node.add("a", 1)), "total 7 at 3");
  assert.deepEqual(await world.recorded("a"), [1, 5, 1]);
});

Deno.test("a request that was never applied is done under its key when it is repeated", async () => {
  await using world = new World();
  const node = world.node({ giveUpMs: 1_000 });
  await node.add("a", 1);
  node.store.failNext("commit", "unknown-before-applying");
  const ask = watched(node.add("a", 5, once));
  await world.env.settle();
  node.store.isDown = true;
  await world.env.advance(1_000);
  isFault("unknown")(ask.error);
  node.store.isDown = false;
  assert.equal(brief(await node.add("a", 5, once)), "total 6 at 2");
});

Deno.test("under the row lock, too, a store that stays away has the right outcome", async () => {
  for (const first of ["not-applied", "unknown-after-applying"] as const) {
    await using world = new World();
    const node = await lockedNode(world);
    node.store.failNext("commitExclusively", first);
    const ask = watched(node.add("a", 5, once));
    await world.env.settle();
    node.store.isDown = true;
    await world.env.advance(1_000);
    isFault(first === "not-applied" ? "not-applied" : "unknown")(ask.error);
    node.store.isDown = false;
    const again = first === "not-applied" ? "" : ", again";
    assert.equal(brief(await node.add("a", 5, once)), `total 6 at 3${again}`);
  }
});

Deno.test("a conflict that nobody could look into leaves the outcome unknown", async () => {
  await using world = new World();
  const node = world.node({ giveUpMs: 1_000 });
  await node.add("a", 1);
  node.store.failNext("commit", "unknown-after-applying");
  const gate = node.store.hold("commitExclusively");
  const ask = watched(node.add("a", 5));
  await world.env.advance(100);
  assert.equal(gate.held, 1, "its own commit, unheard, was in the way of its repetition");
  node.store.isDown = true;
  gate.release();
  await world.env.advance(2_000);
  isFault("unknown")(ask.error);
  node.store.isDown = false;
  assert.equal(await node.total("a"), 6);
});

Deno.test("when loading fails, those who wait hear of it, and the next message tries again", async () => {
  await using world = new World();
  await world.plantAdded("a", 1);
  const node = world.node();
  node.store.failLoading();
  const asked = Promise.allSettled([node.add("a", 5), node.total("a"), node.add("b", 1)]);
  const results = await world.env.until(asked);
  for (const result of results) {
    assert(result.status === "rejected");
    isFault("not-applied")(result.reason);
  }
  assert.equal(brief(await node.add("a", 5)), "total 6 at 2");
  await world.env.settle();
  assert.deepEqual(
    node.seen("turn").map(({ address, messages }) => [address.key, messages.length]),
    [["a", 2], ["b", 1], ["a", 1]],
    "each turn tells of its own messages only, the failed ones as well",
  );
});

Deno.test("a loading that fails is tried again before anyone hears of it", async () => {
  await using world = new World();
  await world.plantAdded("a", 1);
  const node = world.node();
  node.store.failNext("load", "not-applied", "not-applied");
  assert.equal(brief(await world.env.until(node.add("a", 5))), "total 6 at 2");
  assert.equal(node.store.calls.load, 3);
});

Deno.test("when catching up fails, the message is a fault and the next one goes on", async () => {
  await using world = new World();
  const [node, other] = [world.node(), world.node()];
  await node.add("a", 90);
  await other.ask("a", { type: "Reset" });
  await world.env.advance(1);
  node.store.failLoading();
  await assert.rejects(world.env.until(node.add("a", 20)), isFault("not-applied"));
  assert.equal(brief(await node.add("a", 20)), "total 20 at 3");
});

Deno.test("stopping waits until those under a failing store have heard", async () => {
  await using world = new World();
  const node = world.node({ giveUpMs: 1_000 });
  node.store.isDown = true;
  await assert.rejects(world.env.until(node.add("b", 1)), isFault("not-applied"));
  node.store.isDown = false;
  await node.add("a", 1);
  node.store.isDown = true;
  const ask = watched(node.add("a", 1));
  await node.stop();
  isFault("not-applied")(ask.error);
});
