import assert from "node:assert/strict";
import * as Order from "../../actors/order/aggregate.ts";
import type { ToAccount, ToMarket, ToPortfolio, ToRisk } from "../../actors/trading.ts";
import { AT, given, KEY } from "../support/given.ts";

const ann = { principal: { id: "ann", roles: ["trader"] } };
const ben = { principal: { id: "ben", roles: ["trader"] } };

const plan = {
  symbol: "ACME",
  side: "buy",
  orderType: "limit",
  limit: 10,
  quantity: 10,
  timeInForce: "day",
} as const;
const placed: Order.Event = {
  ...plan,
  type: "OrderPlaced",
  accountId: "ann",
  placedAt: new Date(AT).toISOString(),
};
const reserved: Order.Event = { type: "OrderReserved", amount: "100" };
const working: Order.Event[] = [placed, reserved, { type: "OrderRested" }];
const executed = (quantity: number, price = 10): Order.Event => {
  return { type: "OrderExecuted", tradeId: "ACME:1", price, quantity };
};

const to = (kind: string, key: string) => (command: unknown, delayMs?: number) => {
  return { to: { kind, key }, schema: 1, command, ...(delayMs !== undefined && { delayMs }) };
};
const toRisk = (command: ToRisk) => to("risk", "ann")(command);
const toMarket = (command: ToMarket) => to("market", "ACME")(command);
const toAccount = (command: ToAccount) => to("account", "ann")(command);
const toPortfolio = (command: ToPortfolio) => to("portfolio", "ann")(command);
const check = { type: "Check", orderId: KEY, symbol: "ACME", side: "buy" } as const;
const close = toRisk({ type: "Close", orderId: KEY });

Deno.test("an order is checked first, and a day order ends with its day", () => {
  given(Order, []).when({ type: "Place", ...plan }, ann).thenTelling(
    [toRisk({ ...check, limit: 10, remaining: 10, needs: "100" })],
    placed,
  );
  given(Order, [placed]).when({ type: "Place", ...plan }, ann).thenRejected("already-exists");
});

Deno.test("whoever is not to place an order is refused, unless it has been placed", () => {
  const refuse = { type: "Refuse", reason: "market-paused" } as const;
  given(Order, []).when(refuse, ann).thenRejected("market-paused");
  given(Order, [placed]).when(refuse, ann).thenRejected("already-exists");
});

Deno.test("an order is that of who placed it", () => {
  for (const command of [{ type: "Cancel" }, { type: "Replace", limit: 9 }] as const) {
    given(Order, working).when(command, ben).thenRejected("not-found");
    given(Order, []).when(command, ann).thenRejected("not-found");
  }
});

Deno.test("what it needs being kept, an order goes to its market", () => {
  const { symbol: _, orderType: __, ...order } = plan;
  const submission = { type: "Submit", orderId: KEY, accountId: "ann", ...order } as const;
  given(Order, [placed]).when({ type: "Reserved" }).thenTelling([toMarket(submission)], reserved);
});

Deno.test("an order that waits is given up when the day is over on which it was placed", () => {
  const submitted = { type: "Submitted", executions: [], rest: "rests" } as const;
  const hour = 3_600_000;
  const { when } = given(Order, [placed, reserved]);
  // If it is over by then, at once.
  for (const [at, delayMs] of [[AT + hour, 11 * hour], [AT + 13 * hour, undefined]] as const) {
    const expiry = to("order", KEY)({ type: "Expire" }, delayMs);
    when(submitted, { at }).thenTelling([expiry], { type: "OrderRested" });
  }
});

Deno.test("an order that was cancelled on the way does not come to its market", () => {
  const cancelling: Order.Event = { type: "CancelRequested", because: "asked" };
  given(Order, [placed]).when({ type: "Cancel" }, ann).then(cancelling);
  given(Order, [placed, cancelling]).when({ type: "Cancel" }, ann).then();
  given(Order, [placed, cancelling]).when({ type: "Reserved" }).thenTelling(
    [close, toAccount({ type: "Release", orderId: KEY, amount: "100" })],
    reserved,
    { type: "OrderCancelled", because: "asked", remaining: 10 },
    { type: "ExcessReleased", amount: "100" },
  );
});

Deno.test("what was bought cheaper than it might have been is paid as it was, and frees the rest", () => {
  const execution = { tradeId: "ACME:1", price: 8, quantity: 4 };
  const trade = { orderId: KEY, ...execution, symbol: "ACME" } as const;
  given(Order, working).when({ type: "Executed", execution }).thenTelling([
    toAccount({ type: "Pay", orderId: KEY, tradeId: "ACME:1", cost: "32", released: "40" }),
    toPortfolio({ type: "Take", ...trade }),
    toRisk({ type: "Traded", ...trade, side: "buy", open: "60" }),
  ], executed(4, 8));
  assert.equal(given(Order, [...working, executed(4, 8)]).state.kept, 60n);
});

Deno.test("the last execution fills an order, and it is closed", () => {
  const { when } = given(Order, [...working, executed(9)]);
  const execution = { tradeId: "ACME:2", price: 10, quantity: 1 };
  const trade = { orderId: KEY, ...execution, symbol: "ACME" } as const;
  when({ type: "Executed", execution }).thenTelling(
    [
      toAccount({ type: "Pay", orderId: KEY, tradeId: "ACME:2", cost: "10", released: "10" }),
      toPortfolio({ type: "Take", ...trade }),
      toRisk({ type: "Traded", ...trade, side: "buy", open: "0" }),
      close,
    ],
    { ...execution, type: "OrderExecuted" },
    { type: "OrderFilled" },
  );
});

const sale: Order.Event[] = working.map((event) =>
  event.type === "OrderPlaced"
    ? { ...event, side: "sell" }
    : event.type === "OrderReserved"
    ? { ...event, amount: "10" }
    : event
);
const requested = (limit: number, quantity: number, needs: string): Order.Event => {
  return { type: "ReplaceRequested", limit, quantity, needs };
};
const stands = (open: string) => toRisk({ type: "Stands", orderId: KEY, open });

Deno.test("what would trade sooner, or cost more, is checked though nothing more has to be kept", () => {
  const sells = { ...check, side: "sell" } as const;
  const cases: readonly [Order.Event[], { limit: number; quantity: number }, object, string][] = [
    [sale, { limit: 9, quantity: 10 }, sells, "0"],
    [sale, { limit: 9, quantity: 4 }, sells, "-6"],
    [sale, { limit: 90, quantity: 10 }, sells, "0"],
    [working, { limit: 11, quantity: 5 }, check, "-45"],
  ];
  for (const [history, { limit, quantity }, checked, needs] of cases) {
    given(Order, history).when({ type: "Replace", limit, quantity }, ann).thenTelling(
      [to("risk", "ann")({ ...checked, limit, remaining: quantity, needs: "0" })],
      requested(limit, quantity, needs),
    );
    given(Order, [...history, requested(limit, quantity, needs)]).when({ type: "Reserved" })
      .thenTelling(
        [toMarket({ type: "Replace", orderId: KEY, limit, more: quantity - 10 })],
        { type: "OrderReserved", amount: "0" },
      );
  }
  given(Order, sale).when({ type: "Replace", quantity: 4 }, ann).thenTelling(
    [toMarket({ type: "Replace", orderId: KEY, limit: 10, more: -6 })],
    requested(10, 4, "-6"),
  );
  given(Order, working).when({ type: "Replace", limit: 9 }, ann).thenTelling(
    [toMarket({ type: "Replace", orderId: KEY, limit: 9, more: 0 })],
    requested(9, 10, "0"),
  );
});

Deno.test("risk hears what can still be spent, once it is known what the order has become", () => {
  const cheaper: Order.Event[] = [...working, requested(1, 10, "0")];
  const replaced = { type: "Replaced", limit: 1, remaining: 10, executions: [] } as const;
  given(Order, cheaper).when({ ...replaced, rest: "rests" }).thenTelling(
    [stands("10"), toAccount({ type: "Release", orderId: KEY, amount: "90" })],
    { type: "OrderReplaced", limit: 1, quantity: 10 },
    { type: "ExcessReleased", amount: "90" },
  );
  const reason = "insufficient-cash";
  const dearer: Order.Event[] = [...working, requested(10, 1_000, "9900")];
  given(Order, dearer).when({ type: "NotReserved", reason }).thenTelling(
    [stands("100")],
    { type: "ReplaceRejected", reason },
  );
  given(Order, [...sale, requested(9, 10, "0")]).when({ type: "NotReplaced" }).then(
    { type: "ReplaceRejected", reason: "not-resting" },
  );
  // Meanwhile it trades as it was, and is to be another: the most counts.
  const execution = { tradeId: "ACME:1", price: 10, quantity: 4 };
  for (const [history, open] of [[cheaper, "60"], [dearer, "9960"]] as const) {
    const context = { key: KEY, at: AT, principal: { id: "system", roles: [] } };
    const decision = Order.decide(
      given(Order, history).state,
      { type: "Executed", execution },
      context,
    );
    const told = decision.accepted && decision.messages?.find(({ to }) => to.kind === "risk");
    const trade = { orderId: KEY, ...execution, symbol: "ACME" };
    assert.deepEqual(told, to("risk", "ann")({ type: "Traded", ...trade, side: "buy", open }));
  }
});

Deno.test("a larger order is checked anew; a smaller one goes to its market at once", () => {
  const { when } = given(Order, working);
  when({ type: "Replace", quantity: 12 }, ann).thenTelling(
    [toRisk({ ...check, limit: 10, remaining: 12, needs: "20" })],
    { type: "ReplaceRequested", limit: 10, quantity: 12, needs: "20" },
  );
  when({ type: "Replace", quantity: 7 }, ann).thenTelling(
    [toMarket({ type: "Replace", orderId: KEY, limit: 10, more: -3 })],
    { type: "ReplaceRequested", limit: 10, quantity: 7, needs: "-30" },
  );
  when({ type: "Replace", quantity: 10, limit: 10 }, ann).then();
  given(Order, [...working, executed(4)]).when({ type: "Replace", quantity: 4 }, ann)
    .thenRejected("quantity-below-filled");
});

Deno.test("while it can still trade at the limit that it has, that is what has to be kept for", () => {
  // 20 at 5 cost as much as 10 at 10; but what is traded before its market knows costs 10 each.
  given(Order, working).when({ type: "Replace", limit: 5, quantity: 20 }, ann).thenTelling(
    [toRisk({ ...check, limit: 5, remaining: 20, needs: "100" })],
    { type: "ReplaceRequested", limit: 5, quantity: 20, needs: "100" },
  );
});

Deno.test("only an order that works is replaced, and once at a time", () => {
  const replace = { type: "Replace", quantity: 13 } as const;
  given(Order, [placed]).when(replace, ann).thenRejected("not-working");
  given(Order, [...working, requested(10, 12, "20")]).when(replace, ann).thenRejected(
    "being-replaced",
  );
  const cancelled: Order.Event = { type: "OrderCancelled", because: "asked", remaining: 10 };
  given(Order, [...working, cancelled]).when(replace, ann).thenRejected("ended");
  given(Order, [...working, cancelled]).when({ type: "Cancel" }, ann).thenRejected("ended");
});

Deno.test("what would be refused elsewhere the order refuses itself, but what its own rules do first", () => {
  const replace = { type: "Replace", quantity: 13, refused: "market-paused" } as const;
  given(Order, working).when(replace, ann).thenRejected("market-paused");
  given(Order, working).when(replace, ben).thenRejected("not-found");
  given(Order, [placed]).when(replace, ann).thenRejected("not-working");
  given(Order, working).when({ ...replace, quantity: 10 }, ann).then();
});

Deno.test("an order remembers why it stayed as it was, until something else is asked of it", () => {
  const requested: Order.Event = { type: "ReplaceRequested", limit: 9, quantity: 10, needs: "0" };
  const stayed: Order.Event = { type: "ReplaceRejected", reason: "not-resting" };
  const { when } = given(Order, [...working, requested]);
  when({ type: "NotReplaced" }).thenTelling([stands("100")], stayed);
  const reasonAfter = (...events: Order.Event[]) =>
    given(Order, [...working, ...events]).state.notReplaced;
  assert.equal(reasonAfter(requested), undefined);
  assert.equal(reasonAfter(requested, stayed), "not-resting");
  assert.equal(reasonAfter(requested, stayed, requested), undefined);
});

Deno.test("what is kept for an order that has ended meanwhile is given back", () => {
  const history: Order.Event[] = [
    ...working,
    { type: "ReplaceRequested", limit: 10, quantity: 12, needs: "20" },
    { type: "CancelRequested", because: "asked" },
    { type: "OrderCancelled", because: "asked", remaining: 10 },
    { type: "ExcessReleased", amount: "100" },
  ];
  given(Order, history).when({ type: "Reserved" }).thenTelling(
    [toAccount({ type: "Release", orderId: KEY, amount: "20" })],
    { type: "OrderReserved", amount: "20" },
    { type: "ExcessReleased", amount: "20" },
  );
  given(Order, history).when({ type: "NotReplaced" }).then();
});
