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

Deno.test("another seed gives another course", async () => {
  const first = await runPlan(planOf(1));
  const second = await runPlan(planOf(2));
  assert.notEqual(first.trace, second.trace);
});
