import assert from "node:assert/strict";
import {
  concentrationOf,
  DAYS_OBSERVED,
  observedMoments,
  outcomesOf,
  valueAtRisk,
} from "../../actors/risk/analysis.ts";

const holding = (symbol: string, value: bigint) => ({ symbol, value });

Deno.test("all in one symbol is as concentrated as can be, and all alike as little", () => {
  assert.deepEqual(concentrationOf([holding("A", 7n)]), {
    largest: 100_000_000n,
    herfindahl: 100_000_000n,
  });
  const alike = ["A", "B", "C", "D"].map((symbol) => holding(symbol, 5n));
  assert.deepEqual(concentrationOf(alike), { largest: 25_000_000n, herfindahl: 25_000_000n });
  assert.deepEqual(concentrationOf([]), { largest: 0n, herfindahl: 0n });
});

Deno.test("today's holdings go through the days of the past, the worst first", () => {
  const prices = new Map([
    ["A", [10, 11, 11, 10]],
    ["B", [undefined, 100, 50, 100]],
  ]);
  const { outcomes, covered } = outcomesOf([holding("A", 1_100n), holding("B", 200n)], prices);
  // A rises by a tenth, of B nothing is known; then B loses half; then A falls, and B doubles.
  assert.deepEqual(outcomes, [-100n, 100n, 110n]);
  assert.equal(covered, 100_000_000n * 3_700n / 3_900n);
});

Deno.test("what has no past is not covered, however long that of the rest is", () => {
  const days = Array.from({ length: 250 }, () => 10);
  const holdings = [holding("OLD", 1n), holding("NEW", 99n)];
  const past = outcomesOf(holdings, new Map([["OLD", days]]));
  assert.deepEqual([past.outcomes.length, past.covered], [249, 1_000_000n]);
  assert.deepEqual(outcomesOf(holdings, new Map()), { outcomes: [], covered: 0n });
});

Deno.test("so many days in a hundred cost no more than the value at risk", () => {
  const outcomes = Array.from({ length: 100 }, (_, n) => BigInt(n - 10));
  assert.equal(valueAtRisk(outcomes, 95), 6n);
  assert.equal(valueAtRisk(outcomes, 99), 10n);
  assert.equal(valueAtRisk(outcomes.map((one) => one + 10n), 95), 0n);
  assert.equal(valueAtRisk([-3n], 95), 3n);
  assert.equal(valueAtRisk([], 99), undefined);
});

Deno.test("days end at midnight of UTC, and the last one is not over", () => {
  const now = Date.parse("2030-06-15T12:34:56Z");
  const moments = observedMoments(now);
  assert.equal(moments.length, DAYS_OBSERVED + 1);
  assert.equal(moments.at(-1), now);
  assert.equal(new Date(moments.at(-2)!).toISOString(), "2030-06-15T00:00:00.000Z");
  assert.equal(new Date(moments.at(-3)!).toISOString(), "2030-06-14T00:00:00.000Z");
});
