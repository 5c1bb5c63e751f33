/** Content that the store refuses harms its sender and nobody beside it. */
import assert from "node:assert/strict";
import { PoisonFault, TransientFault } from "../../../lib/fault.ts";
import { brief, type Node, watched, World } from "./world.ts";

function addPoison(node: Node, key: string): Promise<unknown> {
  return node.ask(key, { type: "Add", amount: 1, note: "\u0000" });
}

Deno.test("one poisonous command among many fails alone, whatever it stands beside", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  const before = Array.from({ length: 10 }, () => node.add("a", 1));
  const poison = watched(addPoison(node, "a"));
  const after = Array.from({ length: 9 }, () => node.add("a", 1));
  const others = ["b", "c", "d", "e"].map((key) => node.add(key, 1));
  const outcomes = await Promise.all([...before, ...after]);
  assert(outcomes.every(({ accepted }) => accepted));
  assert.deepEqual((await Promise.all(others)).map(brief), Array(4).fill("total 1 at 1"));
  assert(poison.error instanceof PoisonFault);
  assert.deepEqual(await world.recorded("a"), Array(20).fill(1));
  await world.env.settle();
  const messages = node.seen("turn").flatMap(({ messages }) => messages);
  assert.deepEqual(messages.filter(({ outcome }) => outcome === "defect").length, 1);
});

Deno.test("halving finds the poison in a batch in a few statements", async () => {
  await using world = new World();
  const node = world.node();
  const keys = Array.from({ length: 16 }, (_, index) => `actor-${index}`);
  const [poison, ...others] = await Promise.allSettled([
    addPoison(node, keys[5]!),
    ...keys.filter((_, index) => index !== 5).map((key) => node.add(key, 1)),
  ]);
  assert(poison!.status === "rejected" && poison!.reason instanceof PoisonFault);
  assert(others.every(({ status }) => status === "fulfilled"));
  assert.deepEqual(node.seen("batch-bisected").map(({ actors }) => actors), [16, 8, 4, 2]);
  assert.equal(node.store.calls.commit, 9);
});

Deno.test("several poisons in one batch are all found", async () => {
  await using world = new World();
  const node = world.node();
  const poisons = ["a", "c", "d"].map((key) => watched(addPoison(node, key)));
  const fine = ["b", "e", "f", "g"].map((key) => node.add(key, 1));
  await Promise.all(fine);
  await world.env.settle();
  assert(poisons.every(({ error }) => error instanceof PoisonFault));
});

Deno.test("after poison the actor serves on, at once", async () => {
  await using world = new World();
  const node = world.node();
  await assert.rejects(addPoison(node, "a"), PoisonFault);
  assert.equal(brief(await node.add("a", 1)), "total 1 at 1");
});

Deno.test("under the row lock, too, poison fails alone", async () => {
  await using world = new World();
  const [node, other] = [world.node(), world.node()];
  await node.total("a");
  await other.add("a", 1);
  await node.add("a", 1);
  assert.equal(node.store.calls.commitExclusively, 1);
  const asks = [node.add("a", 1), addPoison(node, "a"), node.add("a", 1), node.add("a", 99)];
  const results = await Promise.allSettled(asks);
  assert.deepEqual(results.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  assert.deepEqual(await world.recorded("a"), [1, 1, 1, 1]);
});

Deno.test("what one half of a batch has written stands, though the other cannot be", async () => {
  await using world = new World();
  const node = world.node({ giveUpMs: 1_000 });
  let statements = 0;
  // The whole batch is refused, its first half taken; then the store is gone.
  node.store.script = () => Promise.resolve(++statements > 2 ? "not-applied" : undefined);
  const keys = ["a", "b", "c"];
  await Promise.all(keys.map((key) => node.total(key)));
  statements = 0;
  const fine = watched(node.add("a", 1));
  const unlucky = watched(node.add("b", 1));
  const poison = watched(addPoison(node, "c"));
  await world.env.advance(2_000);
  assert.deepEqual(await world.recorded("a"), [1]);
  assert.equal(fine.state, "resolved");
  assert(unlucky.error instanceof TransientFault);
  assert(poison.error instanceof TransientFault);
  node.store.script = undefined;
});
