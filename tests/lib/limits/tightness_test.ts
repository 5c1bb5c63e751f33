import assert from "node:assert/strict";
import fc from "fast-check";
import { nextTightness, relaxed, shareOf, type Tightness } from "../../../lib/limits/tightness.ts";

/** The shares after each look; `!` is one at which the service sheds, each 500 ms after the last. */
function shares(looks: string): number[] {
  let tightness: Tightness = relaxed;
  return [...looks].map((look, index) => {
    tightness = nextTightness(tightness, { isShedding: look === "!", at: index * 500 });
    return shareOf(tightness);
  });
}

Deno.test("limits are whole while nothing is shed", () => {
  assert.deepEqual(shares("....."), [1, 1, 1, 1, 1]);
});

Deno.test("the first step down comes at once, others a second apart, and a quarter stays", () => {
  assert.deepEqual(shares("!!!!!!!!!"), [0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25]);
});

Deno.test("each step up takes five seconds without shedding", () => {
  const after = shares("!!!" + ".".repeat(22));
  assert.deepEqual(after.slice(0, 3), [0.75, 0.75, 0.5]);
  assert.deepEqual(after.slice(3, 12), Array(9).fill(0.5));
  assert.deepEqual(after.slice(12, 22), Array(10).fill(0.75));
  assert.deepEqual(after.slice(22), [1, 1, 1]);
});

Deno.test("whoever sheds again on the way up starts to wait anew", () => {
  const looks = "!!!" + ".".repeat(9) + "!" + ".".repeat(9);
  assert.equal(shares(looks).at(-1), 0.25);
  assert.equal(shares(looks + ".").at(-1), 0.5);
});

Deno.test("a limit never goes by more than one step at a look, nor out of bounds", () => {
  const looks = fc.array(fc.record({ isShedding: fc.boolean(), afterMs: fc.nat(20_000) }));
  fc.assert(fc.property(looks, (looks) => {
    let before: Tightness = relaxed;
    let at = 0;
    for (const { isShedding, afterMs } of looks) {
      at += afterMs;
      const after = nextTightness(before, { isShedding, at });
      assert(Math.abs(after.steps - before.steps) <= 1);
      assert(isShedding ? after.steps >= before.steps : after.steps <= before.steps);
      assert(shareOf(after) >= 0.25 && shareOf(after) <= 1);
      before = after;
    }
  }));
});
