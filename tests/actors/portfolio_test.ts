import assert from "node:assert/strict";
import fc from "fast-check";
import * as Portfolio from "../../actors/portfolio/aggregate.ts";
import { lotsOf } from "../../actors/portfolio/lots.ts";
import type { ToOrder } from "../../actors/trading.ts";
import { AT, given, KEY } from "../support/given.ts";

const deposited = (quantity: number, price = 10): Portfolio.Event =>
  ({ type: "SharesDeposited", symbol: "ACME", quantity, price }) as const;
const bought = (quantity: number, price: number): Portfolio.Event => {
  const trade = { orderId: "buy", tradeId: "ACME:1", symbol: "ACME" };
  return { ...trade, type: "SharesBought", quantity, price };
};
const reserved = (orderId: string, quantity: number): Portfolio.Event =>
  ({ type: "SharesReserved", orderId, symbol: "ACME", quantity }) as const;
const sale = (quantity: number, price: number) =>
  ({ orderId: "sell", tradeId: "ACME:2", symbol: "ACME", quantity, price }) as const;
const tellsRisk = (earned: string) => {
  const command = { type: "Earned", tradeId: "ACME:2", earned };
  return { to: { kind: "risk", key: KEY }, schema: 1, command };
};
const toldRisk = (quantity: number) => {
  const command = { type: "Transferred", symbol: "ACME", quantity };
  return { to: { kind: "risk", key: KEY }, schema: 1, command };
};
const reply = (key: string, command: ToOrder) => ({
  to: { kind: "order", key },
  schema: 1,
  command,
});

Deno.test("what is not kept for orders can be withdrawn, and no more", () => {
  const { when } = given(Portfolio, [deposited(100), reserved("a", 60)]);
  when({ type: "Withdraw", symbol: "ACME", quantity: 40 }).thenTelling(
    [toldRisk(-40)],
    { type: "SharesWithdrawn", symbol: "ACME", quantity: 40 },
  );
  when({ type: "Deposit", symbol: "ACME", quantity: 7, price: 3 })
    .thenTelling([toldRisk(7)], deposited(7, 3));
  when({ type: "Withdraw", symbol: "ACME", quantity: 41 }).thenRejected("insufficient-shares");
  when({ type: "Withdraw", symbol: "OTHER", quantity: 1 }).thenRejected("insufficient-shares");
});

Deno.test("what is there can be kept for an order, once", () => {
  const { when } = given(Portfolio, [deposited(100), reserved("a", 60)]);
  const command = { type: "Reserve", orderId: "b", symbol: "ACME" } as const;
  when({ ...command, quantity: 40 })
    .thenTelling([reply("b", { type: "Reserved" })], reserved("b", 40));
  when({ ...command, quantity: 41 }).thenTelling(
    [reply("b", { type: "NotReserved", reason: "insufficient-shares" })],
    { ...command, type: "ReservationRefused", quantity: 41 },
  );
  when({ ...command, orderId: "a", quantity: 40 })
    .thenTelling([reply("a", { type: "Reserved" })], reserved("a", 40));
  when({ type: "Release", orderId: "a", quantity: 20 })
    .then({ type: "SharesReleased", orderId: "a", symbol: "ACME", quantity: 20 });
  when({ type: "Release", orderId: "a", quantity: 61 })
    .then({ type: "SharesReleased", orderId: "a", symbol: "ACME", quantity: 60 });
  when({ type: "Release", orderId: "b", quantity: 1 }).then();
});

Deno.test("what is bought at one price again and again is one lot, of which some may be sold", () => {
  const lotsAfter = (...history: Portfolio.Event[]) =>
    lotsOf(given(Portfolio, history).state.positions.get("ACME")!.lots);
  const sold: Portfolio.Event = { ...sale(3, 9), type: "SharesSold", earned: "0" };
  const history = [bought(4, 5), bought(1, 5), reserved("sell", 3), sold];
  assert.deepEqual(lotsAfter(...history, bought(2, 5)), [{ quantity: 4, price: 5 }]);
  const others = [bought(1, 8), bought(1, 5), bought(1, 5)];
  assert.deepEqual(lotsAfter(...history, ...others), [
    { quantity: 2, price: 5 },
    { quantity: 1, price: 8 },
    { quantity: 2, price: 5 },
  ]);
});

Deno.test("there is an end to the orders that something is kept for", () => {
  const many = Array.from({ length: Portfolio.RESERVATIONS_MAX }, (_, n) => reserved(`o${n}`, 1));
  const { when } = given(Portfolio, [deposited(1_000_000), ...many]);
  when({ type: "Reserve", orderId: "late", symbol: "ACME", quantity: 1 }).thenTelling(
    [reply("late", { type: "NotReserved", reason: "too-many-orders" })],
    { type: "ReservationRefused", orderId: "late", symbol: "ACME", quantity: 1 },
  );
});

Deno.test("what was bought first is sold first, and earns what it brought less what it cost", () => {
  const history = [bought(10, 5), bought(10, 8), reserved("sell", 20)];
  given(Portfolio, history).when({ ...sale(15, 9), type: "Deliver" })
    .thenTelling([tellsRisk("45")], {
      ...sale(15, 9),
      type: "SharesSold",
      earned: String(15 * 9 - 10 * 5 - 5 * 8),
    });
  const first: Portfolio.Event = { ...sale(15, 9), type: "SharesSold", earned: "45" };
  const { when, state } = given(Portfolio, [...history, first]);
  assert.deepEqual(lotsOf(state.positions.get("ACME")!.lots), [{ quantity: 5, price: 8 }]);
  when({ ...sale(5, 2), type: "Deliver" }).thenTelling(
    [tellsRisk("-30")],
    { ...sale(5, 2), type: "SharesSold", earned: "-30" },
    { type: "PositionClosed", symbol: "ACME", earned: "15" },
  );
});

Deno.test("a position that was closed begins anew", () => {
  const closed: Portfolio.Event[] = [
    bought(10, 5),
    reserved("sell", 10),
    { ...sale(10, 9), type: "SharesSold", earned: "40" },
    { type: "PositionClosed", symbol: "ACME", earned: "40" },
  ];
  assert.equal(given(Portfolio, closed).state.positions.size, 0);
  given(Portfolio, [...closed, bought(1, 5), reserved("sell", 1)])
    .when({ ...sale(1, 6), type: "Deliver" })
    .thenTelling([tellsRisk("1")], { ...sale(1, 6), type: "SharesSold", earned: "1" }, {
      type: "PositionClosed",
      symbol: "ACME",
      earned: "1",
    });
});

Deno.test("a position is over with its last share, however that went, and what was earned stays", () => {
  const half: Portfolio.Event = { ...sale(5, 2), type: "SharesSold", earned: "-40" };
  const history = [deposited(10), reserved("sell", 5), half];
  const over: Portfolio.Event[] = [
    { type: "SharesWithdrawn", symbol: "ACME", quantity: 5 },
    { type: "PositionClosed", symbol: "ACME", earned: "-40" },
  ];
  given(Portfolio, history).when({ type: "Withdraw", symbol: "ACME", quantity: 5 })
    .thenTelling([toldRisk(-5)], ...over);
  const again = [deposited(1, 1), reserved("sell", 1)];
  const gain: Portfolio.Event = { ...sale(1, 3), type: "SharesSold", earned: "2" };
  const { state } = given(Portfolio, [...history, ...over, ...again, gain]);
  assert.deepEqual([state.positions.size, state.realized], [0, -38n]);
});

const common = {
  symbol: fc.constantFrom("ACME", "BOLT"),
  quantity: fc.integer({ min: 1, max: 20 }),
  price: fc.integer({ min: 1, max: 9 }),
};
const wish = fc.record({
  is: fc.constantFrom("Deposit", "Withdraw", "Reserve", "Take", "Deliver", "Deliver", "Release"),
  orderId: fc.constantFrom("a", "b", "c"),
  ...common,
});
type Wish = typeof wish extends fc.Arbitrary<infer Wish> ? Wish : never;

/** An order is for one symbol, and delivers no more than is kept for it. */
function commandFor(wish: Wish, state: Portfolio.State): Portfolio.Command | undefined {
  const { is, orderId, quantity, price } = wish;
  const kept = state.reservations.get(orderId);
  const symbol = kept?.symbol ?? wish.symbol;
  switch (is) {
    case "Deposit":
      return { type: is, symbol, quantity, price };
    case "Withdraw":
      return { type: is, symbol, quantity };
    case "Reserve":
      return { type: is, orderId, symbol, quantity };
    case "Take":
      return { type: is, orderId, tradeId: "it:1", symbol, price, quantity };
    case "Deliver": {
      const part = Math.min(quantity, kept?.quantity ?? 0);
      const trade = { orderId, tradeId: "it:1", symbol, price, quantity: part };
      return kept === undefined ? undefined : { type: is, ...trade };
    }
    case "Release":
      return { type: is, orderId, quantity };
  }
}

/** Every share by itself, with what was paid for it. */
class NaivePortfolio {
  realized = 0;
  readonly #shares = new Map<string, number[]>();

  add(symbol: string, quantity: number, price: number): void {
    this.#shares.set(symbol, [...this.of(symbol), ...Array<number>(quantity).fill(price)]);
  }

  /** What was paid for them. */
  remove(symbol: string, quantity: number): number {
    const all = this.of(symbol);
    this.#shares.set(symbol, all.slice(quantity));
    return all.slice(0, quantity).reduce((sum, price) => sum + price, 0);
  }

  of(symbol: string): readonly number[] {
    return this.#shares.get(symbol) ?? [];
  }
}

function follow(event: Portfolio.Event, naive: NaivePortfolio): void {
  switch (event.type) {
    case "SharesDeposited":
    case "SharesBought":
      return naive.add(event.symbol, event.quantity, event.price);
    case "SharesWithdrawn":
      return void naive.remove(event.symbol, event.quantity);
    case "SharesSold": {
      const cost = naive.remove(event.symbol, event.quantity);
      naive.realized += event.price * event.quantity - cost;
      return assert.equal(event.earned, String(event.price * event.quantity - cost));
    }
    case "PositionClosed":
      return assert.equal(naive.of(event.symbol).length, 0);
  }
}

function assertSame(state: Portfolio.State, naive: NaivePortfolio): void {
  assert.equal(state.realized, BigInt(naive.realized));
  const reservations = state.reservations.values();
  for (const symbol of ["ACME", "BOLT"]) {
    const position = state.positions.get(symbol);
    const lots = position === undefined ? [] : lotsOf(position.lots);
    const paid = lots.flatMap(({ quantity, price }) => Array<number>(quantity).fill(price));
    assert.deepEqual(paid, naive.of(symbol));
    assert.equal(position?.quantity ?? 0, paid.length);
    const kept = reservations.filter((each) => each.symbol === symbol)
      .reduce((sum, { quantity }) => sum + quantity, 0);
    assert.equal(position?.reserved ?? 0, kept);
    assert(kept <= paid.length, `${kept} of ${paid.length} are kept`);
  }
}

Deno.test("whatever comes, each share is there once, cost what it cost, and a snapshot knows it all", () => {
  const context = { key: KEY, at: AT, principal: { id: "ann", roles: [] } };
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(wish, { minLength: 5, maxLength: 60, size: "max" }), (wishes) => {
      let state = Portfolio.initial;
      const naive = new NaivePortfolio();
      for (const wish of wishes) {
        const command = commandFor(wish, state);
        if (command === undefined) continue;
        const copy = Portfolio.snapshot.decode(
          JSON.parse(JSON.stringify(Portfolio.snapshot.encode(state))),
        );
        const decision = Portfolio.decide(state, command, context);
        assert.deepEqual(Portfolio.decide(copy, command, context), decision);
        assert.equal(copy.realized, state.realized);
        for (const event of decision.accepted ? decision.events : []) {
          state = Portfolio.evolve(state, Portfolio.Event.parse(JSON.parse(JSON.stringify(event))));
          follow(event, naive);
          seen.set(event.type, (seen.get(event.type) ?? 0) + 1);
        }
        assertSame(state, naive);
      }
    }),
    { numRuns: 3_000 },
  );
  assert.equal(seen.size, Portfolio.Event.options.length, "each kind of event has come up");
  for (const [what, times] of seen) assert(times > 10, `${what}: ${times}`);
});
