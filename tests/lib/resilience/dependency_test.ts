import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import {
  Dependency,
  type DependencyLimits,
  type DependencyStanding,
} from "../../../lib/resilience/dependency.ts";
import { AT } from "../../support/given.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

interface World extends AsyncDisposable {
  readonly env: VirtualEnv;
  readonly dependency: Dependency;
  readonly changes: DependencyStanding[];
  /** When it was probed, in monotonic milliseconds. */
  readonly probedAt: number[];
  /** Whether probes find it there. */
  isThere: boolean;
}

const away = new TransientFault("away");

function world(limits: Partial<DependencyLimits> = {}): World {
  const env = new VirtualEnv();
  const changes: DependencyStanding[] = [];
  const probedAt: number[] = [];
  const dependency = new Dependency({
    name: "the store",
    env,
    probe: () => {
      probedAt.push(env.monotonic());
      return made.isThere ? Promise.resolve() : Promise.reject(away);
    },
    limits,
  });
  dependency.onChange((change) => void changes.push(change));
  const made: World = {
    env,
    dependency,
    changes,
    probedAt,
    isThere: false,
    [Symbol.asyncDispose]: () => dependency[Symbol.asyncDispose](),
  };
  return made;
}

/** Fails `times` times, `apartMs` from one to the next. */
async function failing({ env, dependency }: World, times: number, apartMs: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    if (time > 0) await env.advance(apartMs);
    dependency.failed(away);
    await env.settle();
  }
}

Deno.test("three failures in a row that have lasted a second open the breaker", async () => {
  await using it = world();
  await failing(it, 2, 1_000);
  assert.equal(it.dependency.refusal(), undefined);
  await failing(it, 1, 0);
  const refusal = it.dependency.refusal();
  assert(refusal?.isRefusal);
  assert.equal(refusal.outcome, "not-applied");
  assert(refusal.retryAfterMs > 0);
  assert.equal(refusal.cause, away);
  assert.deepEqual(it.changes.map(({ state, failures }) => [state, failures]), [["open", 3]]);
});

Deno.test("what is over within a second is left to retries", async () => {
  await using it = world();
  await failing(it, 100, 9);
  assert(it.dependency.isAvailable);
});

Deno.test("how long a failure took counts, so silence is heard as soon as it ends", async () => {
  await using it = world();
  for (const _ of [1, 2, 3]) it.dependency.failed(away, 8_000);
  await it.env.settle();
  assert(!it.dependency.isAvailable);
});

Deno.test("one success in between, and the failures are not in a row", async () => {
  await using it = world();
  for (const _ of Array(10)) {
    await failing(it, 2, 5_000);
    it.dependency.succeeded();
  }
  assert(it.dependency.isAvailable);
});

Deno.test("failures of long ago are not in a row with those of now", async () => {
  await using it = world();
  await failing(it, 50, 30_001);
  assert(it.dependency.isAvailable);
});

Deno.test("a probe closes the breaker without any call, within two seconds", async () => {
  await using it = world();
  await failing(it, 3, 1_000);
  await it.env.advance(60_000);
  assert(!it.dependency.isAvailable);
  const pauses = it.probedAt.slice(1).map((at, index) => at - it.probedAt[index]!);
  assert(
    pauses.every((ms) => ms > 0 && ms <= 1_500),
    `the longest pause was ${Math.max(...pauses)}`,
  );
  assert(it.probedAt.length < 100, `it was probed ${it.probedAt.length} times within a minute`);

  it.isThere = true;
  await it.env.advance(1_500);
  assert.equal(it.dependency.refusal(), undefined);
  assert.deepEqual(it.changes.map(({ state }) => state), ["open", "closed"]);
  const { state, failures, since, error } = it.dependency.standing();
  assert.deepEqual([state, failures, error], ["closed", 0, undefined]);
  assert(since > AT + 60_000);
  assert.equal(it.env.sleepers, 0, "and nothing is probed that is there");
});

Deno.test("a probe that does not end is given up, and the next one asks again", async () => {
  const env = new VirtualEnv();
  let probes = 0;
  await using dependency = new Dependency({
    name: "the store",
    env,
    probe: () => ++probes > 1 ? Promise.resolve() : new Promise<void>(() => {}),
  });
  for (const _ of [1, 2, 3]) dependency.failed(away, 1_000);
  await env.advance(10_000);
  assert.equal(probes, 2);
  assert(dependency.isAvailable);
});

Deno.test("an operator who resets it lets the next call through, and failures count anew", async () => {
  await using it = world();
  await failing(it, 3, 1_000);
  await it.dependency.reset();
  await it.env.settle();
  assert.equal(it.env.sleepers, 0);
  assert.equal(await it.dependency.attempt(() => Promise.resolve("served")), "served");
  await failing(it, 2, 1_000);
  assert(it.dependency.isAvailable);
  await failing(it, 1, 1_000);
  assert(!it.dependency.isAvailable);
  it.isThere = true;
  await it.env.advance(1_500);
  assert(it.dependency.isAvailable, "it is probed again after a reset");
});

Deno.test("a call is not made while the breaker is open, and its own faults alone count", async () => {
  await using it = world({ failuresMax: 2, persistedMs: 0 });
  const bug = new RangeError("a bug");
  for (const _ of Array(5)) {
    await assert.rejects(
      it.dependency.attempt(() => Promise.reject(bug)),
      (error) => error === bug,
    );
  }
  assert(it.dependency.isAvailable);
  let calls = 0;
  const call = () => {
    calls++;
    return Promise.reject(away);
  };
  for (const _ of Array(5)) {
    await assert.rejects(it.dependency.attempt(call), TransientFault);
    await it.env.settle();
  }
  assert.equal(calls, 2);
});

Deno.test("a clock that is set back by a day delays no recovery", async () => {
  await using it = world();
  await failing(it, 3, 1_000);
  const { now } = Date;
  Date.now = () => now() - 86_400_000;
  try {
    it.isThere = true;
    await it.env.advance(1_500);
  } finally {
    Date.now = now;
  }
  assert(it.dependency.isAvailable);
});

Deno.test("what is disposed of while it is lost probes no more", async () => {
  const it = world();
  await failing(it, 3, 1_000);
  await it[Symbol.asyncDispose]();
  assert.equal(it.env.sleepers, 0);
  await it.env.advance(10_000);
  assert.deepEqual(it.probedAt, []);
});
