import assert from "node:assert/strict";
import fc from "fast-check";
import { type Book, empty, type Level, withdrawn } from "../../actors/market/book.ts";
import { type Incoming, match, matched } from "../../actors/market/matching.ts";
import { type Side, timesInForce } from "../../actors/trading.ts";
import { NaiveBook } from "../support/naive_book.ts";

const STREAMS = 10_000;
const STREAM_MAX = 60;

type Step =
  | ({ readonly is: "submit" } & Omit<Incoming, "id">)
  | { readonly is: "withdraw"; readonly which: number }
  /** Under the id of one that is withdrawn first, if it still rests. */
  | ({ readonly is: "replace"; readonly which: number } & Omit<Incoming, "id">)
  /** Goes on from the book as it was so many steps before, as after a commit that did not succeed. */
  | { readonly is: "return"; readonly steps: number };

// Few prices and accounts, so that orders meet; quantities that fill one another in parts and whole.
const submission = fc.record({
  accountId: fc.constantFrom("ann", "ben", "cas", "dee", "eve"),
  side: fc.constantFrom<Side>("buy", "sell"),
  limit: fc.integer({ min: 95, max: 105 }),
  quantity: fc.integer({ min: 1, max: 12 }),
  timeInForce: fc.constantFrom("day", "day", "day", ...timesInForce),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: submission.map((order) => ({ is: "submit" as const, ...order })) },
  { weight: 3, arbitrary: fc.nat(STREAM_MAX).map((which) => ({ is: "withdraw" as const, which })) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(STREAM_MAX), submission).map(([which, order]) => ({
      is: "replace" as const,
      which,
      ...order,
    })),
  },
  { weight: 1, arbitrary: fc.nat(5).map((steps) => ({ is: "return" as const, steps })) },
);

Deno.test(`the book does what a naive one does, in ${STREAMS} random streams of orders`, () => {
  const seen = {
    trades: 0,
    deep: 0,
    partial: 0,
    selfTrades: 0,
    killed: 0,
    replaced: 0,
    returns: 0,
  };
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: STREAM_MAX, size: "max" }), (steps) => {
      const books: (readonly [Book, NaiveBook])[] = [[empty, new NaiveBook()]];
      let number = 0;
      for (const step of steps) {
        const [book, naive] = books.at(-1)!;
        if (step.is === "return") {
          books.length = Math.max(1, books.length - step.steps);
          seen.returns++;
          continue;
        }
        const after = naive.copy();
        if (step.is === "withdraw") {
          after.withdraw(`order-${step.which}`);
          books.push([withdrawn(book, `order-${step.which}`), after]);
          continue;
        }
        const { is, ...incoming } = step;
        const order = { ...incoming, id: `order-${is === "replace" ? step.which : number++}` };
        if (book.orders.has(order.id)) seen.replaced++;
        after.withdraw(order.id);
        const without = withdrawn(book, order.id);
        const found = match(without, order);
        assert.deepEqual({ ...found }, after.submit(order));
        books.push([matched(without, order, found), after]);
        seen.trades += found.trades.length;
        if (found.trades.length > 2) seen.deep++;
        if (found.trades.length > 0 && found.rest === "rests") seen.partial++;
        if (found.rest === "self-trade") seen.selfTrades++;
        if (step.timeInForce === "fill-or-kill" && found.remaining > 0) seen.killed++;
      }
      // The last, and those that it came from: none was changed by what came of it.
      for (const [book, naive] of books) assertEqualBooks(book, naive);
    }),
    { numRuns: STREAMS },
  );
  for (const [what, times] of Object.entries(seen)) {
    assert(times > STREAMS / 10, `${what}: ${times}`);
  }
});

function assertEqualBooks(book: Book, naive: NaiveBook): void {
  for (const side of ["buy", "sell"] as const) {
    const ladder = side === "buy" ? book.bids : book.asks;
    const standing = ladder.toReversed().flatMap((level) => standingAt(book, level));
    assert.deepEqual(standing, naive.standing(side));
    for (const level of ladder) {
      const there = standingAt(book, level);
      assert.equal(level.orders, there.length);
      assert.equal(level.quantity, there.reduce((sum, [, , remaining]) => sum + remaining, 0));
    }
  }
  assert.equal(book.orders.size, naive.standing("buy").length + naive.standing("sell").length);
}

function standingAt(book: Book, { price, line: { places, start, end } }: Level) {
  return places.slice(start, end).flatMap(({ id, place }) => {
    const resting = book.orders.get(id);
    return resting?.place === place ? [[id, price, resting.remaining] as const] : [];
  });
}

function submitted(book: Book, order: Partial<Incoming> & Pick<Incoming, "id">): Book {
  const whole: Incoming = {
    accountId: "ann",
    side: "buy",
    limit: 100,
    quantity: 1,
    timeInForce: "day",
    ...order,
  };
  return matched(book, whole, match(book, whole));
}

Deno.test("an order that stays does not keep all who came and went behind it", () => {
  let book = submitted(empty, { id: "patient" });
  for (let number = 0; number < 10_000; number++) {
    book = withdrawn(submitted(book, { id: `nervous-${number}` }), `nervous-${number}`);
  }
  const { places } = book.bids[0]!.line;
  assert(places.length < 200, `${places.length} places`);
  assert.deepEqual([book.bids[0]!.orders, book.orders.size], [1, 1]);
});

Deno.test("whoever is filled in part keeps the place in front", () => {
  let book = submitted(empty, { id: "first", quantity: 5 });
  book = submitted(book, { id: "second", quantity: 5 });
  const seller = { accountId: "ben", side: "sell", limit: 100, timeInForce: "day" } as const;
  book = submitted(book, { id: "small", quantity: 2, ...seller });
  assert.equal(book.orders.get("first")!.remaining, 3);
  const large: Incoming = { id: "large", quantity: 4, ...seller };
  assert.deepEqual(match(book, large).trades.map(({ orderId, quantity }) => [orderId, quantity]), [
    ["first", 3],
    ["second", 1],
  ]);
});

Deno.test("what is traded is traded at the price of who was there before", () => {
  const book = submitted(empty, { id: "asked", side: "sell", limit: 98 });
  const { trades } = match(book, {
    id: "bid",
    accountId: "ben",
    side: "buy",
    limit: 105,
    quantity: 1,
    timeInForce: "immediate-or-cancel",
  });
  assert.deepEqual(trades, [{ orderId: "asked", accountId: "ann", price: 98, quantity: 1 }]);
});
