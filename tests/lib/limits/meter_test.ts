import assert from "node:assert/strict";
import fc from "fast-check";
import { decide } from "../../../lib/limits/limit_script.ts";
import { newMeter } from "../../../lib/limits/meter.ts";
import type { Quota } from "../../../lib/quotas.ts";

const steps = fc.array(
  fc.oneof(
    fc.constantFrom(0, 1, 999, 1_000, 1_001),
    fc.integer({ min: 0, max: 2_500 }),
  ),
  { minLength: 1, maxLength: 120 },
);
const limits = fc.integer({ min: 1, max: 9 });
const windows = fc.constantFrom(1_000, 1_001, 2_003);

/** When each request was made, and whether it was admitted. */
function played(quota: Quota, steps: readonly number[]) {
  const meter = newMeter(quota.algorithm);
  let now = 0;
  return steps.map((step) => {
    now += step;
    const { admitted, standings: [standing] } = decide([[meter, quota]], now);
    return { now, admitted, ...standing! };
  });
}

Deno.test("a window admits whoever finds fewer than the limit within it, and nobody else", () => {
  fc.assert(fc.property(steps, limits, windows, (steps, limit, windowMs) => {
    const quota: Quota = { algorithm: "window", limit, windowMs };
    const counted: number[] = [];
    for (const { now, admitted, remaining } of played(quota, steps)) {
      const within = counted.filter((at) => at >= now - windowMs).length;
      assert.equal(admitted, within < limit);
      if (admitted) counted.push(now);
      assert.equal(remaining, limit - within - (admitted ? 1 : 0));
    }
  }));
});

Deno.test("a bucket admits what has come back since, to the last part of a request", () => {
  fc.assert(fc.property(steps, limits, windows, (steps, limit, windowMs) => {
    const quota: Quota = { algorithm: "bucket", limit, windowMs };
    // In requests, as fractions of `windowMs`: what it holds, and when that was so.
    let held = BigInt(limit * windowMs);
    let at = 0;
    for (const { now, admitted, remaining } of played(quota, steps)) {
      const full = BigInt(limit * windowMs);
      held += BigInt((now - at) * limit);
      if (held > full) held = full;
      at = now;
      assert.equal(admitted, held >= BigInt(windowMs));
      if (admitted) held -= BigInt(windowMs);
      assert.equal(BigInt(remaining), held / BigInt(windowMs));
    }
  }));
});

for (const algorithm of ["window", "bucket"] as const) {
  Deno.test(`a ${algorithm} says to the millisecond when one more will be admitted`, () => {
    fc.assert(fc.property(steps, limits, windows, (steps, limit, windowMs) => {
      const quota: Quota = { algorithm, limit, windowMs };
      const meter = newMeter(algorithm);
      let now = 0;
      for (const step of steps) {
        now += step;
        const { standings: [standing] } = decide([[meter, quota]], now);
        const { remaining, moreInMs } = standing!;
        assert.equal(meter.standing(quota, now + moreInMs - 1).remaining, remaining);
        assert.equal(meter.standing(quota, now + moreInMs).remaining, remaining + 1);
      }
    }));
  });

  Deno.test(`a ${algorithm} heeds another limit as soon as there is one`, () => {
    const meter = newMeter(algorithm);
    const quota: Quota = { algorithm, limit: 8, windowMs: 1_000 };
    for (let request = 0; request < 6; request++) decide([[meter, quota]], 0);
    const tight = { ...quota, limit: 4 };
    assert.equal(decide([[meter, tight]], 0).admitted, false);
    assert.equal(meter.standing(tight, 0).remaining, 0);
    assert.equal(meter.standing(quota, 0).remaining, 2);
  });
}

Deno.test("of several, all are counted on or none, and each says how it stands", () => {
  const loose: Quota = { algorithm: "window", limit: 10, windowMs: 1_000 };
  const tight: Quota = { algorithm: "bucket", limit: 1, windowMs: 1_000 };
  const meters = [[newMeter("window"), loose], [newMeter("bucket"), tight]] as const;
  const remaining = () => {
    const { admitted, standings } = decide(meters, 0);
    return [admitted, ...standings.map(({ remaining }) => remaining)];
  };
  assert.deepEqual(remaining(), [true, 9, 0]);
  assert.deepEqual(remaining(), [false, 9, 0]);
});

Deno.test("a window that is asked for long keeps no more in mind than counts", () => {
  const quota: Quota = { algorithm: "window", limit: 3, windowMs: 1_000 };
  const meter = newMeter("window");
  for (let now = 0; now < 1_000_000; now += 250) {
    meter.spend(quota, now);
  }
  assert.deepEqual(meter.standing(quota, 999_750), { remaining: 0, moreInMs: 501 });
  assert.deepEqual(meter.standing(quota, 2_000_000), { remaining: 3, moreInMs: 0 });
});
