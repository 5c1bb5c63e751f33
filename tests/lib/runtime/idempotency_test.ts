/** One key, one effect, one answer: whoever repeats a request, and wherever. */
import assert from "node:assert/strict";
import type { Idempotency, Principal } from "../../../lib/runtime/envelope.ts";
import { Housekeeping } from "../../../lib/runtime/housekeeping.ts";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import { brief, watched, World } from "./world.ts";

const once: { readonly idempotency: Idempotency } = {
  idempotency: { key: "once", requestHash: "hash" },
};
const otherBody = { idempotency: { key: "once", requestHash: "other" } };
const ben: Principal = { id: "ben", roles: [] };

Deno.test("a repeated request gets the same answer and has no second effect", async () => {
  await using world = new World();
  const node = world.node();
  assert.equal(brief(await node.add("a", 5, once)), "total 5 at 1");
  await node.add("a", 1);
  assert.equal(brief(await node.add("a", 5, once)), "total 5 at 1, again");
  assert.deepEqual(await world.recorded("a"), [5, 1]);
});

Deno.test("an answer given again tells where feeds show it", async () => {
  await using world = new World();
  const node = world.node();
  const first = await node.add("a", 5, once);
  const again = await node.add("a", 5, once);
  assert(first.accepted && again.accepted);
  assert(BigInt(again.transaction) >= BigInt(first.transaction));
});

Deno.test("a repetition is known to every node, and after a restart", async () => {
  await using world = new World();
  const [one, other] = [world.node(), world.node()];
  await other.add("a", 1);
  await one.add("a", 5, once);
  assert.equal(brief(await other.add("a", 5, once)), "total 6 at 2, again");
  await one.stop();
  await other.stop();
  assert.equal(brief(await world.node().add("a", 5, once)), "total 6 at 2, again");
  assert.deepEqual(await world.recorded("a"), [1, 5]);
});

Deno.test("two nodes asked at once under one key have one effect", async () => {
  await using world = new World();
  const nodes = [world.node(), world.node()];
  await Promise.all(nodes.map((node) => node.total("a")));
  const outcomes = await Promise.all(nodes.map((node) => node.add("a", 5, once)));
  assert.deepEqual(outcomes.map(brief).sort(), ["total 5 at 1", "total 5 at 1, again"]);
  assert.deepEqual(await world.recorded("a"), [5]);
});

Deno.test("another request under a used key is refused", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 5, once);
  const outcome = await node.add("a", 6, otherBody);
  assert.equal(brief(outcome), "idempotency-key-reused at 1");
  assert.deepEqual(await world.recorded("a"), [5]);
});

Deno.test("while a request runs, any other under its key is told so", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  const gate = node.store.hold("commit");
  const first = node.add("a", 5, once);
  await world.env.settle();
  assert.equal(brief(await node.add("a", 5, once)), "idempotency-key-in-progress at 1");
  assert.equal(brief(await node.add("a", 6, otherBody)), "idempotency-key-in-progress at 1");
  const bens = node.add("a", 5, { ...once, principal: ben });
  gate.release();
  assert.equal(brief(await first), "total 6 at 2");
  assert.equal(brief(await bens), "total 11 at 3");
  assert.equal(brief(await node.add("a", 5, once)), "total 6 at 2, again");
});

Deno.test("whoever has a key is not refused because another tries to use it", async () => {
  await using world = new World();
  const node = world.node();
  assert.equal(brief(await node.add("a", 5, once)), "total 5 at 1");
  const gate = node.store.hold("commit");
  const other = node.add("a", 6, otherBody);
  await world.env.settle();
  assert.equal(brief(await node.add("a", 5, once)), "idempotency-key-in-progress at 1");
  gate.release();
  assert.equal(brief(await other), "idempotency-key-reused at 1");
  assert.equal(brief(await node.add("a", 5, once)), "total 5 at 1, again");
});

Deno.test("a key is free again once its request has failed", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  const expired = { ...once, deadline: world.env.monotonic() };
  await assert.rejects(node.add("a", 5, expired), /deadline/);
  await assert.rejects(node.ask("a", { type: "Explode", where: "decide" }, once), RangeError);
  node.store.failLoading();
  await assert.rejects(world.env.until(node.add("a", 5, once)), /away/);
  assert.equal(brief(await node.add("a", 5, once)), "total 6 at 2");
});

Deno.test("a refusal is remembered like any answer", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 95);
  assert.equal(brief(await node.add("a", 10, once)), "over-limit at 1");
  await node.ask("a", { type: "Reset" });
  assert.equal(brief(await node.add("a", 10, once)), "over-limit at 1, again");
  assert.equal(brief(await world.node().add("a", 10, once)), "over-limit at 1, again");
});

Deno.test("a request repeated with its expected version gets its answer, not a mismatch", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  const conditional = { ...once, expectedVersion: 1 };
  assert.equal(brief(await node.add("a", 5, conditional)), "total 6 at 2");
  assert.equal(brief(await node.add("a", 5, conditional)), "total 6 at 2, again");
});

Deno.test("nothing is remembered for an actor that does not exist", async () => {
  await using world = new World();
  const node = world.node();
  assert.equal(brief(await node.add("nobody", 101, once)), "over-limit at 0");
  assert.equal(node.store.batches.flat().flatMap(({ replies }) => replies).length, 0);
  assert.equal(brief(await node.add("nobody", 101, once)), "over-limit at 0");
  assert.equal(brief(await node.add("nobody", 5, once)), "total 5 at 1");
});

Deno.test("a key means nothing to another principal or another actor", async () => {
  await using world = new World();
  const node = world.node();
  assert.equal(brief(await node.add("a", 5, once)), "total 5 at 1");
  assert.equal(brief(await node.add("a", 5, { ...once, principal: ben })), "total 10 at 2");
  assert.equal(brief(await node.add("b", 5, once)), "total 5 at 1");
});

Deno.test("repetitions within a turn take no other message of it with them", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1, once);
  const twice = { idempotency: { key: "twice", requestHash: "hash" } };
  await node.add("a", 2, twice);
  const turns = node.store.calls.commit;
  const outcomes = await Promise.all([
    node.add("a", 10),
    node.add("a", 1, once),
    node.add("a", 20, { idempotency: { key: "thrice", requestHash: "hash" } }),
    node.add("a", 3, { idempotency: { key: "twice", requestHash: "other" } }),
    node.add("a", 30, { ...once, principal: ben }),
  ]);
  assert.deepEqual(outcomes.map(brief), [
    "total 13 at 3",
    "total 1 at 1, again",
    "total 33 at 4",
    "idempotency-key-reused at 2",
    "total 63 at 5",
  ]);
  assert.deepEqual(await world.recorded("a"), [1, 2, 10, 20, 30]);
  assert.equal(node.store.calls.commit, turns + 2);
});

Deno.test("housekeeping forgets replies once they are old, and not before", async () => {
  await using world = new World();
  const node = world.node();
  const { env } = world;
  await node.add("a", 5, once);
  const house = new Housekeeping({
    env,
    store: node.store,
    observe: () => {},
    replyRetentionMs: 1_000,
    everyMs: 300,
  }).start();
  await env.advance(900);
  assert.equal(brief(await node.add("a", 5, once)), "total 5 at 1, again");
  await env.advance(300);
  assert.equal(brief(await node.add("a", 5, once)), "total 10 at 2");
  await house[Symbol.asyncDispose]();
});

Deno.test("housekeeping goes on until nothing old is left, and survives a fault", async () => {
  await using world = new World();
  const { env } = world;
  const { store } = world.node();
  const observed: RuntimeEvent[] = [];
  const left = [5_000, 5_000, 7];
  store.forgetReplies = () => {
    store.calls.forgetReplies++;
    return Promise.resolve(left.shift()!);
  };
  const house = new Housekeeping({
    env,
    store,
    observe: (event) => void observed.push(event),
    replyRetentionMs: 1_000,
    everyMs: 300,
  }).start();
  await env.advance(300);
  assert.equal(store.calls.forgetReplies, 3);
  store.forgetReplies = () => Promise.reject(new Error("away"));
  await env.advance(300);
  assert.deepEqual(observed.map(({ type }) => type), ["maintenance-failed"]);
  store.forgetReplies = () => Promise.resolve(store.calls.forgetReplies++ - 3);
  await env.advance(300);
  assert.equal(store.calls.forgetReplies, 4);
  const stopping = watched(Promise.resolve(house[Symbol.asyncDispose]()));
  await env.settle();
  assert.equal(stopping.state, "resolved");
});
