import assert from "node:assert/strict";
import fc from "fast-check";
import { rebalanced, WHOLE } from "../../actors/portfolio/rebalancing.ts";
import type { Valuation } from "../../actors/portfolio/valuation.ts";
import { costOf, QUANTITY_DECIMALS } from "../../actors/trading.ts";

const SHARE = 10 ** QUANTITY_DECIMALS;

function holding(...held: readonly (readonly [symbol: string, shares: number, price: number])[]) {
  const positions = held.map(([symbol, shares, price]) => {
    const value = costOf(price, shares * SHARE);
    return { symbol, quantity: shares * SHARE, price, cost: 0n, value, earned: 0n };
  });
  const value = positions.reduce((sum, position) => sum + position.value, 0n);
  return { positions, value } satisfies Valuation;
}

Deno.test("what is too much is sold, and what is missing bought, in whole shares", () => {
  const valuation = holding(["A", 60, 10], ["B", 10, 20]);
  // All is worth 1,000 shares at 1: 600 in A, 200 in B, 200 in cash.
  const orders = rebalanced(valuation, costOf(1, 200 * SHARE), [
    { symbol: "B", weight: 4_000, price: 20 },
    { symbol: "A", weight: 3_500, price: 10 },
    { symbol: "C", weight: 1_000, price: 30 },
  ]);
  assert.deepEqual(orders, [
    { symbol: "A", side: "sell", price: 10, quantity: 25 * SHARE },
    { symbol: "B", side: "buy", price: 20, quantity: 10 * SHARE },
    { symbol: "C", side: "buy", price: 30, quantity: 3 * SHARE },
  ]);
});

Deno.test("what has no target stays, and what is as wanted is left alone", () => {
  const valuation = holding(["A", 50, 10], ["B", 50, 10]);
  assert.deepEqual(rebalanced(valuation, 0n, [{ symbol: "A", weight: 5_000, price: 10 }]), []);
});

Deno.test("whatever is wanted: no more is sold than there is, and all that is bought can be paid", () => {
  const price = fc.integer({ min: 1, max: 500 });
  const one = fc.record({ shares: fc.nat(1_000), price, share: fc.integer({ min: 0, max: 100 }) });
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), fc.nat(1_000_000), (all, units) => {
      const names = all.map((_, n) => `S${n}`);
      const valuation = holding(
        ...all.map((one, n) => [names[n]!, one.shares, one.price] as const),
      );
      const sum = all.reduce((sum, { share }) => sum + share, 1);
      const targets = all.map(({ share, price }, n) => {
        return { symbol: names[n]!, weight: Math.floor(WHOLE * share / sum), price };
      });
      const cash = BigInt(units) * BigInt(SHARE);
      let left = cash;
      const orders = rebalanced(valuation, cash, targets);
      for (const { symbol, side, price, quantity } of orders) {
        assert.equal(quantity % SHARE, 0);
        left += side === "sell" ? costOf(price, quantity) : -costOf(price, quantity);
        const held = valuation.positions.find((position) => position.symbol === symbol)!;
        if (side === "sell") assert(quantity <= held.quantity);
        assert(left >= 0n, `${left} are left after ${side} ${symbol}`);
      }
      const sides = orders.map(({ side }) => side);
      assert.deepEqual(sides, sides.toSorted().toReversed());
    }),
    { numRuns: 2_000 },
  );
});
