/** Failures are made small and played again; and a plan with less in it goes on as it did. */
import assert from "node:assert/strict";
import type { Store } from "../../lib/runtime/store.ts";
import { altered, type Ports } from "./database.ts";
import type { Plan } from "./plan.ts";
import { planOf, usualSize } from "./planning.ts";
import { kept } from "./regressions.ts";
import { runPlan } from "./run.ts";
import { Life, Place, Scheduler } from "./scheduler.ts";
import { shrunk } from "./shrinking.ts";

/** A store that does not take what was handled out of the outbox, unless the row lock is held. */
function forgetful(ports: Ports): Ports {
  const { store } = ports;
  const commit: Store["commit"] = (batch) =>
    store.commit(batch.map((commit) => ({ ...commit, consumed: [] })));
  return { ...ports, store: altered(store, { commit }) };
}

const failureOf = async (plan: Plan) => (await runPlan(plan, { alter: forgetful })).failure;

/** Of small plans: not each has money under way. */
async function firstThatFails(): Promise<Plan> {
  for (let seed = 1; seed <= 20; seed++) {
    const plan = planOf(seed, { ...usualSize, operations: 80 });
    if ((await failureOf(plan))?.invariant === "I8") return plan;
  }
  throw new Error("None fails");
}

Deno.test("a failure is made so small that one sees what it is", async () => {
  const plan = await firstThatFails();
  const small = await shrunk(plan, async (candidate) => {
    return (await failureOf(candidate))?.invariant === "I8";
  });
  assert.equal((await failureOf(small))?.invariant, "I8");
  // A purse with money, and a transfer.
  assert.deepEqual(small.operations.map(({ act }) => act.is), ["open", "transfer"]);
  assert.deepEqual(small.faults, []);
  assert.equal(small.clients, 1);
});

Deno.test("a plan is data: written down and read again it is the same run", async () => {
  const plan = planOf(7);
  const read = JSON.parse(JSON.stringify(plan)) as Plan;
  assert.deepEqual(await runPlan(read), await runPlan(plan));
});

Deno.test("what happens where something is left out does not change the order elsewhere", async () => {
  const orderWith = async (labels: readonly string[]) => {
    const scheduler = new Scheduler(42);
    const order: string[] = [];
    for (const label of labels) {
      scheduler.after(new Life(new Place(1, "there")), label, 0, () => void order.push(label));
    }
    await scheduler.run(() => false, 10);
    return order;
  };
  const labels = ["a", "b", "c", "d", "e", "f", "g"];
  const all = await orderWith(labels);
  assert.notDeepEqual(all, labels);
  const less = await orderWith(labels.filter((label) => label !== "d"));
  assert.deepEqual(less, all.filter((label) => label !== "d"));
});

for (const [name, { plan }] of kept()) {
  Deno.test(`what was found once does not come back: ${name}`, async () => {
    const { failure } = await runPlan(plan);
    assert.equal(failure?.message, undefined);
  });
}
