/** The real runtime under a virtual clock, with everything failing that can: a few seconds of it. */
import assert from "node:assert/strict";
import { planOf } from "./planning.ts";
import { runPlan } from "./run.ts";

const SEEDS = 15;

Deno.test("whatever fails in a run, what was promised holds, and all comes to its end", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure } = await runPlan(planOf(seed));
    assert.equal(failure?.message, undefined, `seed ${seed}`);
  }
});

Deno.test("the same seed gives the same course of events, to the last step", async () => {
  for (let seed = 1_001; seed <= 1_005; seed++) {
    const first = await runPlan(planOf(seed));
    const second = await runPlan(planOf(seed));
    assert.equal(first.trace, second.trace, `seed ${seed}`);
    assert.deepEqual(first, second);
  }
});

Deno.test("a node may end at any point of a run, before or after what it awaits", async () => {
  const plan = { ...planOf(3, { operations: 30, nodes: 2 }), faults: [] };
  const { points } = await runPlan(plan);
  assert(points > 200, `${points} points`);
  for (let point = 1; point <= points; point += 29) {
    const { failure, counts } = await runPlan(plan, { crashAtPoint: point });
    assert.equal(failure?.message, undefined, `point ${point}`);
    assert(!counts.has("crash before a call"), "no other crash was planned");
  }
});

Deno.test("another seed gives another course", async () => {
  const first = await runPlan(planOf(1));
  const second = await runPlan(planOf(2));
  assert.notEqual(first.trace, second.trace);
});
