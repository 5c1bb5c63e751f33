/** What a market does not get done in one turn. */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as Market from "../../actors/market/aggregate.ts";
import { OWN_ALERTS_MAX, TRIGGERED_MAX } from "../../actors/market/alerts.ts";
import type { EventOf } from "../../actors/market/events.ts";
import { WAITING_MAX } from "../../actors/market/going_on.ts";
import { TRADES_MAX } from "../../actors/market/matching.ts";
import { type Side, timesInForce, type ToMarket, type ToOrder } from "../../actors/trading.ts";
import type * as Order from "../../actors/order/aggregate.ts";
import type { Message } from "../../lib/runtime/aggregate.ts";
import { AT, KEY } from "../support/given.ts";
import { ReplayedMarket } from "../support/replayed_market.ts";
import { assertSettled, assertSound, TradingFloor } from "../support/trading_floor.ts";

type Submit = Extract<ToMarket, { readonly type: "Submit" }>;

const quotedAt = new Date(AT).toISOString();
const quote = (price: number, volume = 0) => ({ type: "Quote", price, volume, quotedAt }) as const;

function order(orderId: string, differing: Partial<Submit> = {}): Submit {
  const usual = {
    accountId: "ann",
    side: "buy",
    limit: 100,
    quantity: 1,
    timeInForce: "day",
  } as const;
  return { ...usual, ...differing, type: "Submit", orderId };
}

/** A market whose messages to itself are brought when the test says so. */
class Begun {
  readonly events: Market.Event[] = [];
  readonly told: ToOrder[] = [];
  readonly #heard = new Map<string, number>();
  readonly #replayed = new ReplayedMarket();
  state = Market.initial;
  goOns = 0;

  constructor() {
    this.do(quote(100));
  }

  do(command: Market.Command, as = "ann"): readonly Market.Event[] {
    const context = { key: KEY, at: AT, principal: { id: as, roles: [] } };
    const decision = Market.decide(this.state, command, context);
    assert(decision.accepted, JSON.stringify(decision));
    const { events, messages = [] } = decision;
    assert(events.length + messages.length <= 4 * TRADES_MAX, "a turn is bounded");
    for (const event of events) {
      this.events.push(event);
      assert.equal(this.#replayed.play(event), undefined);
      const read = Market.Event.parse(JSON.parse(JSON.stringify(event)));
      this.state = Market.evolve(this.state, read);
    }
    for (const message of messages) this.#hear(message);
    const { unfinished, waiting, alerts } = this.state;
    const hasMore = unfinished !== undefined || waiting !== undefined || alerts.due !== undefined;
    assert.equal(this.goOns, hasMore ? 1 : 0, "it tells itself once while there is more to do");
    return events;
  }

  /** One turn; says whether there was one to take. */
  goOn(): boolean {
    if (this.goOns === 0) return false;
    this.goOns--;
    this.do(Market.Command.parse({ type: "GoOn" }));
    return true;
  }

  /** Brings all that it tells itself; then it is as if everything had been done at once. */
  conclude(): void {
    while (this.goOn());
    assert.equal(this.#replayed.differenceFrom(this.state), undefined);
    const trades = this.trades().length;
    assert.deepEqual([...this.#heard.values()].filter((times) => times !== 2), []);
    assert.equal(this.#heard.size, trades);
    assert.equal(this.state.nextTrade, trades + 1);
  }

  trades() {
    return this.events.flatMap((event) => "trades" in event ? event.trades : []);
  }

  copied(): void {
    const written = JSON.stringify(Market.snapshot.encode(this.state));
    this.state = Market.snapshot.decode(JSON.parse(written));
  }

  #hear({ to, command }: Message): void {
    if (to.kind === Market.kind) {
      assert.deepEqual(command, { type: "GoOn" });
      this.goOns++;
      return;
    }
    const told = command as ToOrder;
    this.told.push(told);
    const executions = told.type === "Executed"
      ? [told.execution]
      : "executions" in told
      ? told.executions
      : [];
    for (const { tradeId } of executions) {
      this.#heard.set(tradeId, (this.#heard.get(tradeId) ?? 0) + 1);
    }
  }
}

/** So many sell one each, by turns of two accounts. */
function crowded(count: number): Begun {
  const market = new Begun();
  for (let number = 0; number < count; number++) {
    market.do(
      order(`ask-${number}`, { accountId: number % 2 === 0 ? "ben" : "cas", side: "sell" }),
    );
  }
  return market;
}

const kinds = (events: readonly Market.Event[]) =>
  events.map((event) => "rest" in event ? `${event.type} ${event.rest}` : event.type);

Deno.test("an order trades with so many at a time, and is told of all of it", () => {
  const market = crowded(2 * TRADES_MAX + 1);
  market.told.length = 0;
  const [first] = market.do(order("large", { quantity: 2 * TRADES_MAX + 3 }));
  assert(first?.type === "OrderSubmitted");
  assert.deepEqual([first.trades.length, first.remaining], [TRADES_MAX, TRADES_MAX + 3]);
  market.conclude();
  const parts = market.events.slice(-3) as EventOf<"OrderSubmitted">[];
  assert.deepEqual(kinds(parts), [
    "OrderSubmitted goes-on",
    "OrderSubmitted goes-on",
    "OrderSubmitted rests",
  ]);
  assert.deepEqual(parts.map(({ quantity }) => quantity), [
    2 * TRADES_MAX + 3,
    TRADES_MAX + 3,
    3,
  ]);
  const answers = market.told.flatMap((told) => told.type === "Submitted" ? [told] : []);
  assert.deepEqual(answers.map(({ executions, rest }) => [executions.length, rest]), [
    [TRADES_MAX, "goes-on"],
    [TRADES_MAX, "goes-on"],
    [1, "rests"],
  ]);
});

Deno.test("whoever comes in between waits, and comes after it in order", () => {
  const market = crowded(2 * TRADES_MAX);
  market.do(order("large", { quantity: 2 * TRADES_MAX }));
  market.do(order("cheaper", { accountId: "dee", side: "sell", limit: 90 }));
  market.do(order("rival", { accountId: "eve", limit: 110 }));
  market.do({ type: "Withdraw", orderId: `ask-${2 * TRADES_MAX - 1}` });
  assert.deepEqual(kinds(market.events.slice(-3)), ["Postponed", "Postponed", "Postponed"]);
  market.conclude();
  assert.equal(market.trades().length, 2 * TRADES_MAX + 1, "it came too late to be withdrawn");
  assert.deepEqual(market.trades().at(-1), {
    orderId: "cheaper",
    accountId: "dee",
    price: 90,
    quantity: 1,
  });
  assert.equal(market.state.book.orders.size, 0);
});

Deno.test("fill-or-kill is decided over the whole, before any of it", () => {
  const market = crowded(2 * TRADES_MAX);
  const all = { timeInForce: "fill-or-kill", quantity: 2 * TRADES_MAX } as const;
  const killed = market.do(order("too-large", { ...all, quantity: 2 * TRADES_MAX + 1 }));
  assert.deepEqual(kinds(killed), ["OrderSubmitted nobody-to-trade-with"]);
  assert.equal(market.trades().length, 0);
  market.do(order("all", all));
  market.do({ type: "Withdraw", orderId: `ask-${2 * TRADES_MAX - 1}` });
  market.conclude();
  assert.equal(market.trades().length, 2 * TRADES_MAX);
});

Deno.test("a pause in between keeps out those who wait, and not the one that was taken", () => {
  const market = crowded(TRADES_MAX + 1);
  market.do(order("large", { quantity: TRADES_MAX + 2 }));
  market.do(order("next"));
  market.do({ type: "Withdraw", orderId: "large" });
  assert.deepEqual(kinds(market.do({ type: "Pause" })), ["TradingPaused"]);
  const before = market.events.length;
  market.conclude();
  assert.deepEqual(kinds(market.events.slice(before)), [
    "OrderSubmitted rests",
    "TakenUp",
    "OrderTurnedAway",
    "TakenUp",
    "OrderWithdrawn",
  ]);
});

Deno.test("while too many wait, orders are turned away, and nothing else is", () => {
  const market = crowded(TRADES_MAX + 1);
  market.do(order("large", { quantity: TRADES_MAX + 1 }));
  const postponed = Array.from({ length: WAITING_MAX }, (_, number): Market.Event => {
    return { type: "Postponed", command: order(`waits-${number}`) };
  });
  const state = postponed.reduce(Market.evolve, market.state);
  const context = { key: KEY, at: AT, principal: { id: "ann", roles: [] } };
  const decided = (command: Market.Command) => {
    const decision = Market.decide(state, command, context);
    assert(decision.accepted);
    return kinds(decision.events);
  };
  assert.deepEqual(decided(order("late")), ["OrderTurnedAway"]);
  assert.deepEqual(decided({ type: "Withdraw", orderId: "ask-0" }), ["Postponed"]);
});

const arrival = fc.record({
  is: fc.constant("submit" as const),
  accountId: fc.constantFrom("ann", "ben", "cas"),
  side: fc.constantFrom<Side>("buy", "buy", "sell"),
  limit: fc.integer({ min: 99, max: 101 }),
  quantity: fc.constantFrom(1, 2, TRADES_MAX, TRADES_MAX + 1, 3 * TRADES_MAX),
  timeInForce: fc.constantFrom("day", ...timesInForce),
});
const step = fc.oneof(
  { weight: 8, arbitrary: arrival },
  { weight: 8, arbitrary: fc.record({ is: fc.constant("go on" as const) }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant("withdraw" as const), which: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant("replace" as const),
      which: fc.nat(),
      more: fc.integer({ min: -1, max: 3 * TRADES_MAX }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constantFrom("pause" as const, "copy" as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer Step> ? Step : never;

function take(
  market: Begun,
  step: Step,
  number: number,
) {
  const { book, status } = market.state;
  const someOrder = (which: number, sides: readonly Side[] = ["buy", "sell"]) => {
    const all = book.orders.values().filter(({ side }) => sides.includes(side));
    return all[which % Math.max(1, all.length)]?.id ?? "none";
  };
  switch (step.is) {
    case "submit": {
      const { is: _, ...differing } = step;
      return market.do(order(`order-${number}`, differing));
    }
    case "go on":
      return market.goOn();
    case "withdraw":
      return market.do({ type: "Withdraw", orderId: someOrder(step.which) });
    case "replace": {
      const { which, more } = step;
      return market.do({ type: "Replace", orderId: someOrder(which, ["buy"]), limit: 101, more });
    }
    case "pause":
      return market.do({ type: status === "open" ? "Pause" : "Resume" });
    case "copy":
      return market.copied();
  }
}

Deno.test("whatever comes in between, very many are traded with as if at once", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.integer({ min: TRADES_MAX, max: 3 * TRADES_MAX }),
      fc.array(step, { minLength: 8, maxLength: 16, size: "max" }),
      (count, steps) => {
        const market = crowded(count);
        for (const accountId of ["dee", "eve"]) {
          market.do(order(accountId, { accountId, limit: 98 }));
        }
        const before = market.events.length;
        steps.forEach((step, number) => take(market, step, number));
        market.conclude();
        for (const kind of kinds(market.events.slice(before))) {
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
      },
    ),
    { numRuns: 30 },
  );
  for (const what of ["OrderSubmitted goes-on", "OrderReplaced goes-on", "Postponed", "TakenUp"]) {
    assert((seen.get(what) ?? 0) > 0, `${what} has come up`);
  }
});

Deno.test("who trades with very many has paid, and has the shares, and so have all of them", () => {
  const floor = new TradingFloor();
  const ask = (kind: string, key: string, command: unknown, as?: string) =>
    assert.equal(floor.ask(kind, key, command, as), undefined);
  ask("market", "ACME", quote(10));
  const place = (person: string, orderId: string, differing: object) => {
    const order = { symbol: "ACME", limit: 10, orderType: "limit", timeInForce: "day" };
    ask("order", orderId, { ...order, ...differing, type: "Place" }, person);
  };
  const count = TRADES_MAX + 40;
  ask("portfolio", "ben", { type: "Deposit", symbol: "ACME", quantity: count, price: 9 });
  for (let number = 0; number < count; number++) {
    place("ben", `ask-${number}`, { side: "sell", quantity: 1 });
    floor.settle();
  }
  ask("account", "ann", { type: "Deposit", amount: 100_000n });
  place("ann", "bid", { side: "buy", quantity: count + 5 });
  // So many that the market has begun with it, and not ended.
  for (let delivered = 0; delivered < 40; delivered++) floor.deliver(delivered);
  assert(floor.all<Market.State>("market")[0]![1].unfinished !== undefined);
  ask("order", "bid", { type: "Cancel" }, "ann");
  floor.settle();
  assertSound(floor);
  assertSettled(floor);
  const [, bid] = floor.all<Order.State>("order").at(-1)!;
  assert.deepEqual([bid.status, bid.ending, bid.filled], ["cancelled", "asked", count]);
});

Deno.test("of very many alerts all are marked at once, and given in the order in which they were set", () => {
  const market = new Begun();
  const count = 3 * TRIGGERED_MAX + 1;
  for (let number = 0; number < count; number++) {
    const alert = { condition: "price-at-least", value: 200 - number % 7 } as const;
    market.do({ ...alert, type: "SetAlert", alertId: `alert-${-number}` }, `person-${number}`);
  }
  assert.deepEqual(kinds(market.do(quote(200))), ["PriceQuoted", "AlertsMet"]);
  assert.equal(market.state.alerts.byId.size, 0);
  market.copied();
  market.do(quote(150));
  market.conclude();
  const given = market.events.flatMap((event) => event.type === "AlertTriggered" ? [event] : []);
  assert.deepEqual(
    given.map(({ alertId }) => alertId),
    Array.from({ length: count }, (_, number) => {
      return `alert-${-number}`;
    }),
  );
  assert(given.every(({ price }) => price === 200));
  assert.deepEqual(kinds(market.do(quote(200))), ["PriceQuoted"]);
});

Deno.test("the volume that was waited for is that of the whole order", () => {
  const market = crowded(TRADES_MAX + 1);
  const volume = { condition: "volume-at-least", value: TRADES_MAX + 1 } as const;
  market.do({ ...volume, type: "SetAlert", alertId: "volume" });
  market.do(order("large", { quantity: TRADES_MAX + 1 }));
  market.conclude();
  const given = market.events.at(-1);
  assert(given?.type === "AlertTriggered" && given.volume === TRADES_MAX + 1);
});

Deno.test("nobody has more than so many alerts on one market", () => {
  const market = new Begun();
  const alert = { condition: "price-at-most", value: 50 } as const;
  const set = (number: number) => {
    return { ...alert, type: "SetAlert", alertId: `alert-${number}` } as const;
  };
  for (let number = 0; number < OWN_ALERTS_MAX; number++) market.do(set(number));
  const context = { key: KEY, at: AT, principal: { id: "ann", roles: [] } };
  assert.deepEqual(Market.decide(market.state, set(-1), context), {
    accepted: false,
    reason: "too-many-own-alerts",
  });
  market.do(set(-1), "ben");
  market.do({ type: "RemoveAlert", alertId: "alert-5" });
  market.do(set(-2));
});

const waitedFor = fc.record({
  condition: fc.constantFrom(
    "price-at-least" as const,
    "price-at-most" as const,
    "volume-at-least" as const,
  ),
  value: fc.integer({ min: 1, max: 9 }),
});

Deno.test("each price and volume gives just those alerts that it meets, as a search of all finds them", () => {
  const change = fc.oneof(
    { weight: 4, arbitrary: waitedFor.map((alert) => ({ is: "set" as const, ...alert })) },
    { weight: 1, arbitrary: fc.nat(20).map((which) => ({ is: "remove" as const, which })) },
    {
      weight: 2,
      arbitrary: fc.record({
        is: fc.constant("quote" as const),
        price: fc.integer({ min: 1, max: 9 }),
        volume: fc.integer({ min: 0, max: 9 }),
      }),
    },
  );
  let seen = 0;
  fc.assert(fc.property(fc.array(change, { maxLength: 40, size: "max" }), (changes) => {
    const market = new Begun();
    let waiting: { id: string; condition: string; value: number }[] = [];
    changes.forEach((change, number) => {
      if (change.is === "set") {
        const { condition, value } = change;
        waiting.push({ id: `alert-${number}`, condition, value });
        market.do({ type: "SetAlert", alertId: `alert-${number}`, condition, value });
      } else if (change.is === "remove") {
        const [removed] = waiting.splice(change.which % Math.max(1, waiting.length), 1);
        if (removed !== undefined) market.do({ type: "RemoveAlert", alertId: removed.id });
      } else {
        const { price, volume } = change;
        const isMet = ({ condition, value }: typeof waiting[number]) =>
          condition === "price-at-least"
            ? price >= value
            : condition === "price-at-most"
            ? price <= value
            : volume >= value;
        const expected = waiting.filter(isMet).map(({ id }) => id);
        waiting = waiting.filter((alert) => !isMet(alert));
        const given = market.do(quote(price, volume))
          .flatMap((event) => event.type === "AlertTriggered" ? [event.alertId] : []);
        assert.deepEqual(given, expected);
        seen += given.length;
      }
      if (number % 5 === 0) market.copied();
    });
  }));
  assert(seen > 100, `${seen} were given`);
});
