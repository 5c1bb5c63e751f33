import assert from "node:assert/strict";
import { type FaultOutcome, TransientFault } from "../../../lib/fault.ts";
import { type RetryPolicy, retryTransient } from "../../../lib/resilience/retry.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

function fault(outcome: FaultOutcome): TransientFault {
  return new TransientFault("away", { outcome });
}

/** Retries what fails so, and keeps a record of when. */
function retrying(
  failures: readonly unknown[],
  giveUpMs: number,
  policy: Partial<RetryPolicy> = {},
) {
  const env = new VirtualEnv();
  const attemptedAt: number[] = [];
  const waits: number[] = [];
  const left = [...failures];
  const run = () =>
    retryTransient(() => {
      attemptedAt.push(env.monotonic());
      return left.length > 0 ? Promise.reject(left.shift()) : Promise.resolve("done");
    }, {
      operation: "commit",
      ...policy,
      env,
      giveUpMs,
      onFailure: (_, retryInMs) => void waits.push(retryInMs),
    });
  return { env, attemptedAt, waits, run };
}

Deno.test("what a fault has interrupted is repeated until it is done", async () => {
  const { env, attemptedAt, waits, run } = retrying(Array(3).fill(fault("not-applied")), 5_000);
  assert.equal(await env.until(run()), "done");
  const sums = waits.map((_, index) => waits.slice(0, index + 1).reduce((sum, ms) => sum + ms, 0));
  assert.deepEqual(attemptedAt, [0, ...sums]);
  assert.equal(env.sleepers, 0);
});

Deno.test("what succeeds at once is not repeated", async () => {
  const { attemptedAt, waits, run } = retrying([], 0);
  assert.equal(await run(), "done");
  assert.deepEqual([attemptedAt, waits], [[0], []]);
});

Deno.test("no attempt starts after the time is up, and the last fault is the cause", async () => {
  const last = fault("not-applied");
  const { env, attemptedAt, waits, run } = retrying(Array(99).fill(last), 1_000);
  await assert.rejects(env.until(run()), (error) => {
    assert(error instanceof TransientFault);
    assert.equal(error.outcome, "not-applied");
    assert.equal(error.cause, last);
    return true;
  });
  assert(attemptedAt.length > 3);
  assert(attemptedAt.every((ms) => ms <= 1_000));
  assert(attemptedAt.at(-1)! + waits.at(-1)! > 1_000, "it did not give up early");
});

Deno.test("one unknown outcome makes the whole unknown, whatever follows", async () => {
  const failures = [fault("unknown"), ...Array(99).fill(fault("not-applied"))];
  const { env, run } = retrying(failures, 1_000);
  await assert.rejects(env.until(run()), { name: "TransientFault", outcome: "unknown" });
});

Deno.test("any other error passes at once, as it is", async () => {
  const bug = new RangeError("a bug");
  const { env, attemptedAt, run } = retrying([fault("unknown"), bug], 5_000);
  await assert.rejects(env.until(run()), (error) => error === bug);
  assert.equal(attemptedAt.length, 2);
});

const refusal = new TransientFault("refused", { isRefusal: true, retryAfterMs: 700 });

Deno.test("what a breaker refuses is given up at once, as it was refused", async () => {
  const { attemptedAt, run } = retrying([refusal], 5_000);
  await assert.rejects(run(), (error) => error === refusal);
  assert.deepEqual(attemptedAt, [0]);
});

Deno.test("what was in doubt before the breaker opened stays so, and is asked about until the end", async () => {
  const { env, attemptedAt, run } = retrying([fault("unknown"), ...Array(99).fill(refusal)], 1_000);
  await assert.rejects(env.until(run()), { outcome: "unknown", isRefusal: false });
  assert(attemptedAt.length > 3);
});

Deno.test("who is patient waits for the breaker", async () => {
  const { env, attemptedAt, run } = retrying(Array(5).fill(refusal), 5_000, { isPatient: true });
  assert.equal(await env.until(run()), "done");
  assert.equal(attemptedAt.length, 6);
});

Deno.test("a policy may count attempts", async () => {
  const { env, attemptedAt, run } = retrying(Array(9).fill(fault("not-applied")), 5_000, {
    attemptsMax: 3,
  });
  await assert.rejects(env.until(run()), { outcome: "not-applied" });
  assert.equal(attemptedAt.length, 3);
});
