import assert from "node:assert/strict";
import fc from "fast-check";
import * as Rebalancing from "../../actors/rebalancing/aggregate.ts";
import { rebalanced, type Target, WHOLE } from "../../actors/rebalancing/proposal.ts";
import { costOf, QUANTITY_DECIMALS } from "../../actors/trading.ts";
import { given } from "../support/given.ts";

const SHARE = 10 ** QUANTITY_DECIMALS;

/** So many shares that are held, of which none is kept for an order unless said. */
function held(symbol: string, weight: number, shares: number, price: number, available = shares) {
  const value = costOf(price, shares * SHARE);
  return { symbol, weight, price, value, available: available * SHARE } satisfies Target;
}

const sold = (symbol: string, price: number, shares: number) =>
  ({ symbol, side: "sell", price, quantity: shares * SHARE }) as const;
const bought = (symbol: string, price: number, shares: number) =>
  ({ symbol, side: "buy", price, quantity: shares * SHARE }) as const;

Deno.test("what is too much is sold, and what is missing bought by the cash at hand, in whole shares", () => {
  // All is worth 1,000 shares at 1: 600 in A, 200 in B, 200 in cash.
  const proposal = rebalanced(costOf(1, 1_000 * SHARE), costOf(1, 200 * SHARE), [
    held("B", 3_500, 10, 20),
    held("A", 3_500, 60, 10),
    held("C", 1_000, 0, 30),
    held("D", 500, 0, 40),
  ]);
  assert.deepEqual(proposal, {
    orders: [sold("A", 10, 25), bought("B", 20, 7), bought("C", 30, 2)],
    omitted: [
      { ...bought("C", 30, 1), reason: "unfunded" },
      { ...bought("D", 40, 1), reason: "unfunded" },
    ],
  });
});

Deno.test("what is kept for orders is not sold once more", () => {
  assert.deepEqual(rebalanced(costOf(10, 50 * SHARE), 0n, [held("A", 0, 50, 10, 30.5)]), {
    orders: [sold("A", 10, 30)],
    omitted: [{ ...sold("A", 10, 20), reason: "reserved" }],
  });
  assert.deepEqual(rebalanced(costOf(10, 50 * SHARE), 0n, [held("A", 0, 50, 10, 0)]), {
    orders: [],
    omitted: [{ ...sold("A", 10, 50), reason: "reserved" }],
  });
});

Deno.test("what is as wanted is left alone", () => {
  const worth = costOf(10, 100 * SHARE);
  const none = { orders: [], omitted: [] };
  assert.deepEqual(rebalanced(worth, 0n, [held("A", 5_000, 50, 10)]), none);
});

Deno.test("whatever is wanted: no more is sold than can be, and all that is bought can be paid at once", () => {
  const one = fc.record({
    shares: fc.nat(100),
    kept: fc.nat(100),
    price: fc.integer({ min: 1, max: 500 }),
    share: fc.integer({ min: 0, max: 100 }),
  });
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), fc.nat(200_000), (all, units) => {
      const sum = all.reduce((sum, { share }) => sum + share, 1);
      const targets = all.map(({ shares, kept, price, share }, n) =>
        held(`S${n}`, Math.floor(WHOLE * share / sum), shares, price, Math.max(0, shares - kept))
      );
      const cash = BigInt(units) * BigInt(SHARE);
      const worth = targets.reduce((sum, { value }) => sum + value, cash);
      const { orders, omitted } = rebalanced(worth, cash, targets);
      let left = cash;
      for (const { symbol, side, price, quantity } of orders) {
        assert(quantity > 0 && quantity % SHARE === 0);
        const { available } = targets.find((target) => target.symbol === symbol)!;
        if (side === "buy") left -= costOf(price, quantity);
        else assert(quantity <= available);
      }
      assert(left >= 0n, `${left} are left`);
      const sides = orders.map(({ side }) => side);
      assert.deepEqual(sides, sides.toSorted().toReversed());
      // With what was left out, each comes as near to its weight as whole shares do.
      for (const { symbol, weight, price, value } of targets) {
        const change = [...orders, ...omitted].filter((order) => order.symbol === symbol)
          .map(({ side, quantity }) => costOf(price, side === "buy" ? quantity : -quantity))
          .reduce((sum, cost) => sum + cost, 0n);
        const off = worth * BigInt(weight) / BigInt(WHOLE) - value - change;
        assert((off < 0n ? -off : off) < costOf(price, SHARE), `${off} are missing of ${symbol}`);
      }
    }),
    { numRuns: 2_000 },
  );
});

const proposal = { orders: [sold("A", 10, 25)], omitted: [] };
const ann = { principal: { id: "ann", roles: ["trader"] } };

Deno.test("a rebalancing has one proposal, and keeps it", () => {
  const propose = { ...proposal, type: "Propose" } as const;
  const refuse = { type: "Refuse", reason: "market-paused" } as const;
  const event = { ...proposal, type: "OrdersProposed", accountId: "ann" } as const;
  given(Rebalancing, []).when(propose, ann).then(event);
  given(Rebalancing, []).when(refuse, ann).thenRejected("market-paused");
  const made = given(Rebalancing, [event]);
  assert.deepEqual(made.state, { proposal });
  made.when({ ...propose, orders: [] }, ann).thenRejected("already-exists");
  made.when(refuse, ann).thenRejected("already-exists");
});
