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
  const untilMidnight = 12 * 3_600_000;
  given(Order, []).when({ type: "Place", ...plan }, ann).thenTelling(
    [
      toRisk({ ...check, limit: 10, remaining: 10, needs: "100" }),
      to("order", KEY)({ type: "Expire" }, untilMidnight),
    ],
    placed,
  );
  given(Order, [placed]).when({ type: "Place", ...plan }, ann).thenRejected("already-exists");
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
    toRisk({ type: "Traded", ...trade, side: "buy" }),
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
      toRisk({ type: "Traded", ...trade, side: "buy" }),
      close,
    ],
    { ...execution, type: "OrderExecuted" },
    { type: "OrderFilled" },
  );
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
  const requested: Order.Event = {
    type: "ReplaceRequested",
    limit: 10,
    quantity: 12,
    needs: "20",
  };
  const replace = { type: "Replace", quantity: 13 } as const;
  given(Order, [placed]).when(replace, ann).thenRejected("not-working");
  given(Order, [...working, requested]).when(replace, ann).thenRejected("being-replaced");
  const cancelled: Order.Event = { type: "OrderCancelled", because: "asked", remaining: 10 };
  given(Order, [...working, cancelled]).when(replace, ann).thenRejected("ended");
  given(Order, [...working, cancelled]).when({ type: "Cancel" }, ann).thenRejected("ended");
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
