/** A bug harms the message that met it; the actor is read afresh and serves on. */
import assert from "node:assert/strict";
import { MemoryStore } from "../../../lib/memory/store.ts";
import type { Loaded, Snapshot } from "../../../lib/runtime/store.ts";
import * as Counter from "../../support/counter.ts";
import { brief, watched, World } from "./world.ts";

for (const where of ["decide", "evolve"] as const) {
  Deno.test(`when ${where} throws, only the sender of that command hears`, async () => {
    await using world = new World();
    const node = world.node();
    await node.add("a", 1);
    const [one, defect, other] = await Promise.allSettled([
      node.add("a", 2),
      node.ask("a", { type: "Explode", where }),
      node.add("a", 3),
    ]);
    assert(one!.status === "fulfilled" && other!.status === "fulfilled");
    assert.deepEqual([one.value, other.value].map(brief), ["total 3 at 2", "total 6 at 3"]);
    assert(defect!.status === "rejected" && defect.reason instanceof RangeError);
    await world.env.settle();
    const [restarted, ...more] = node.seen("restarted");
    assert.equal(restarted?.because, "defect");
    assert.equal(restarted.error, defect.reason);
    assert.equal(more.length, 0);
    assert.equal(brief(await node.add("a", 4)), "total 10 at 4");
    assert.equal(node.seen("activated").length, 2, "what was in memory was not trusted");
  });
}

Deno.test("when an answer throws, its command has no effect, and only its sender hears", async () => {
  await using world = new World();
  const node = world.node();
  const failing = node.system.ask(Counter, "a", { type: "Add", amount: 2 }, world.cause(), () => {
    throw new RangeError("no answer");
  });
  const [defect, other] = await Promise.allSettled([failing, node.add("a", 3)]);
  assert(defect.status === "rejected" && defect.reason instanceof RangeError);
  assert(other.status === "fulfilled");
  assert.deepEqual(await world.recorded("a"), [3]);
});

Deno.test("when a view throws, only its reader hears", async () => {
  await using world = new World();
  const node = world.node();
  const failing = () => {
    throw new RangeError("no view");
  };
  const strong = { isStrong: true };
  const reading = node.system.read(Counter, "a", world.cause(), failing, strong);
  const [defect, other] = await Promise.allSettled([reading, node.add("a", 3)]);
  assert(defect.status === "rejected" && defect.reason instanceof RangeError);
  assert(other.status === "fulfilled");
});

Deno.test("a turn of nothing but a defect tells its sender, and the next finds the actor well", async () => {
  await using world = new World();
  const node = world.node();
  await assert.rejects(node.ask("a", { type: "Explode", where: "decide" }), RangeError);
  assert.equal(brief(await node.add("a", 1)), "total 1 at 1");
});

for (
  const [what, event] of [
    ["an event that does not parse", { data: { type: "Added", amount: "much" } }],
    ["an event that evolve cannot take", { type: "Exploded", data: { type: "Exploded" } }],
  ] as const
) {
  Deno.test(`${what} fails everybody at its actor, and nobody elsewhere`, async () => {
    await using world = new World();
    await world.plant("a", event);
    const node = world.node();
    const asks = [node.add("a", 1), node.add("b", 2), node.total("a")];
    const [one, elsewhere, other] = await Promise.allSettled(asks);
    assert.equal(one!.status, "rejected");
    assert.equal(other!.status, "rejected");
    assert.equal(elsewhere!.status, "fulfilled");
    await assert.rejects(node.add("a", 1));
    assert.equal((await world.stream("a")).length, 1);
    await world.env.settle();
    const addresses = node.seen("restarted").map(({ address, because }) => [address.key, because]);
    assert.deepEqual(addresses, [["a", "defect"], ["a", "defect"]]);
    const turns = node.seen("turn").filter(({ address }) => address.key === "a");
    assert.deepEqual(turns.map(({ messages }) => messages.length), [2, 1]);
  });
}

Deno.test("an unreadable event met while catching up fails the turn, and nothing is written", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  await world.plant("a", { data: { type: "Added", amount: "much" } });
  await assert.rejects(node.add("a", 2));
  await assert.rejects(node.add("a", 2));
  assert.equal((await world.stream("a")).length, 2);
});

Deno.test("a store that lost events is found out, never answered from", async () => {
  await using world = new World();
  const node = world.node();
  await Promise.all([node.add("a", 50), node.add("a", 45)]);
  const emptied = new MemoryStore(world.env);
  node.store.commit = (batch) => emptied.commit(batch);
  node.store.load = (requests) => emptied.load(requests);
  node.store.commitExclusively = (...exclusive) => emptied.commitExclusively(...exclusive);
  await world.env.advance(1);
  await assert.rejects(node.add("a", 10), /lost events: counter\/a is known at 2, stored at 0/);
  await world.env.settle();
  assert.equal(node.seen("data-loss").length, 1);
  assert.equal(brief(await node.add("a", 10)), "total 10 at 1");
});

Deno.test("a store that lost events under the row lock is found out as well", async () => {
  await using world = new World();
  const node = world.node();
  await Promise.all([node.add("a", 50), node.add("a", 45)]);
  const emptied = new MemoryStore(world.env);
  node.store.commit = (batch) => emptied.commit(batch);
  node.store.commitExclusively = (...exclusive) => emptied.commitExclusively(...exclusive);
  await assert.rejects(node.add("a", 1), /lost events/);
});

Deno.test("a snapshot of events that the store has lost is not built upon", async () => {
  await using world = new World();
  const node = world.node();
  const snapshot: Snapshot = { version: 5, schema: 3, state: { total: 50 } };
  const torn: Loaded = { revision: 1, version: 3, transaction: "1", snapshot, events: [] };
  node.store.load = (requests) => Promise.resolve(requests.map(() => torn));
  node.store.commit = (batch) => Promise.resolve(batch.map(() => ({ is: "ok", transaction: "1" })));
  await assert.rejects(node.add("a", 1), /lost events/);
  await assert.rejects(node.total("a"), /lost events/);
});

Deno.test("a store that fails otherwise than it promised fails the turn, and no turn after it", async () => {
  await using world = new World();
  const node = world.node();
  await Promise.all([node.add("a", 1), node.total("b")]);
  node.store.failNext("commit", new Error("no such table"));
  const results = await Promise.allSettled([node.add("a", 2), node.add("b", 2)]);
  assert(results.every((result) => result.status === "rejected"));
  assert.equal(brief(await node.add("a", 2)), "total 3 at 2");
});

Deno.test("a snapshot that cannot be written harms nobody", async () => {
  await using world = new World();
  const node = world.node({ snapshotEvery: 10, idleMs: 1_000, residentMax: 2 });
  const failing = {
    ...Counter,
    snapshot: {
      ...Counter.snapshot,
      encode: () => {
        throw new RangeError("no snapshot");
      },
    },
  };
  node.system.host(failing);
  const addMany = (key: string, count: number) =>
    Promise.all(Array.from({ length: count }, () => node.add(key, 1)));
  await addMany("due", 20);
  await world.env.settle();
  assert.deepEqual(node.seen("restarted"), [], "the state is as good as ever");
  assert.equal(node.seen("snapshot-dropped").length, 1);

  await addMany("idle", 4);
  const pressing = watched(node.add("pressing", 1));
  await world.env.settle();
  assert.equal(pressing.state, "resolved");
  await world.env.advance(2_000);
  assert.equal(node.system.residents, 0);
  await addMany("stopping", 20);
  await node.stop();
});
