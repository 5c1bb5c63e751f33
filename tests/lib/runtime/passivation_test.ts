/** Actors leave memory and come back as they were: from a snapshot, its tail, or all their events. */
import assert from "node:assert/strict";
import type { Snapshot } from "../../../lib/runtime/store.ts";
import * as Counter from "../../support/counter.ts";
import { brief, type Node, watched, World } from "./world.ts";

async function addMany(node: Node, key: string, count: number, amount = 1): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => node.add(key, amount)));
}

async function savedSnapshot(world: World, key: string): Promise<Snapshot | undefined> {
  await world.env.settle();
  const [loaded] = await world.store.load([{ address: { kind: Counter.kind, key } }]);
  return loaded?.snapshot;
}

function passivated(node: Node): string[] {
  return node.seen("passivated").map(({ address, because }) => `${address.key}: ${because}`);
}

Deno.test("an actor that heard nothing for so long leaves memory, and comes back as it was", async () => {
  await using world = new World();
  const node = world.node({ idleMs: 1_000 });
  await node.add("a", 5);
  await world.env.advance(600);
  await node.add("b", 1);
  await world.env.advance(400);
  assert.equal(node.system.residents, 1);
  assert.deepEqual(passivated(node), ["a: idle"]);
  assert.equal(brief(await node.add("a", 1)), "total 6 at 2");
  assert.equal(node.seen("activated").at(-1)?.replayed, 1);
});

Deno.test("whatever uses an actor keeps it in memory", async () => {
  await using world = new World();
  const node = world.node({ idleMs: 1_000 });
  await Promise.all(["asked", "read", "neither"].map((key) => node.add(key, 1)));
  for (let turn = 0; turn < 5; turn++) {
    await world.env.advance(400);
    await node.total("read");
    await node.add("asked", 1);
  }
  assert.deepEqual(passivated(node), ["neither: idle"]);
});

Deno.test("above the cap the least recently used leave memory", async () => {
  await using world = new World();
  const node = world.node({ residentMax: 3 });
  for (const key of ["a", "b", "c"]) await node.add(key, 1);
  await node.total("a");
  await node.add("b", 1);
  await world.env.settle();
  await node.add("d", 1);
  await world.env.settle();
  await node.add("e", 1);
  assert.deepEqual(passivated(node), ["c: pressure", "a: pressure"]);
  assert.equal(node.system.residents, 3);
});

Deno.test("a busy actor never leaves memory, neither under pressure nor by idleness", async () => {
  await using world = new World();
  const node = world.node({ residentMax: 2, idleMs: 1_000 });
  const gate = node.store.hold("commit");
  const busy = Promise.all([node.add("a", 1), node.add("b", 1)]);
  await world.env.settle();
  const pressing = node.add("c", 1);
  await world.env.advance(5_000);
  assert.equal(node.system.residents, 3, "busy ones are above the cap");
  assert.deepEqual(passivated(node), []);
  gate.release();
  await Promise.all([busy, pressing]);
  await world.env.settle();
  await node.add("d", 1);
  assert.equal(node.system.residents, 2);
  assert.deepEqual(await world.recorded("a"), [1]);
});

Deno.test("the cap holds, however many actors pass through", async () => {
  await using world = new World();
  const node = world.node({ residentMax: 10 });
  for (let round = 0; round < 20; round++) {
    const keys = Array.from({ length: 8 }, (_, index) => `actor-${round}-${index}`);
    await Promise.all(keys.map((key) => node.add(key, 1)));
    await world.env.settle();
    assert(node.system.residents <= 10);
  }
});

Deno.test("an actor comes back from its snapshot and what follows it", async () => {
  await using world = new World();
  const node = world.node({ snapshotEvery: 20, idleMs: 1_000 });
  await addMany(node, "a", 20);
  assert.deepEqual(await savedSnapshot(world, "a"), {
    version: 20,
    schema: 3,
    state: { total: 20 },
  });
  await addMany(node, "a", 5);
  await world.env.advance(2_000);
  assert.equal(brief(await node.add("a", 1)), "total 26 at 26");
  const { version, replayed } = node.seen("activated").at(-1)!;
  assert.deepEqual({ version, replayed }, { version: 25, replayed: 5 });
});

Deno.test("a tail worth a snapshot is written down when its actor leaves memory", async () => {
  await using world = new World();
  const node = world.node({ idleMs: 1_000 });
  await addMany(node, "long", 16);
  await addMany(node, "short", 15);
  await world.env.advance(2_000);
  assert.equal((await savedSnapshot(world, "long"))?.version, 16);
  assert.equal(await savedSnapshot(world, "short"), undefined);
});

Deno.test("snapshots come at ever greater distance", async () => {
  await using world = new World();
  const node = world.node({ snapshotEvery: 10, turnMax: 1 });
  const versions: number[] = [];
  node.store.saveSnapshots = (snapshots) => {
    versions.push(...snapshots.map(({ snapshot }) => snapshot.version));
    return world.store.saveSnapshots(snapshots);
  };
  await addMany(node, "a", 90);
  await world.env.settle();
  assert.deepEqual(versions, [10, 20, 30, 45, 68]);
});

Deno.test("a snapshot that could not be saved is no loss", async () => {
  await using world = new World();
  const node = world.node({ snapshotEvery: 10, idleMs: 1_000 });
  node.store.failNext("saveSnapshots", "not-applied");
  await addMany(node, "a", 10);
  await world.env.settle();
  assert.deepEqual(node.seen("maintenance-failed").map(({ task }) => task), ["snapshot"]);
  assert.equal(await savedSnapshot(world, "a"), undefined);
  await world.env.advance(2_000);
  assert.equal(await node.total("a"), 10);
});

Deno.test("a snapshot of another form is dropped, and the state rebuilt from all events", async () => {
  for (
    const snapshot of [
      { version: 3, schema: 2, state: { total: 999 } },
      { version: 3, schema: 3, state: { sum: 999 } },
    ]
  ) {
    await using world = new World();
    await world.plantAdded("a", 1, 2, 3, 4);
    const address = { kind: Counter.kind, key: "a" };
    await world.store.saveSnapshots([{ address, snapshot }]);
    const node = world.node();
    assert.equal(await node.total("a"), 10);
    assert.equal(node.seen("activated")[0]?.replayed, 4);
    const isUnreadable = snapshot.schema === Counter.snapshot.schema;
    assert.equal(node.seen("snapshot-dropped").length, isUnreadable ? 1 : 0);
    assert.equal(brief(await node.add("a", 1)), "total 11 at 5");
  }
});

Deno.test("an aggregate without snapshots comes back from its events", async () => {
  await using world = new World();
  const { snapshot: _, ...withoutSnapshot } = { ...Counter };
  const node = world.node({ snapshotEvery: 5, idleMs: 1_000 });
  node.system.host(withoutSnapshot);
  await addMany(node, "a", 30);
  await world.env.advance(2_000);
  assert.equal(await savedSnapshot(world, "a"), undefined);
  assert.equal(brief(await node.add("a", 1)), "total 31 at 31");
});

Deno.test("events of an older schema are brought to today's form", async () => {
  await using world = new World();
  await world.plant(
    "a",
    { schema: 1, data: { type: "Added", by: 40 } },
    { schema: 1, type: "WasReset", data: { type: "WasReset" } },
    { schema: 1, data: { type: "Added", by: 2 } },
    { schema: 2, data: { type: "Added", amount: 3 } },
  );
  const node = world.node();
  assert.equal(brief(await node.add("a", 1)), "total 6 at 5");
});

Deno.test("what arrives as its actor leaves memory finds it again", async () => {
  await using world = new World();
  const node = world.node({ residentMax: 1, snapshotEvery: 1_000 });
  await addMany(node, "a", 20);
  await world.env.settle();
  const gate = node.store.hold("saveSnapshots");
  const other = node.add("b", 1);
  const back = watched(node.add("a", 1));
  await other;
  await world.env.settle();
  assert.equal(gate.held, 1, "the parting snapshot is still on its way");
  assert.equal(back.value && brief(back.value), "total 21 at 21");
  gate.release();
});
