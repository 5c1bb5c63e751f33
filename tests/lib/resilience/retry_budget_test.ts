import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import { retryPolicies, retryTransient } from "../../../lib/resilience/retry.ts";
import { RetryBudget } from "../../../lib/resilience/retry_budget.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

Deno.test("a dependency that fails at every other call is not asked much more for that", async () => {
  const env = new VirtualEnv();
  const budget = new RetryBudget(env);
  let calls = 0;
  const call = () => {
    calls++;
    return env.random() < 0.5 ? Promise.reject(new TransientFault("away")) : Promise.resolve();
  };
  const options = { ...retryPolicies.commit, env, budget, onFailure() {} };
  const requests = 10_000;
  const asked: Promise<boolean>[] = [];
  for (let request = 0; request < requests; request++) {
    asked.push(retryTransient(call, options).then(() => true, () => false));
    if (request % 100 === 0) await env.advance(10);
  }
  const ends = await env.until(Promise.all(asked));
  // What was saved up, a tenth of the requests, and what six seconds pay in.
  const retriesMost = 100 + requests / 10 + 6 * 5;
  assert(calls - requests > 1_000, "it is retried as far as the budget goes");
  assert(calls - requests <= retriesMost, `${calls - requests} retries of ${requests} requests`);
  const failed = ends.filter((isDone) => !isDone).length;
  assert(failed > 0.35 * requests, "whom the budget does not help fails at once");
  assert.equal(budget.standing().left, 0);
});

Deno.test("without a budget the same would more than double the calls", async () => {
  const env = new VirtualEnv();
  let calls = 0;
  const call = () => {
    calls++;
    return env.random() < 0.5 ? Promise.reject(new TransientFault("away")) : Promise.resolve();
  };
  const options = { ...retryPolicies.commit, env, onFailure() {} };
  await env.until(
    Promise.allSettled(Array.from({ length: 1_000 }, () => retryTransient(call, options))),
  );
  assert(calls > 1_800);
});

Deno.test("whoever seldom tries is paid a few retries a second, and saves no more than its fill", async () => {
  const env = new VirtualEnv();
  const budget = new RetryBudget(env, { perAttempt: 0.1, perSecond: 2, savedMax: 3 });
  const refused: string[] = [];
  budget.onRefused((operation) => void refused.push(operation));
  const spent = () => Array.from({ length: 5 }, () => budget.spend("load")).filter(Boolean).length;
  assert.equal(spent(), 3);
  assert.equal(spent(), 0);
  await env.advance(1_000);
  assert.equal(spent(), 2);
  await env.advance(60_000);
  assert.equal(spent(), 3);
  for (const _ of Array(11)) budget.attempted();
  assert.equal(spent(), 1);
  assert.equal(refused.length, 2 + 5 + 3 + 2 + 4);
  assert.equal(budget.standing().refused, refused.length);
});

Deno.test("to ask what became of something is paid for by nobody, and ends all the same", async () => {
  const env = new VirtualEnv();
  const budget = new RetryBudget(env, { perAttempt: 0, perSecond: 0, savedMax: 0 });
  let attempts = 0;
  const asking = retryTransient(() => {
    attempts++;
    const outcome = attempts === 1 ? "unknown" : "not-applied";
    return Promise.reject(new TransientFault("silence", { outcome }));
  }, { ...retryPolicies.commit, env, budget, onFailure() {} });
  await assert.rejects(env.until(asking), { outcome: "unknown" });
  assert(attempts > 3, `it was asked ${attempts} times`);
  assert(env.monotonic() <= retryPolicies.commit.giveUpMs);
});
