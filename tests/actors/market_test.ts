import assert from "node:assert/strict";
import fc from "fast-check";
import * as Market from "../../actors/market/aggregate.ts";
import { ALERTS_MAX } from "../../actors/market/alerts.ts";
import { RESTING_MAX } from "../../actors/market/orders.ts";
import { type Side, timesInForce, type ToMarket, type ToOrder } from "../../actors/trading.ts";
import type { Message } from "../../lib/runtime/aggregate.ts";
import { AT, given, KEY } from "../support/given.ts";
import { NaiveBook } from "../support/naive_book.ts";

const quotedAt = new Date(AT).toISOString();
const opened: Market.Event = { type: "PriceQuoted", price: 100, volume: 0, quotedAt };
const paused: Market.Event = { type: "TradingPaused" };
const ann = { principal: { id: "ann", roles: ["trader"] } };
const ben = { principal: { id: "ben", roles: ["trader"] } };
const admin = { principal: { id: "root", roles: ["admin"] } };

function order(orderId: string, differing: Partial<Extract<ToMarket, { type: "Submit" }>> = {}) {
  const usual = { accountId: "ann", side: "buy", limit: 100, quantity: 10, timeInForce: "day" };
  return { ...usual, ...differing, type: "Submit", orderId } as const as Extract<
    ToMarket,
    { type: "Submit" }
  >;
}

/** What submitting led to in a market without anybody to trade with. */
function resting(...orders: ReturnType<typeof order>[]): Market.Event[] {
  const after = { firstTrade: 1, trades: [], rest: "rests" } as const;
  return orders.map((order) => ({
    ...order,
    ...after,
    type: "OrderSubmitted",
    remaining: order.quantity,
  }));
}

function tellsOrder(key: string, command: ToOrder): Message {
  return { to: { kind: "order", key }, schema: 1, command };
}

Deno.test("a market opens with its first price, and takes no order before", () => {
  const turnedAway = { type: "OrderTurnedAway", orderId: "a", reason: "unknown-symbol" } as const;
  given(Market, []).when(order("a")).thenTelling(
    [tellsOrder("a", { type: "TurnedAway", reason: "unknown-symbol" })],
    turnedAway,
  );
  given(Market, []).when({ type: "Quote", price: 100, volume: 0, quotedAt }).then(opened);
  assert.equal(given(Market, [opened]).state.status, "open");
});

Deno.test("an order that finds nobody rests, and is told so", () => {
  given(Market, [opened]).when(order("a")).thenTelling(
    [tellsOrder("a", { type: "Submitted", executions: [], rest: "rests" })],
    ...resting(order("a")),
  );
});

Deno.test("both sides of a trade hear of it under one number", () => {
  const history = [opened, ...resting(order("a"), order("b", { accountId: "ben", quantity: 4 }))];
  const seller = order("c", { accountId: "cas", side: "sell", limit: 99, quantity: 12 });
  const trades = [
    { orderId: "a", accountId: "ann", price: 100, quantity: 10 },
    { orderId: "b", accountId: "ben", price: 100, quantity: 2 },
  ];
  const executions = [
    { tradeId: `${KEY}:1`, price: 100, quantity: 10 },
    { tradeId: `${KEY}:2`, price: 100, quantity: 2 },
  ];
  given(Market, history).when(seller).thenTelling(
    [
      tellsOrder("c", { type: "Submitted", executions, rest: "none" }),
      tellsOrder("a", { type: "Executed", execution: executions[0]! }),
      tellsOrder("b", { type: "Executed", execution: executions[1]! }),
    ],
    { ...seller, type: "OrderSubmitted", firstTrade: 1, trades, remaining: 0, rest: "none" },
  );
});

Deno.test("the price is that of the last trade, or of a feed that spoke later", () => {
  const ask = order("ask", { accountId: "cas", side: "sell", limit: 97, quantity: 3 });
  const trade = { orderId: "ask", accountId: "cas", price: 97, quantity: 3 };
  const bought: Market.Event = {
    ...order("bid", { quantity: 3 }),
    type: "OrderSubmitted",
    firstTrade: 1,
    trades: [trade],
    remaining: 0,
    rest: "none",
  };
  const history = [opened, ...resting(ask), bought];
  assert.equal(given(Market, history).state.price, 97);
  assert.equal(given(Market, [...history, opened]).state.price, 100);
});

Deno.test("an order can be withdrawn while it rests, also from a paused market", () => {
  const { when } = given(Market, [opened, ...resting(order("a")), paused]);
  when({ type: "Withdraw", orderId: "a" }).thenTelling(
    [tellsOrder("a", { type: "Withdrawn", remaining: 10 })],
    { type: "OrderWithdrawn", orderId: "a", remaining: 10 },
  );
  when({ type: "Withdraw", orderId: "gone" }).then();
});

Deno.test("an order that only becomes smaller keeps its place", () => {
  const history = [opened, ...resting(order("a"), order("b", { accountId: "ben" }))];
  const less = { type: "Replace", orderId: "a", limit: 100, more: -6 } as const;
  const lessened = { type: "OrderLessened", orderId: "a", by: 6 } as const;
  given(Market, history).when(less).thenTelling([
    tellsOrder("a", {
      type: "Replaced",
      limit: 100,
      remaining: 4,
      executions: [],
      rest: "rests",
    }),
  ], lessened);
  const { state } = given(Market, [...history, lessened]);
  const seller = order("c", { accountId: "cas", side: "sell", quantity: 5 });
  const decision = Market.decide(state, seller, { key: KEY, at: AT, ...ann });
  assert(decision.accepted);
  const [event] = decision.events;
  assert(event?.type === "OrderSubmitted");
  assert.deepEqual(event.trades.map(({ orderId, quantity }) => [orderId, quantity]), [
    ["a", 4],
    ["b", 1],
  ]);
});

Deno.test("an order that becomes larger comes anew, and trades at its new limit", () => {
  const ask = order("ask", { accountId: "cas", side: "sell", limit: 103, quantity: 3 });
  const history = [opened, ...resting(order("a"), ask)];
  const more = { type: "Replace", orderId: "a", limit: 103, more: 5 } as const;
  const executions = [{ tradeId: `${KEY}:1`, price: 103, quantity: 3 }];
  given(Market, history).when(more).thenTelling(
    [
      tellsOrder("a", { type: "Replaced", limit: 103, remaining: 12, executions, rest: "rests" }),
      tellsOrder("ask", { type: "Executed", execution: executions[0]! }),
    ],
    {
      type: "OrderReplaced",
      orderId: "a",
      accountId: "ann",
      side: "buy",
      limit: 103,
      quantity: 15,
      timeInForce: "day",
      firstTrade: 1,
      trades: [{ orderId: "ask", accountId: "cas", price: 103, quantity: 3 }],
      remaining: 12,
      rest: "rests",
    },
  );
});

Deno.test("an order that becomes larger leaves its place, also at its old limit", () => {
  const history = [opened, ...resting(order("a"), order("b", { accountId: "ben" }))];
  const { state } = given(Market, history);
  const context = { key: KEY, at: AT, ...ann };
  const more = Market.decide(
    state,
    { type: "Replace", orderId: "a", limit: 100, more: 1 },
    context,
  );
  assert(more.accepted);
  const after = more.events.reduce(Market.evolve, state);
  const seller = order("c", { accountId: "cas", side: "sell", quantity: 5 });
  const sold = Market.decide(after, seller, context);
  assert(sold.accepted && sold.events[0]?.type === "OrderSubmitted");
  assert.deepEqual(sold.events[0].trades.map(({ orderId }) => orderId), ["b"]);
});

Deno.test("a full book turns orders away, until one has left", () => {
  const orders = Array.from({ length: RESTING_MAX }, (_, number) => order(`order-${number}`));
  const state = [opened, ...resting(...orders)].reduce(Market.evolve, Market.initial);
  const context = { key: KEY, at: AT, ...ann };
  const turnedAway = Market.decide(state, order("late"), context);
  assert(turnedAway.accepted);
  assert.deepEqual(turnedAway.events, [
    { type: "OrderTurnedAway", orderId: "late", reason: "book-full" },
  ]);
  const left: Market.Event = { type: "OrderWithdrawn", orderId: "order-5", remaining: 10 };
  const taken = Market.decide(Market.evolve(state, left), order("late"), context);
  assert(taken.accepted && taken.events[0]?.type === "OrderSubmitted");
});

Deno.test("a full book takes whoever would not rest in it", () => {
  const orders = Array.from({ length: RESTING_MAX }, (_, number) => order(`order-${number}`));
  const state = [opened, ...resting(...orders)].reduce(Market.evolve, Market.initial);
  const context = { key: KEY, at: AT, ...ann };
  const seller = { accountId: "ben", side: "sell" } as const;
  const events = (differing: Parameters<typeof order>[1]) => {
    const decision = Market.decide(state, order("late", { ...seller, ...differing }), context);
    assert(decision.accepted);
    return decision.events.map((event) => "rest" in event ? event.rest : event.type);
  };
  assert.deepEqual(events({ quantity: 3 }), ["none"]);
  assert.deepEqual(events({ limit: 101, timeInForce: "immediate-or-cancel" }), [
    "nobody-to-trade-with",
  ]);
  assert.deepEqual(events({ limit: 101 }), ["OrderTurnedAway"]);
});

for (
  const [why, history, change] of [
    ["of which nothing would be left", [opened, ...resting(order("a"))], { more: -10 }],
    ["that would be too large", [opened, ...resting(order("a"))], { more: 1e12 }],
    ["that does not rest", [opened], { more: 1 }],
    ["in a paused market", [opened, ...resting(order("a")), paused], { more: 1 }],
  ] as const
) {
  Deno.test(`an order ${why} is not replaced, and keeps what it has`, () => {
    given(Market, history).when({ type: "Replace", orderId: "a", limit: 100, ...change })
      .thenTelling([tellsOrder("a", { type: "NotReplaced" })], {
        type: "ReplacementRefused",
        orderId: "a",
      });
  });
}

Deno.test("while trading is paused orders are turned away, and afterwards taken", () => {
  const { when } = given(Market, [opened, paused]);
  when(order("a")).thenTelling(
    [tellsOrder("a", { type: "TurnedAway", reason: "market-paused" })],
    { type: "OrderTurnedAway", orderId: "a", reason: "market-paused" },
  );
  when({ type: "Pause" }).thenRejected("already-paused");
  when({ type: "Resume" }).then({ type: "TradingResumed" });
  given(Market, [opened]).when({ type: "Resume" }).thenRejected("not-paused");
  given(Market, [opened]).when({ type: "Pause", reason: "news" })
    .then({ type: "TradingPaused", reason: "news" });
  given(Market, []).when({ type: "Pause" }).thenRejected("not-found");
  given(Market, []).when({ type: "Resume" }).thenRejected("not-found");
});

Deno.test("sentiment is worth an alert when it crosses the threshold, and once for that", () => {
  const command = (score: number) =>
    ({ type: "RecordSentiment", score, source: "wire", analyzedAt: quotedAt }) as const;
  const analyzed = (score: number): Market.Event => ({
    ...command(score),
    type: "SentimentAnalyzed",
  });
  const crossed = (score: number, threshold: number): Market.Event => {
    return { type: "SentimentCrossed", score, threshold };
  };
  given(Market, [opened]).when(command(69)).then(analyzed(69));
  given(Market, [opened]).when(command(70)).then(analyzed(70), crossed(70, 70));
  given(Market, [opened, analyzed(70)]).when(command(90)).then(analyzed(90));
  given(Market, [opened, analyzed(90)]).when(command(-80)).then(analyzed(-80), crossed(-80, -70));
  given(Market, []).when(command(0)).thenRejected("not-found");
});

const high = { alertId: "high", condition: "price-at-least", value: 105 } as const;
const low = { alertId: "low", condition: "price-at-most", value: 95 } as const;
const large = { alertId: "large", condition: "volume-at-least", value: 50 } as const;
const set = (alert: typeof high | typeof low | typeof large, ownerId = "ann"): Market.Event => {
  return { ...alert, type: "AlertSet", ownerId };
};

Deno.test("an alert is given once its price or volume is there, whoever brings it, and once", () => {
  const history = [opened, set(high), set(low), set(large)];
  const quotation = (price: number, volume = 0): Market.Event =>
    ({ type: "PriceQuoted", price, volume, quotedAt }) as const;
  const quote = (price: number, volume = 0) =>
    ({ type: "Quote", price, volume, quotedAt }) as const;
  const givenOf = (alert: typeof high | typeof low | typeof large, price: number, volume = 0) =>
    ({ ...alert, type: "AlertTriggered", ownerId: "ann", price, volume }) as const;
  const { when } = given(Market, history);
  when(quote(104, 49)).then(quotation(104, 49));
  when(quote(105)).then(quotation(105), givenOf(high, 105));
  when(quote(94)).then(quotation(94), givenOf(low, 94));
  when(quote(100, 50)).then(quotation(100, 50), givenOf(large, 100, 50));
  given(Market, [...history, quotation(105), givenOf(high, 105)]).when(quote(106))
    .then(quotation(106));

  const ask = order("ask", { accountId: "cas", side: "sell", limit: 106, quantity: 3 });
  const decision = Market.decide(
    given(Market, [...history, ...resting(ask)]).state,
    order("bid", { limit: 110, quantity: 3 }),
    { key: KEY, at: AT, ...ann },
  );
  assert(decision.accepted);
  assert.deepEqual(decision.events.slice(1), [givenOf(high, 106, 3)]);
});

Deno.test("an alert is its owner's, and there are not too many", () => {
  const { type: _, ownerId: __, ...alert } = set(high) as Extract<Market.Event, {
    type: "AlertSet";
  }>;
  given(Market, [opened]).when({ type: "SetAlert", ...alert }, ann).then(set(high));
  const { when } = given(Market, [opened, set(high)]);
  when({ type: "SetAlert", ...alert }, ben).thenRejected("already-exists");
  when({ type: "RemoveAlert", alertId: "high" }, ben).thenRejected("not-found");
  for (const caller of [ann, admin]) {
    when({ type: "RemoveAlert", alertId: "high" }, caller)
      .then({ type: "AlertRemoved", alertId: "high" });
  }
  given(Market, []).when({ type: "SetAlert", ...alert }, ann).thenRejected("not-found");
  const many = Array.from({ length: ALERTS_MAX }, (_, number): Market.Event => {
    return { ...alert, type: "AlertSet", ownerId: "ann", alertId: `alert-${number}` };
  });
  given(Market, [opened, ...many]).when({ type: "SetAlert", ...alert }, ann)
    .thenRejected("too-many-alerts");
});

const arrival = fc.record({
  accountId: fc.constantFrom("ann", "ben", "cas"),
  side: fc.constantFrom<Side>("buy", "sell"),
  limit: fc.integer({ min: 98, max: 102 }),
  quantity: fc.integer({ min: 1, max: 9 }),
  timeInForce: fc.constantFrom("day", ...timesInForce),
});
const step = fc.oneof(
  { weight: 8, arbitrary: arrival.map((order) => ({ is: "submit" as const, ...order })) },
  { weight: 2, arbitrary: fc.nat(30).map((which) => ({ is: "withdraw" as const, which })) },
  {
    weight: 5,
    arbitrary: fc.tuple(
      fc.nat(20),
      fc.option(fc.integer({ min: 98, max: 102 })),
      fc.integer({ min: -5, max: 5 }),
    ).map(([which, limit, more]) => ({ is: "replace" as const, which, limit, more })),
  },
);

type Step = typeof step extends fc.Arbitrary<infer Step> ? Step : never;

/** A replacement without a limit keeps that of its order. */
function commandOf(step: Step, number: number, market: Watched): Market.Command {
  switch (step.is) {
    case "submit":
      return { ...step, type: "Submit", orderId: `order-${number}` };
    case "withdraw":
      return { type: "Withdraw", orderId: `order-${step.which}` };
    case "replace": {
      const orderId = `order-${step.which}`;
      const limit = step.limit ?? market.limits.get(orderId) ?? 100;
      return { type: "Replace", orderId, limit, more: step.more };
    }
  }
}

/** A market that is watched: what it records is compared with a naive book, what it tells is added up. */
class Watched {
  readonly seen = { trades: 0, replaced: 0, lessened: 0, withdrawn: 0 };
  readonly limits = new Map<string, number>();
  readonly #naive = new NaiveBook();
  /** By order: how much of it was traded, as it has heard, and how much it may trade. */
  readonly #traded = new Map<string, number>();
  readonly #asked = new Map<string, number>();
  /** By trade: how often somebody heard of it. */
  readonly #heard = new Map<string, number>();
  #state = Market.evolve(Market.initial, opened);

  do(command: Market.Command): void {
    const context = { key: KEY, at: AT, ...ann };
    const decision = Market.decide(this.#state, command, context);
    const written = JSON.stringify(Market.snapshot.encode(this.#state));
    const copy = Market.snapshot.decode(JSON.parse(written));
    assert.deepEqual(Market.decide(copy, command, context), decision);
    assert(decision.accepted);
    for (const event of decision.events) {
      this.#follow(event);
      const written = JSON.stringify(event);
      this.#state = Market.evolve(this.#state, Market.Event.parse(JSON.parse(written)));
    }
    for (const { to, command } of decision.messages ?? []) this.#hear(to.key, command as ToOrder);
  }

  #follow(event: Market.Event): void {
    switch (event.type) {
      case "OrderWithdrawn":
        this.seen.withdrawn++;
        return assert.equal(this.#naive.withdraw(event.orderId), event.remaining);
      case "OrderLessened":
        this.seen.lessened++;
        this.#asked.set(event.orderId, this.#asked.get(event.orderId)! - event.by);
        return this.#naive.lessen(event.orderId, event.by);
      case "OrderReplaced":
        this.seen.replaced++;
        this.#naive.withdraw(event.orderId);
        return this.#match(event);
      case "OrderSubmitted":
        return this.#match(event);
    }
  }

  #match(event: Extract<Market.Event, { type: "OrderSubmitted" | "OrderReplaced" }>): void {
    const { orderId, trades, remaining, rest } = event;
    assert.deepEqual(this.#naive.submit({ ...event, id: orderId }), { trades, remaining, rest });
    this.#asked.set(orderId, (this.#traded.get(orderId) ?? 0) + event.quantity);
    this.limits.set(orderId, event.limit);
    this.seen.trades += trades.length;
  }

  #hear(orderId: string, told: ToOrder): void {
    const executions = told.type === "Executed"
      ? [told.execution]
      : "executions" in told
      ? told.executions
      : [];
    for (const { tradeId, quantity } of executions) {
      this.#traded.set(orderId, (this.#traded.get(orderId) ?? 0) + quantity);
      this.#heard.set(tradeId, (this.#heard.get(tradeId) ?? 0) + 1);
    }
  }

  conclude(): void {
    for (const [orderId, quantity] of this.#traded) {
      assert(quantity <= this.#asked.get(orderId)!, `${orderId} has traded ${quantity}`);
    }
    assert.deepEqual([...this.#heard.values()].filter((times) => times !== 2), []);
    assert.equal(this.#heard.size, this.seen.trades);
  }
}

Deno.test("whatever comes, a market does what a naive one does, and so does its snapshot", () => {
  const seen = { trades: 0, replaced: 0, lessened: 0, withdrawn: 0 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 40, size: "max" }), (steps) => {
      const market = new Watched();
      for (const [number, step] of steps.entries()) market.do(commandOf(step, number, market));
      market.conclude();
      for (const what of Object.keys(seen) as (keyof typeof seen)[]) {
        seen[what] += market.seen[what];
      }
    }),
    { numRuns: 2_000 },
  );
  for (const [what, times] of Object.entries(seen)) assert(times > 50, `${what}: ${times}`);
});

Deno.test("a snapshot in which an order occurs twice is none", () => {
  const { state } = given(Market, [opened, ...resting(order("a"))]);
  const encoded = structuredClone(Market.snapshot.encode(state)) as unknown[];
  const bids = encoded[4] as unknown[];
  bids.push(bids[0]);
  assert.throws(() => Market.snapshot.decode(encoded), /occurs twice/);
  assert.deepEqual(Market.snapshot.decode(Market.snapshot.encode(Market.initial)), Market.initial);
});
