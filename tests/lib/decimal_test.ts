import assert from "node:assert/strict";
import fc from "fast-check";
import { decimalOf, unitsOf } from "../../lib/decimal.ts";

const cases: readonly (readonly [string, number, bigint])[] = [
  ["0", 4, 0n],
  ["12.34", 2, 1_234n],
  ["12.34", 4, 123_400n],
  ["-0.0001", 4, -1n],
  ["90071992547409.93", 2, 9_007_199_254_740_993n],
  ["7", 0, 7n],
];

for (const [text, decimals, units] of cases) {
  Deno.test(`${text} is ${units} units of ${decimals} decimals, and back`, () => {
    assert.equal(unitsOf(text, decimals), units);
    assert.equal(decimalOf(units, decimals), text);
  });
}

const none = [
  "",
  "-",
  ".5",
  "5.",
  "+5",
  "05",
  "1e3",
  "0x10",
  "1,000",
  "1_000",
  " 1",
  "1 ",
  "1\n",
  "NaN",
  "Infinity",
  "1.2.3",
  "--1",
  "١",
  "0.12345",
];

for (const text of none) {
  Deno.test(`${JSON.stringify(text)} is no decimal of four places`, () => {
    assert.equal(unitsOf(text, 4), undefined);
  });
}

Deno.test("zeros at the end say nothing, but there may not be more decimals than there are", () => {
  assert.equal(unitsOf("1.500", 4), 15_000n);
  assert.equal(decimalOf(15_000n, 4), "1.5");
  assert.equal(unitsOf("1.50000", 4), undefined);
});

Deno.test("whatever is written is read again, exactly", () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.nat(12), (units, decimals) => {
      assert.equal(unitsOf(decimalOf(units, decimals), decimals), units);
    }),
    { numRuns: 2_000 },
  );
});
