/** A command to an actor that is presumed to be new, and what comes of it where that is wrong. */
import assert from "node:assert/strict";
import * as Counter from "../../support/counter.ts";
import { brief, watched, World } from "./world.ts";

Deno.test("an actor that is new is not looked for", async () => {
  await using world = new World();
  const node = world.node();
  const outcomes = await Promise.all(["a", "b"].map((key) => node.addFirst(key, 5)));
  assert.deepEqual(outcomes.map(brief), ["total 5 at 1", "total 5 at 1"]);
  assert.deepEqual([node.store.calls.load, node.store.calls.commit], [0, 1]);
  assert.equal(brief(await node.add("a", 1)), "total 6 at 2");
  assert.deepEqual([await node.total("a"), node.store.calls.load], [6, 0]);
});

Deno.test("one that is there after all is decided on as it stands", async () => {
  await using world = new World();
  await world.plantAdded("a", 98);
  assert.equal(brief(await world.node().addFirst("a", 2)), "total 100 at 2");
  assert.equal(brief(await world.node().addFirst("a", 1)), "over-limit at 2");
  assert.deepEqual(await world.recorded("a"), [98, 2]);
});

Deno.test("a refusal that holds for a new one alone is not given", async () => {
  await using world = new World();
  await world.plantAdded("a", -50);
  const outcome = await world.node().addFirst("a", Counter.LIMIT + 1);
  assert.equal(brief(outcome), "total 51 at 2");
});

Deno.test("what was answered under the key is answered again", async () => {
  await using world = new World();
  const idempotency = { key: "once", requestHash: "x" };
  const cause = { idempotency };
  assert.equal(brief(await world.node().addFirst("a", 5, cause)), "total 5 at 1");
  assert.equal(brief(await world.node().addFirst("a", 5, cause)), "total 5 at 1, again");
  assert.deepEqual(await world.recorded("a"), [5]);
});

Deno.test("a refusal is kept under its key, so that no earlier request is accepted after it", async () => {
  await using world = new World();
  const cause = { idempotency: { key: "once", requestHash: "x" } };
  const tooMuch = Counter.LIMIT + 1;
  assert.equal(brief(await world.node().addFirst("a", tooMuch, cause)), "over-limit at 0");
  assert.equal(brief(await world.node().addFirst("a", 5, cause)), "over-limit at 0, again");
  assert.equal(brief(await world.node().addFirst("a", 5)), "total 5 at 1");
  assert.deepEqual(await world.recorded("a"), [5]);
});

Deno.test("a guessed address fills no store: who has not made it up is not remembered there", async () => {
  await using world = new World();
  const cause = { idempotency: { key: "once", requestHash: "x" } };
  assert.equal(brief(await world.node().add("a", Counter.LIMIT + 1, cause)), "over-limit at 0");
  assert.equal(brief(await world.node().add("a", 5, cause)), "total 5 at 1");
});

Deno.test("nobody is shown what was only presumed", async () => {
  await using world = new World();
  await world.plantAdded("a", 7);
  const said = { isReadOnly: false as boolean, refusal: () => undefined };
  const node = world.node({}, { storeState: said });
  const gate = node.store.hold("commit");
  const first = watched(node.addFirst("a", 1));
  await world.env.settle();
  assert.equal(gate.held, 1);
  const read = watched(node.total("a"));
  said.isReadOnly = true;
  const old = watched(node.total("a"));
  await world.env.settle();
  assert.deepEqual([first.state, read.state, old.state], ["pending", "pending", "pending"]);
  said.isReadOnly = false;
  gate.release();
  await world.env.settle();
  assert.deepEqual([first.value && brief(first.value), read.value, old.value], [
    "total 8 at 2",
    8,
    8,
  ]);
});

Deno.test("a commit that was applied unheard is found to be its own", async () => {
  await using world = new World();
  const node = world.node();
  node.store.failNext("commit", "unknown-after-applying");
  const first = watched(node.addFirst("a", 5));
  await world.env.advance(1_000);
  assert.equal(first.value && brief(first.value), "total 5 at 1");
  assert.deepEqual(await world.recorded("a"), [5]);
});
