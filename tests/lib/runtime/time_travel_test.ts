import assert from "node:assert/strict";
import { stateAt } from "../../../lib/runtime/time_travel.ts";
import * as Counter from "../../support/counter.ts";
import { World } from "./world.ts";

Deno.test("an actor is shown as it was at any version it came to", async () => {
  await using world = new World();
  await world.plant("a", { schema: 1, data: { type: "Added", by: 1 } });
  await world.plantAdded("a", 2, 3);
  const totals: (number | undefined)[] = [];
  for (const version of [0, 1, 2, 3, 4]) {
    totals.push((await stateAt(world.store, Counter, "a", version))?.total);
  }
  assert.deepEqual(totals, [0, 1, 3, 6, undefined]);
});

Deno.test("the past is made of events, whatever a snapshot says", async () => {
  await using world = new World();
  await world.plantAdded("a", 1, 2);
  const address = { kind: Counter.kind, key: "a" };
  const snapshot = { version: 2, schema: Counter.snapshot.schema, state: { total: 999 } };
  await world.store.saveSnapshots([{ address, snapshot }]);
  assert.deepEqual(await stateAt(world.store, Counter, "a", 2), { total: 3 });
});
