import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import { Bulkhead } from "../../../lib/resilience/bulkhead.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

function world() {
  const env = new VirtualEnv();
  const bulkhead = new Bulkhead({
    name: "lists",
    env,
    runningMax: 2,
    waitingMax: 3,
    waitMs: 1_000,
  });
  let runningNow = 0;
  const seen = { most: 0, run: 0 };
  const task = (ms: number) => () => {
    seen.run++;
    seen.most = Math.max(seen.most, ++runningNow);
    return env.sleep(ms).finally(() => runningNow--);
  };
  return { env, bulkhead, seen, task };
}

Deno.test("no more run at a time than may, and no more wait", async () => {
  const { env, bulkhead, seen, task } = world();
  let refusals = 0;
  bulkhead.onRefused(() => refusals++);
  const asked = Promise.allSettled(Array.from({ length: 8 }, () => bulkhead.run(task(100))));
  await env.settle();
  const { running, waiting } = bulkhead.standing();
  assert.deepEqual([running, waiting], [2, 3]);
  const ends = await env.until(asked);
  const refused = ends.filter((end) => end.status === "rejected");
  assert.equal(refused.length, 3);
  for (const { reason } of refused) assert(reason instanceof TransientFault);
  assert.deepEqual(seen, { most: 2, run: 5 });
  assert.deepEqual([refusals, bulkhead.standing().refused], [3, 3]);
});

Deno.test("whoever waited too long is not run any more, so that the queue soon is short", async () => {
  const { env, bulkhead, seen, task } = world();
  const slow = [bulkhead.run(task(3_000)), bulkhead.run(task(3_000))];
  const late = Promise.allSettled([1, 2, 3].map(() => bulkhead.run(task(3_000))));
  await env.until(Promise.all(slow));
  for (const { status } of await env.until(late)) assert.equal(status, "rejected");
  assert.equal(env.monotonic(), 3_000);
  assert.equal(seen.run, 2);
  await env.until(bulkhead.run(task(1)));
});

Deno.test("what a task fails by is what its caller hears", async () => {
  const { bulkhead } = world();
  const bug = new RangeError("a bug");
  await assert.rejects(bulkhead.run(() => Promise.reject(bug)), (error) => error === bug);
  assert.equal(bulkhead.standing().running, 0);
});
