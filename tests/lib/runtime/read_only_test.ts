/** While nothing can be recorded, what is in memory is shown, and its age with it. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import type { StoreState } from "../../../lib/runtime/system.ts";
import { brief, World } from "./world.ts";

/** What a test says of the store: that it is there, or that it is away, or takes no writes. */
class Said implements StoreState {
  isAway = false;
  isReadOnly = false;

  refusal(): TransientFault | undefined {
    return this.isAway ? new TransientFault("refused", { isRefusal: true }) : undefined;
  }
}

function away(said: Said): void {
  said.isAway = true;
  said.isReadOnly = true;
}

const isRefusal = (error: unknown) => error instanceof TransientFault && error.isRefusal;

Deno.test("an actor in memory is read with the time since the store confirmed it", async () => {
  await using world = new World();
  const said = new Said();
  const node = world.node({}, { storeState: said });
  await node.add("a", 5);
  assert.equal((await node.read("a")).staleMs, undefined);
  away(said);
  await world.env.advance(7_000);
  const { view, version, staleMs } = await node.read("a");
  assert.deepEqual([view, version, staleMs], [5, 1, 7_000]);
  said.isAway = said.isReadOnly = false;
  assert.equal((await node.read("a")).staleMs, undefined);
});

Deno.test("an actor that is not in memory is refused at once, and nobody makes room for it", async () => {
  await using world = new World();
  const said = new Said();
  const node = world.node({ residentMax: 2 }, { storeState: said });
  await node.add("a", 5);
  await node.add("b", 6);
  away(said);
  for (let n = 0; n < 10; n++) {
    await assert.rejects(node.read(`other-${n}`), isRefusal);
    await assert.rejects(node.add(`other-${n}`, 1), isRefusal);
  }
  assert.equal(node.store.calls.load, 2);
  assert.deepEqual([await node.total("a"), await node.total("b")], [5, 6]);
});

Deno.test("a store that takes no writes is still read", async () => {
  await using world = new World();
  await world.plantAdded("a", 3);
  const said = new Said();
  const node = world.node({}, { storeState: said });
  said.isReadOnly = true;
  assert.equal(await node.total("a"), 3);
});

Deno.test("nobody is put out of memory for idleness who could not be read again", async () => {
  await using world = new World();
  const said = new Said();
  const node = world.node({ idleMs: 1_000 }, { storeState: said });
  await node.add("a", 5);
  away(said);
  await world.env.advance(60_000);
  assert.equal(await node.total("a"), 5);
  said.isAway = said.isReadOnly = false;
  await world.env.advance(2_000);
  assert.equal(node.system.residents, 0, "it is once it can be");
});

Deno.test("what an unknown outcome put in doubt is shown as it was, until it can be read", async () => {
  await using world = new World();
  const said = new Said();
  const node = world.node({ giveUpMs: 1_000 }, { storeState: said });
  await node.add("a", 5);
  node.store.failNext("commit", "unknown-after-applying");
  const asking = assert.rejects(node.add("a", 2), { outcome: "unknown" });
  await world.env.settle();
  node.store.isDown = true;
  away(said);
  await world.env.until(asking);
  await world.env.advance(5_000);
  const { view, staleMs } = await node.read("a");
  assert.equal(view, 5);
  assert(staleMs! > 5_000);
  node.store.isDown = false;
  said.isAway = said.isReadOnly = false;
  assert.equal(await node.total("a"), 7, "it was applied after all");
  assert.equal(brief(await node.add("a", 1)), "total 8 at 3");
});

Deno.test("a strong read is not answered out of memory", async () => {
  await using world = new World();
  const said = new Said();
  const node = world.node({ giveUpMs: 1_000 }, { storeState: said });
  await node.add("a", 5);
  away(said);
  node.store.isDown = true;
  await assert.rejects(world.env.until(node.read("a", { isStrong: true })), TransientFault);
});
