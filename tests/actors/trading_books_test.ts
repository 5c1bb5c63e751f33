/** That the books notice what they are for: a short day of trading, with one thing wrong in it. */
import assert from "node:assert/strict";
import { type Rule, TradingBooks } from "../support/trading_books.ts";
import { TradingFloor } from "../support/trading_floor.ts";

type Recorded = TradingFloor["recorded"][number];

/**
 * Ben and cas sell 5 each at 10, ann buys 7 of them with a limit of 11 and waits for 3 more at 8, and
 * cas has 3 left.
 */
function day(): readonly Recorded[] {
  const floor = new TradingFloor();
  const ask = (kind: string, key: string, command: unknown, as?: string) =>
    assert.equal(floor.ask(kind, key, command, as), undefined);
  const place = (person: string, side: string, limit: number, quantity: number) => {
    const order = { symbol: "ACME", side, limit, quantity, orderType: "limit" };
    ask("order", `${person}-${side}-${limit}`, {
      ...order,
      type: "Place",
      timeInForce: "day",
    }, person);
    floor.settle();
  };
  ask("market", "ACME", { type: "Quote", price: 10, volume: 0, quotedAt: "2030-01-01T12:00:00Z" });
  ask("account", "ann", { type: "Deposit", amount: 200n });
  for (const person of ["ben", "cas"]) {
    ask("portfolio", person, { type: "Deposit", symbol: "ACME", quantity: 9, price: 9 });
  }
  place("ben", "sell", 10, 5);
  place("cas", "sell", 10, 5);
  place("ann", "buy", 11, 7);
  place("ann", "buy", 8, 3);
  ask("account", "ben", { type: "Withdraw", amount: 50n });
  return floor.recorded;
}

/** What the books say of it, first of what holds after every event, then of what holds at rest. */
function found(recorded: readonly Recorded[]): readonly string[] {
  const books = new TradingBooks();
  const versions = new Map<string, number>();
  for (const { kind, key, event } of recorded) {
    const address = `${kind}/${key}`;
    const version = (versions.get(address) ?? 0) + 1;
    versions.set(address, version);
    books.record({ kind, key, version, data: event });
  }
  const says = ({ rule, what }: { readonly rule: Rule; readonly what: string }) =>
    `${rule}: ${what}`;
  const atRest = books.atRest();
  return [...books.breaches.map(says), ...atRest.map((breach) => `at rest, ${says(breach)}`)];
}

interface Where {
  readonly kind: string;
  readonly key?: string;
  readonly type: string;
}

type Doctored = (event: Recorded["event"]) => readonly Recorded["event"][];

/** With something else in place of the first event that fits. */
function doctored({ kind, key, type }: Where, change: Doctored): readonly Recorded[] {
  const recorded = day();
  const at = recorded.findIndex((each) =>
    each.kind === kind && each.key === (key ?? each.key) && each.event.type === type
  );
  const of = recorded[at];
  assert(of, `${type} is recorded`);
  return recorded.toSpliced(at, 1, ...change(of.event).map((event) => ({ ...of, event })));
}

const missing: Doctored = () => [];
const twice: Doctored = (event) => [event, event];
const saying =
  (changes: Record<string, unknown>): Doctored => (event) => [{ ...event, ...changes }];
const followedBy = (...events: Recorded["event"][]): Doctored => (event) => [event, ...events];

Deno.test("of a day on which nothing goes wrong the books say nothing", () => {
  assert.deepEqual(found(day()), []);
});

Deno.test("each thing that can be wrong with a day is found, as what it is", async (t) => {
  const annPays = { kind: "account", type: "PurchasePaid" };
  const benGets = { kind: "account", key: "ben", type: "SaleReceived" };
  const firstOrder = { kind: "market", type: "OrderSubmitted" };
  const cases: readonly (readonly [says: string, Where, Doctored])[] = [
    [
      "reservations: ben keeps 0 of -10",
      { kind: "account", key: "ben", type: "Withdrawn" },
      saying({ amount: "60" }),
    ],
    [
      "reservations: ann keeps 77 of 50",
      { kind: "account", key: "ann", type: "CashReserved" },
      followedBy({ type: "Withdrawn", amount: "150" }),
    ],
    [
      "reservations: cas keeps 5 of 4 ACME",
      { kind: "portfolio", key: "cas", type: "SharesReserved" },
      followedBy({ type: "SharesWithdrawn", symbol: "ACME", quantity: 5 }),
    ],
    [
      "reservations: ann keeps 0 for ann-buy-11, which counts on 77",
      { kind: "account", key: "ann", type: "CashReserved" },
      missing,
    ],
    [
      "reservations: ann pays 50 for ann-buy-11 and releases 78 of 77",
      annPays,
      saying({ released: "78" }),
    ],
    [
      "reservations: ann pays 50 for ann-buy-11 and releases 49 of 77",
      annPays,
      saying({ released: "49" }),
    ],
    [
      "reservations: ben delivers 5 for ben-sell-10 out of 0",
      { kind: "portfolio", key: "ben", type: "SharesSold" },
      (sold) => [{ ...sold, type: "SharesReleased" }, sold],
    ],
    [
      "reservations: ann-buy-11 needs 77, and counts on 7",
      { kind: "order", key: "ann-buy-11", type: "OrderReserved" },
      (reserved) => [{ ...reserved, amount: "7" }, { type: "OrderRested" }],
    ],
    [
      "reservations: cas-sell-10 has ended, and counts on 3",
      { kind: "order", key: "cas-sell-10", type: "OrderExecuted" },
      followedBy({ type: "OrderCancelled", because: "asked", remaining: 3 }),
    ],
    [
      "at rest, reservations: for cas-sell-10 4 is kept, it counts on 3, and needs 3",
      { kind: "portfolio", key: "cas", type: "SharesReserved" },
      saying({ quantity: 6 }),
    ],
    [
      "at rest, reservations: 9 is kept for nobody, which is no order",
      { kind: "account", key: "ann", type: "Deposited" },
      followedBy({ type: "CashReserved", orderId: "nobody", amount: "9" }),
    ],
    [
      "conservation: SaleReceived of ACME:9 is of no trade that a market has recorded",
      benGets,
      saying({ tradeId: "ACME:9" }),
    ],
    ["conservation: SaleReceived of the seller of ACME:1 is there twice", benGets, twice],
    [
      'conservation: SaleReceived of the seller of ACME:1 says {"orderId":"ben-sell-10","accountId":"ben","amount":"51"}',
      benGets,
      saying({ proceeds: "51" }),
    ],
    [
      "at rest, conservation: SharesSold of the seller of ACME:1 is missing",
      { kind: "portfolio", key: "ben", type: "SharesSold" },
      missing,
    ],
    [
      "at rest, conservation: PurchasePaid of the buyer of ACME:1 is missing",
      annPays,
      missing,
    ],
    [
      "executions: OrderExecuted of the seller of ACME:1 is there twice",
      { kind: "order", key: "ben-sell-10", type: "OrderExecuted" },
      twice,
    ],
    [
      "executions: ben-sell-10 has traded 1 too many",
      { kind: "order", key: "ben-sell-10", type: "OrderExecuted" },
      saying({ quantity: 6 }),
    ],
    [
      "executions: OrderRested of ann-buy-11 comes after its end",
      { kind: "order", key: "ann-buy-11", type: "OrderFilled" },
      followedBy({ type: "OrderRested" }),
    ],
    [
      "executions: ben-sell-10 comes to ACME as another than it is",
      firstOrder,
      saying({ limit: 9 }),
    ],
    [
      "at rest, executions: ann-buy-8 is pending",
      { kind: "order", key: "ann-buy-8", type: "OrderRested" },
      missing,
    ],
    [
      "at rest, executions: ann-buy-11 is filled, and open at risk: true",
      { kind: "risk", key: "ann", type: "OrderClosed" },
      missing,
    ],
    [
      "at rest, executions: ann can still spend 24, and 30 is open at risk",
      { kind: "risk", key: "ann", type: "OrderClosed" },
      followedBy({ type: "OrderApproved", orderId: "ann-buy-8", side: "buy", cost: "30" }),
    ],
    [
      "at rest, conservation: ben has 4 of ACME, and 5 at risk",
      { kind: "risk", key: "ben", type: "SharesTransferred" },
      saying({ quantity: 10 }),
    ],
    ["priority: at ACME ben-sell-10 was submitted twice", firstOrder, twice],
    [
      "priority: at ACME ben-sell-10 was taken while the market was paused",
      { kind: "market", type: "PriceQuoted" },
      followedBy({ type: "TradingPaused" }),
    ],
    [
      "priority: at ACME ben-sell-10 has become larger and kept its place",
      firstOrder,
      followedBy({ type: "OrderLessened", orderId: "ben-sell-10", by: -1 }),
    ],
    [
      "priority: at ACME ben-sell-10 was withdrawn with 4, and not with 5",
      firstOrder,
      followedBy({ type: "OrderWithdrawn", orderId: "ben-sell-10", remaining: 4 }),
    ],
  ];
  for (const [says, where, change] of cases) {
    await t.step(says, () => {
      const all = found(doctored(where, change));
      assert(all.includes(says), all.join("\n"));
    });
  }
  await t.step("priority: who came later trades first", () => {
    const recorded = day().map((each) => {
      const { trades } = each.event;
      if (trades === undefined) return each;
      return { ...each, event: { ...each.event, trades: (trades as unknown[]).toReversed() } };
    });
    const [first] = found(recorded);
    assert.match(first!, /^priority: at ACME ann-buy-11 led to .*"cas-sell-10".*, not to .*ben/);
  });
});

Deno.test("a gap between the versions of one actor is found", () => {
  const books = new TradingBooks();
  const data = { type: "Deposited", amount: "5" };
  books.record({ kind: "account", key: "ann", version: 1, data });
  books.record({ kind: "account", key: "ann", version: 3, data });
  const what = "account/ann has version 3 where 2 belongs";
  assert.deepEqual(books.breaches, [{ rule: "conservation", what }]);
});
