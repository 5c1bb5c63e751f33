import assert from "node:assert/strict";
import fc from "fast-check";
import { momentsOf, performanceOf, TRANSFERS_MAX } from "../../actors/portfolio/performance.ts";
import type { Movement } from "../../actors/trading_movements.ts";

const RATIO = 100_000_000n;

const cash = (stretch: number, units: bigint, transferred = units): Movement => {
  return { stretch, symbol: undefined, units, transferred };
};
const shares = (stretch: number, units: bigint, transferred = 0n): Movement => {
  return { stretch, symbol: "ACME", units, transferred };
};
const moments = [0, 1, 2, 3];
const priced = (...prices: (number | undefined)[]) => new Map([["ACME", prices]]);

Deno.test("what is added and taken out is no gain and no loss", () => {
  const movements = [cash(0, 100n), cash(1, 900n), cash(3, -500n)];
  const { looks, transferred, drawdown } = performanceOf(moments, movements, new Map());
  assert.deepEqual(looks.map(({ value }) => value), [100n, 1_000n, 1_000n, 500n]);
  assert.deepEqual(looks.map((look) => look.return), [0n, 0n, 0n, 0n]);
  assert.deepEqual([transferred, drawdown], [400n, 0n]);
});

Deno.test("the returns of the parts are chained, however much was in them", () => {
  // 10 shares at 10, which fall by half; then ten times as many come in, and all double.
  const movements = [shares(0, 10n, 10n), shares(1, 90n, 90n)];
  const { looks, drawdown } = performanceOf(moments, movements, priced(10, 5, 10, 8));
  assert.deepEqual(looks.map(({ value }) => value), [100n, 500n, 1_000n, 800n]);
  assert.deepEqual(looks.map((look) => look.return), [0n, -RATIO / 2n, 0n, -RATIO / 5n]);
  assert.equal(drawdown, RATIO / 2n);
});

Deno.test("shares that were bought are worth their price, and cost what was paid", () => {
  const movements = [cash(0, 100n), cash(1, -50n, 0n), shares(1, 5n)];
  const { looks, transferred } = performanceOf(moments, movements, priced(10, 10, 12, 14));
  assert.deepEqual(looks.map(({ value }) => value), [100n, 100n, 110n, 120n]);
  assert.equal(looks.at(-1)!.return, RATIO / 5n);
  assert.equal(transferred, 0n);
});

Deno.test("before anything was invested there was nothing to win", () => {
  const movements = [cash(2, 100n)];
  const { looks } = performanceOf(moments, movements, new Map());
  assert.deepEqual(looks.map((look) => look.return), [0n, 0n, 0n, 0n]);
});

Deno.test("shares that come before they have a price have come when they have one", () => {
  const movements = [cash(0, 100n), shares(1, 5n, 5n), shares(2, -1n, -1n)];
  const { looks, transferred } = performanceOf(
    [0, 1, 2, 3, 4],
    movements,
    priced(undefined, undefined, undefined, 10, 15),
  );
  assert.deepEqual(looks.map(({ value }) => value), [100n, 100n, 100n, 140n, 160n]);
  const returns = looks.map((look) => look.return);
  assert.deepEqual(returns, [0n, 0n, 0n, 0n, RATIO * 20n / 140n]);
  assert.equal(transferred, 40n);
});

Deno.test("what is bought when there first is a price has not come from elsewhere", () => {
  const movements = [cash(0, 100n), shares(0, 5n, 5n), cash(1, -30n, 0n), shares(1, 3n)];
  const { looks, transferred } = performanceOf(moments, movements, priced(undefined, 10, 10, 10));
  assert.deepEqual(looks.map(({ value }) => value), [100n, 150n, 150n, 150n]);
  assert.deepEqual([looks.at(-1)!.return, transferred], [0n, 50n]);
});

Deno.test("whatever comes and goes: without a change of prices there is no return, whenever the first comes", () => {
  const movement = fc.record({
    stretch: fc.integer({ min: 0, max: 9 }),
    units: fc.bigInt({ min: 1n, max: 1_000n }),
    isCash: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(movement, { maxLength: 30 }),
      fc.integer({ min: 1, max: 99 }),
      fc.integer({ min: 0, max: 9 }),
      (all, price, pricedFrom) => {
        const movements = all.toSorted((a, b) => a.stretch - b.stretch)
          .map(({ stretch, units, isCash }) => {
            return isCash ? cash(stretch, units) : shares(stretch, units, units);
          });
        const looks = Array.from({ length: 10 }, (_, look) => look);
        const prices = priced(...looks.map((look) => look < pricedFrom ? undefined : price));
        const performance = performanceOf(looks, movements, prices);
        assert(performance.looks.every((look) => look.return === 0n));
        const invested = all.reduce((sum, { units, isCash }) => {
          return sum + (isCash ? units : units * BigInt(price));
        }, 0n);
        assert.equal(performance.looks.at(-1)!.value, invested);
      },
    ),
  );
});

Deno.test("it is looked at in regular steps, and at each transfer unless there are too many", () => {
  const to = Date.parse("2030-01-31T12:00:00Z");
  const day = 24 * 3_600_000;
  const regular = momentsOf("1m", to, []);
  assert.deepEqual([regular.length, regular[0], regular.at(-1)], [31, to - 30 * day, to]);
  assert.deepEqual(momentsOf("1m", to, [to - 5, to - day]).slice(-3), [to - day, to - 5, to]);
  const many = Array.from({ length: TRANSFERS_MAX + 1 }, (_, n) => to - 2 - n);
  assert.deepEqual(momentsOf("1m", to, many), regular);
});
