import assert from "node:assert/strict";
import * as Risk from "../../actors/risk/aggregate.ts";
import type { ToRisk } from "../../actors/trading.ts";
import { AT, given, KEY } from "../support/given.ts";

const DAY = Math.floor(AT / 86_400_000);
const limits: Risk.Event = {
  type: "LimitsSet",
  orderCost: "1000",
  openCost: "1500",
  positionCost: "2000",
  dailyLoss: "50",
  pausesOnBreach: true,
};
const lenient: Risk.Event = { ...limits, pausesOnBreach: false };
const check = (remaining: number, differing: Partial<Extract<ToRisk, { type: "Check" }>> = {}) => {
  const usual = { type: "Check", orderId: "a", symbol: "ACME", side: "buy", limit: 10 } as const;
  return { ...usual, remaining, needs: String(10 * remaining), ...differing };
};
const approved = (orderId: string, cost: string, side: "buy" | "sell" = "buy"): Risk.Event => {
  return { type: "OrderApproved", orderId, symbol: "ACME", side, cost };
};
const traded = (quantity: number, side: "buy" | "sell" = "buy", open = "0"): Risk.Event => {
  const trade = { orderId: "a", tradeId: "ACME:1", symbol: "ACME", price: 10 };
  return { type: "PositionChanged", ...trade, side, quantity, open };
};
const transferred = (quantity: number): Risk.Event => {
  return { type: "SharesTransferred", symbol: "ACME", quantity };
};
const noted = (earned: string, day = DAY): Risk.Event => ({ type: "EarningsNoted", day, earned });
const to = (kind: string, key: string, command: unknown) => ({
  to: { kind, key },
  schema: 1,
  command,
});

Deno.test("what is within the limits is asked to be kept", () => {
  given(Risk, [limits]).when(check(100)).thenTelling(
    [to("account", KEY, { type: "Reserve", orderId: "a", amount: "1000" })],
    approved("a", "1000"),
  );
  given(Risk, [limits]).when(check(100, { side: "sell", needs: "100" })).thenTelling(
    [to("portfolio", KEY, { type: "Reserve", orderId: "a", symbol: "ACME", quantity: 100 })],
    approved("a", "1000", "sell"),
  );
  given(Risk, []).when(check(1_000_000)).thenTelling(
    [to("account", KEY, { type: "Reserve", orderId: "a", amount: "10000000" })],
    approved("a", "10000000"),
  );
});

const breaches = [
  ["one order", [], check(101), "order-too-large", ["orderCost", "1010", "1000"]],
  ["all that is open", [approved("b", "600")], check(91), "too-much-open", [
    "openCost",
    "1510",
    "1500",
  ]],
  ["a position", [traded(150)], check(51), "position-too-large", ["positionCost", "2010", "2000"]],
  [
    "a position with shares that were brought in",
    [transferred(160), transferred(-10)],
    check(51),
    "position-too-large",
    ["positionCost", "2010", "2000"],
  ],
  [
    "a position that is spread over orders",
    [traded(100), approved("b", "600")],
    check(41),
    "position-too-large",
    ["positionCost", "2010", "2000"],
  ],
  ["the losses of a day", [noted("-51")], check(1), "loss-too-large", ["dailyLoss", "51", "50"]],
] as const;

for (const [of, history, command, reason, [limit, value, allowed]] of breaches) {
  const told = [to("order", "a", { type: "Declined", reason })];
  const declined: Risk.Event = { type: "OrderDeclined", orderId: "a", reason };
  const breached: Risk.Event = { type: "LimitBreached", limit, value, allowed };

  Deno.test(`beyond the limit of ${of} an order is declined, and trading paused if so wanted`, () => {
    given(Risk, [lenient, ...history]).when(command).thenTelling(told, declined, breached);
    given(Risk, [limits, ...history]).when(command).thenTelling(
      told,
      declined,
      breached,
      { type: "TradingPaused", because: limit },
    );
  });
}

Deno.test("what an order had before does not count beside what it is to have", () => {
  given(Risk, [limits, approved("a", "900"), approved("b", "600")]).when(check(90)).thenTelling(
    [to("account", KEY, { type: "Reserve", orderId: "a", amount: "900" })],
    approved("a", "900"),
  );
});

Deno.test("what needs nothing more is let through without asking others", () => {
  given(Risk, [approved("a", "500")]).when(check(60, { needs: "0", limit: 9 })).thenTelling(
    [to("order", "a", { type: "Reserved" })],
    approved("a", "540"),
  );
});

const openCostAfter = (...history: readonly Risk.Event[]) => {
  const { openCost, open } = given(Risk, history).state;
  assert.equal(openCost, open.values().reduce((sum, { cost }) => sum + cost, 0n));
  return openCost;
};
const changed = (open: string): Risk.Event => ({ type: "OrderChanged", orderId: "a", open });

Deno.test("what is open falls with every execution, and to what the order has become", () => {
  const before = [approved("a", "900"), approved("b", "50")];
  assert.equal(openCostAfter(...before, traded(40, "buy", "500")), 550n);
  assert.equal(openCostAfter(...before, changed("100")), 150n);
  assert.equal(
    openCostAfter(...before, changed("100"), { type: "OrderClosed", orderId: "a" }),
    50n,
  );
  // By an order that risk knows nothing of any more, and by one that was told by an older release.
  assert.equal(openCostAfter(approved("b", "50"), traded(40, "buy", "500")), 50n);
  const { orderId: _, open: __, ...old } = traded(4) as Extract<Risk.Event, { open?: string }>;
  assert.equal(openCostAfter(...before, old as Risk.Event), 950n);
  const stands = (open: string, orderId = "a") => ({ type: "Stands", orderId, open }) as const;
  given(Risk, before).when(stands("100")).then(changed("100"));
  given(Risk, before).when(stands("900")).then();
  given(Risk, before).when(stands("900", "c")).then();
});

Deno.test("until it is known what an order has become, the most that it may be counts", () => {
  assert.equal(openCostAfter(approved("a", "900"), approved("a", "100")), 900n);
  assert.equal(openCostAfter(approved("a", "100"), approved("a", "900")), 900n);
  // What it was to become was not let through: it trades as it was, and speaks of both.
  assert.equal(openCostAfter(approved("a", "100"), traded(1, "buy", "5000")), 100n);
});

Deno.test("shares that come from elsewhere or go there count, also those that are sold before it is heard", () => {
  const sharesAfter = (...history: readonly Risk.Event[]) =>
    given(Risk, history).state.positions.get("ACME")?.quantity ?? 0;
  assert.equal(sharesAfter(transferred(12), traded(10, "sell")), 2);
  assert.equal(sharesAfter(traded(10, "sell"), transferred(12)), 2);
  assert.equal(sharesAfter(transferred(12), transferred(-12)), 0);
  given(Risk, []).when({ type: "Transferred", symbol: "ACME", quantity: -3 })
    .then(transferred(-3));
});

Deno.test("what an older release has recorded is read, and an order of it counts until it is closed", () => {
  const old: Risk.Event = { type: "OrderApproved", orderId: "a", side: "buy", cost: "900" };
  assert.equal(openCostAfter(old), 900n);
  assert.equal(openCostAfter(old, { type: "OrderClosed", orderId: "a" }), 0n);
  const { openCosts } = given(Risk, [old, { type: "OrderClosed", orderId: "a" }]).state;
  assert.equal(openCosts.size, 0);
});

Deno.test("what is closed or sold is free for others", () => {
  const history = [limits, approved("b", "1000")];
  given(Risk, history).when({ type: "Close", orderId: "b" })
    .then({ type: "OrderClosed", orderId: "b" });
  given(Risk, history).when({ type: "Close", orderId: "c" }).then();
  given(Risk, [...history, { type: "OrderClosed", orderId: "b" }]).when(check(100)).thenTelling(
    [to("account", KEY, { type: "Reserve", orderId: "a", amount: "1000" })],
    approved("a", "1000"),
  );
  assert.equal(given(Risk, [traded(5), traded(5, "sell")]).state.positions.size, 0);
});

Deno.test("while trading is paused every order is declined, also one to sell", () => {
  const paused: Risk.Event = { type: "TradingPaused", because: "asked" };
  const reason = "trading-paused";
  given(Risk, []).when({ type: "Pause" }).then(paused);
  const { when } = given(Risk, [paused]);
  when(check(1, { side: "sell" })).thenTelling(
    [to("order", "a", { type: "Declined", reason })],
    { type: "OrderDeclined", orderId: "a", reason },
  );
  when({ type: "Pause" }).thenRejected("already-paused");
  when({ type: "Resume" }).then({ type: "TradingResumed" });
  given(Risk, []).when({ type: "Resume" }).thenRejected("not-paused");
});

Deno.test("the losses of a day are too large once, and the next day begins anew", () => {
  const lose = (earned: string) => ({ type: "Earned", tradeId: "ACME:1", earned }) as const;
  const breached: Risk.Event = {
    type: "LimitBreached",
    limit: "dailyLoss",
    value: "60",
    allowed: "50",
  };
  given(Risk, [lenient, noted("-40")]).when(lose("-10")).then(noted("-10"));
  given(Risk, [lenient, noted("-40")]).when(lose("-20")).then(noted("-20"), breached);
  given(Risk, [limits, noted("-40")]).when(lose("-20"))
    .then(noted("-20"), breached, { type: "TradingPaused", because: "dailyLoss" });
  given(Risk, [lenient, noted("-60")]).when(lose("-5")).then(noted("-5"));
  given(Risk, [lenient, noted("-60", DAY - 1)]).when(lose("-5")).then(noted("-5"));
  given(Risk, [lenient, noted("-60", DAY - 1)]).when(check(1)).thenTelling(
    [to("account", KEY, { type: "Reserve", orderId: "a", amount: "10" })],
    approved("a", "10"),
  );
});

Deno.test("a snapshot decides as what it was taken of", () => {
  const history = [limits, approved("b", "600"), traded(90), noted("-30"), traded(3, "sell")];
  const { state } = given(Risk, history);
  const copy = Risk.snapshot.decode(JSON.parse(JSON.stringify(Risk.snapshot.encode(state))));
  const context = { key: KEY, at: AT, principal: { id: "ann", roles: [] } };
  const commands: Risk.Command[] = [
    check(90),
    check(91),
    check(53),
    check(54),
    { type: "Stands", orderId: "b", open: "1" },
    { type: "Earned", tradeId: "ACME:1", earned: "-21" },
    { type: "Close", orderId: "b" },
    { type: "Pause" },
  ];
  for (const command of commands) {
    assert.deepEqual(Risk.decide(copy, command, context), Risk.decide(state, command, context));
  }
  assert.deepEqual(Risk.snapshot.decode(Risk.snapshot.encode(Risk.initial)), Risk.initial);
});
