import assert from "node:assert/strict";
import { CallDeadlines } from "../../../lib/resilience/call_deadlines.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

function deadlines(env: VirtualEnv): CallDeadlines {
  return new CallDeadlines({ env, ms: 100, late: () => new Error("late") });
}

/** What has become of it: its result, its error, or nothing yet. */
function watched(promise: Promise<unknown>): () => unknown {
  let fate: unknown;
  promise.then((result) => fate = result, (error: Error) => fate = error.message);
  return () => fate;
}

const never = () => new Promise<never>(() => {});

Deno.test("a call that ends in time gives what it gives", async () => {
  const env = new VirtualEnv();
  await using calls = deadlines(env);
  assert.equal(await calls.run(() => Promise.resolve("done")), "done");
  await assert.rejects(calls.run(() => Promise.reject(new Error("refused"))), /refused/);
});

Deno.test("each call ends when its time is over, whoever began before and after it", async () => {
  const env = new VirtualEnv();
  await using calls = deadlines(env);
  const first = watched(calls.run(never));
  await env.advance(60);
  const quick = watched(calls.run(() => Promise.resolve("quick")));
  const second = watched(calls.run(never));
  await env.advance(39);
  assert.deepEqual([first(), quick(), second()], [undefined, "quick", undefined]);
  await env.advance(1);
  await env.settle();
  assert.deepEqual([first(), second()], ["late", undefined]);
  await env.advance(59);
  await env.settle();
  assert.equal(second(), undefined);
  await env.advance(1);
  await env.settle();
  assert.equal(second(), "late");
});

Deno.test("a call that begins while another's time runs, that has ended, is watched over too", async () => {
  const env = new VirtualEnv();
  await using calls = deadlines(env);
  await calls.run(() => Promise.resolve());
  await env.advance(50);
  const late = watched(calls.run(never));
  await env.advance(100);
  await env.settle();
  assert.equal(late(), "late");
});

Deno.test("however many calls there are, one sleep watches over them", async () => {
  const env = new VirtualEnv();
  await using calls = deadlines(env);
  const all = Array.from({ length: 1_000 }, () => watched(calls.run(never)));
  assert.equal(env.sleepers, 1);
  await env.advance(100);
  await env.settle();
  assert(all.every((fate) => fate() === "late"));
  assert.equal(env.sleepers, 0, "and none once they are over");
});

Deno.test("at the end of it all calls are late, and nothing sleeps any more", async () => {
  const env = new VirtualEnv();
  const calls = deadlines(env);
  const fate = watched(calls.run(never));
  await calls[Symbol.asyncDispose]();
  assert.equal(fate(), "late");
  assert.equal(env.sleepers, 0);
});
