/** Two nodes on one store: what the fence promises when neither knows of the other. */
import assert from "node:assert/strict";
import { PoisonFault, TransientFault } from "../../../lib/fault.ts";
import { brief, type Node, watched, World } from "./world.ts";

/** A world whose second node has an outdated picture of the actor `a`, which stands at 90. */
async function staleWorld(): Promise<{ world: World; fresh: Node; stale: Node }> {
  const world = new World();
  const fresh = world.node();
  const stale = world.node();
  await fresh.add("a", 90);
  assert.equal(await stale.total("a"), 90);
  await fresh.ask("a", { type: "Reset" });
  await world.env.advance(1);
  return { world, fresh, stale };
}

Deno.test("a node that knows an old state refuses nothing on its account", async () => {
  const { world, stale } = await staleWorld();
  await using _ = world;
  assert.equal(brief(await stale.add("a", 20)), "total 20 at 3");
  assert.deepEqual(await world.recorded("a"), [90, "reset", 20]);
});

Deno.test("a refusal holds after the node has caught up, and names the version it holds at", async () => {
  const { world, fresh, stale } = await staleWorld();
  await using _ = world;
  await fresh.add("a", 95);
  await world.env.advance(1);
  assert.equal(brief(await stale.add("a", 20)), "over-limit at 3");
  assert.equal(stale.seen("conflict").length, 1);
});

Deno.test("a node that could not catch up refuses nobody on what it knew before", async () => {
  const { world, stale } = await staleWorld();
  await using _ = world;
  const gate = stale.store.hold("commit");
  const first = stale.add("a", 20);
  await world.env.settle();
  const second = stale.add("a", 20);
  await world.env.advance(1);
  stale.store.failLoading();
  gate.release();
  await world.env.until(assert.rejects(first, { outcome: "not-applied" }));
  assert.equal(brief(await world.env.until(second)), "total 20 at 3");
});

Deno.test("a refusal beside poison is confirmed like any other", async () => {
  await using world = new World();
  const [fresh, stale] = [world.node(), world.node()];
  await fresh.add("a", 90);
  const gate = stale.store.hold("load", "after");
  const poison = watched(stale.ask("a", { type: "Add", amount: 1, note: "\u0000" }));
  const innocent = stale.add("a", 20);
  await world.env.settle();
  await fresh.ask("a", { type: "Reset" });
  await world.env.advance(1);
  gate.release();
  assert.equal(brief(await innocent), "total 20 at 3");
  assert(poison.error instanceof PoisonFault);
});

Deno.test("a command that does nothing on an old state is decided again on the new", async () => {
  const { world, stale } = await staleWorld();
  await using _ = world;
  assert.equal(brief(await stale.add("a", 0)), "total 0 at 2");
});

Deno.test("an expected version is compared with the true one, whatever the node knew", async () => {
  const { world, stale } = await staleWorld();
  await using _ = world;
  assert.equal(brief(await stale.add("a", 1, { expectedVersion: 1 })), "version-mismatch at 2");
  assert.equal(brief(await stale.add("a", 1, { expectedVersion: 2 })), "total 1 at 3");
});

Deno.test("a defect is only told once the state that it came from is known to be current", async () => {
  const { world, fresh, stale } = await staleWorld();
  await using _ = world;
  await assert.rejects(stale.ask("a", { type: "Explode", where: "decide" }), RangeError);
  assert.equal(stale.seen("conflict").length, 1);
  assert.equal(brief(await fresh.add("a", 1)), "total 1 at 3");
});

Deno.test("a lost race is decided again, and the history stays linear", async () => {
  await using world = new World();
  const nodes = [world.node(), world.node()];
  const asks = Array.from({ length: 60 }, (_, index) => nodes[index % 2]!.add("a", 1));
  const outcomes = await world.env.until(Promise.all(asks));
  assert(outcomes.every(({ accepted }) => accepted));
  const versions = outcomes.map(({ version }) => version).sort((one, other) => one - other);
  assert.deepEqual(versions, Array.from({ length: 60 }, (_, index) => index + 1));
  assert.equal((await world.stream("a")).length, 60);
  assert(nodes.some((node) => node.seen("conflict").length > 0), "they did race");
});

Deno.test("a limit holds, however many nodes press on it", async () => {
  await using world = new World();
  const nodes = [world.node(), world.node(), world.node()];
  const asks = Array.from({ length: 90 }, (_, index) => nodes[index % 3]!.add("a", 3));
  const outcomes = await world.env.until(Promise.all(asks));
  const accepted = outcomes.filter((outcome) => outcome.accepted);
  assert.equal(accepted.length, 33);
  for (const outcome of outcomes) {
    if (!outcome.accepted) assert.equal(brief(outcome), "over-limit at 33");
  }
});

Deno.test("an actor that lost a race takes its turns under the row lock, then no longer", async () => {
  const { world, stale } = await staleWorld();
  await using _ = world;
  const ways: string[] = [];
  for (let turn = 0; turn < 12; turn++) {
    const { commit, commitExclusively } = stale.store.calls;
    await stale.add("a", 1);
    ways.push(
      stale.store.calls.commitExclusively > commitExclusively
        ? stale.store.calls.commit > commit ? "both" : "locked"
        : "batched",
    );
  }
  assert.equal(ways[0], "both");
  assert.deepEqual(ways.slice(-3), ["batched", "batched", "batched"]);
  assert(ways.filter((way) => way === "locked").length >= 4, ways.join());
});

Deno.test("while another node writes too, an actor stays under the row lock", async () => {
  const { world, fresh, stale } = await staleWorld();
  await using _ = world;
  await stale.add("a", 1);
  const { commit } = stale.store.calls;
  for (let turn = 0; turn < 12; turn++) {
    assert((await world.env.until(fresh.add("a", 1))).accepted);
    assert((await world.env.until(stale.add("a", 1))).accepted);
  }
  assert.equal(stale.store.calls.commit, commit);
});

Deno.test("a strong read shows what another node has acknowledged; a weak one may not", async () => {
  await using world = new World();
  const [one, other] = [world.node(), world.node()];
  await one.add("a", 1);
  assert.equal(await other.total("a"), 1);
  await one.add("a", 1);
  await world.env.advance(1);
  assert.equal(await other.total("a"), 1);
  assert.equal(await other.total("a", { isStrong: true }), 2);
  assert.equal(await other.total("a"), 2, "what a node has seen once it goes on to show");
});

Deno.test("a strong read is not content with a look that began before it", async () => {
  await using world = new World();
  const [one, other] = [world.node(), world.node()];
  await one.add("a", 1);
  await other.total("a");
  const gate = other.store.hold("commit", "after");
  const early = other.total("a", { isStrong: true });
  await world.env.settle();
  assert.equal(gate.held, 1, "the store has answered, and the answer is on its way");
  await one.add("a", 1);
  const late = other.total("a", { isStrong: true });
  gate.release();
  assert.equal(await early, 1);
  assert.equal(await late, 2);
});

Deno.test("a read that knows a version waits until the node has caught up with it", async () => {
  await using world = new World();
  const [one, other] = [world.node(), world.node()];
  await one.add("a", 1);
  await other.total("a");
  const { version } = await one.add("a", 1);
  assert.equal(await other.total("a", { atLeast: version }), 2);
  const { commit } = other.store.calls;
  assert.equal(await other.total("a", { atLeast: version }), 2);
  assert.equal(other.store.calls.commit, commit, "what it has it shows without asking");
});

Deno.test("a race that is never won ends as a fault, not in a loop", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  // A store that is mistaken for once and for all.
  node.store.commit = (batch) => Promise.resolve(batch.map(() => ({ is: "conflict" })));
  node.store.commitExclusively = () => Promise.resolve({ is: "conflict" });
  const ask = watched(node.add("a", 1));
  await world.env.settle();
  assert(ask.error instanceof TransientFault);
});
