/** What makes a trading session worth to be watched, and repeatable. */
import assert from "node:assert/strict";
import { type Session, sessionOf, type SessionRequest } from "../../bench/trading_session.ts";
import * as Schema from "../../routes/trading_schemas.ts";

const plan = { seed: 7, orders: 2_000, accounts: 50, symbols: ["ACME", "BOLT", "CRUX"] };

function ordersIn({ trading }: Session): SessionRequest[] {
  return trading.filter(({ places }) => places !== undefined);
}

Deno.test("the same seed gives the same session, another seed another", () => {
  const text = (seed: number) => JSON.stringify(sessionOf({ ...plan, seed }));
  // Told apart without showing all that differs.
  assert(text(7) === text(7));
  assert(text(7) !== text(8));
});

Deno.test("orders are placed once each, and what is about one comes after it", () => {
  const session = sessionOf(plan);
  const placed = new Set<number>();
  for (const { places, about } of session.trading) {
    if (places !== undefined) placed.add(places);
    if (about !== undefined) assert(placed.has(about), `order ${about} has been placed before`);
  }
  assert.equal(placed.size, plan.orders);
  assert.equal(ordersIn(session).length, plan.orders);
});

Deno.test("everything that can be asked of an order is asked", () => {
  const session = sessionOf(plan);
  const kinds = ordersIn(session).map(({ body }) =>
    `${body.side} ${body.type} ${body.timeInForce}`
  );
  assert.deepEqual(
    [...new Set(kinds)].toSorted(),
    ["buy", "sell"].flatMap((side) => [
      `${side} limit day`,
      `${side} limit fill-or-kill`,
      `${side} limit immediate-or-cancel`,
      `${side} market fill-or-kill`,
      `${side} market immediate-or-cancel`,
    ]),
  );
  const others = session.trading.filter(({ places }) => places === undefined);
  const asked = [...session.opening.flat(), ...others].map(({ by, method, path }) =>
    `${typeof by === "number" ? "account" : by} ${method} ${path.replace(/[A-Z]{2,}/, ":symbol")}`
  );
  assert.deepEqual([...new Set(asked)].toSorted(), [
    "account DELETE /orders/{order}",
    "account PATCH /orders/{order}",
    "account POST /accounts/deposits",
    "account POST /accounts/withdrawals",
    "account POST /markets/:symbol/alerts",
    "account PUT /risk/limits",
    "admin POST /markets/:symbol/pause",
    "admin POST /markets/:symbol/resume",
    "feed POST /markets/:symbol/prices",
    "feed POST /markets/:symbol/sentiment",
  ]);
});

Deno.test("every request has the shape that the service takes", () => {
  const { opening, trading } = sessionOf(plan);
  for (const { method, path, body } of [...opening.flat(), ...trading]) {
    const shape = method === "PATCH" ? Schema.OrderChanges : shapes[path.split("/").at(-1)!];
    if (shape !== undefined) shape.parse(body);
    else assert.deepEqual([method, body], [path.endsWith("resume") ? "POST" : "DELETE", {}]);
  }
});

const shapes: Readonly<Record<string, { parse(body: unknown): unknown }>> = {
  orders: Schema.NewOrder,
  deposits: Schema.Deposit,
  withdrawals: Schema.Withdrawal,
  prices: Schema.Quotation,
  sentiment: Schema.Sentiment,
  pause: Schema.Pause,
  alerts: Schema.NewAlert,
  limits: Schema.Limits,
};

Deno.test("all that is sold is there, and some can sell all that they have", () => {
  const { opening, trading } = sessionOf(plan);
  const held = new Map<string, number>();
  for (const { by, body } of opening.flat()) {
    if (body.symbol !== undefined) held.set(`${by} ${body.symbol}`, Number(body.quantity));
  }
  const bodies = new Map(trading.map(({ places, body }) => [places, body]));
  const most = new Map<number, number>();
  for (const { places, about, body } of trading) {
    const number = places ?? about;
    if (number === undefined || bodies.get(number)!.side !== "sell") continue;
    most.set(number, Math.max(most.get(number) ?? 0, Number(body.quantity ?? 0)));
  }
  const sellers = new Map(trading.map(({ places, by }) => [places, by]));
  for (const [number, quantity] of most) {
    const key = `${sellers.get(number)} ${bodies.get(number)!.symbol}`;
    // One that could never be filled is refused whole.
    if (quantity < 900_000) held.set(key, held.get(key)! - quantity);
  }
  const left = [...held.values()];
  assert(left.length > 100 && left.every((quantity) => quantity >= 0));
  assert(left.some((quantity) => quantity === 0) && left.some((quantity) => quantity > 0));
});

Deno.test("a request says why it may be refused, and no other reason passes", () => {
  const { opening, trading } = sessionOf(plan);
  assert(opening.flat().every(({ mayBe }) => mayBe === undefined));
  const expected = (by: number | string, method: string, path: string) =>
    trading.filter((request) =>
      request.by === by && request.method === method && request.path === path
    ).map(({ mayBe }) => mayBe);
  assert(expected("admin", "POST", "/markets/ACME/pause").every((mayBe) => mayBe === undefined));
  assert(expected(1, "DELETE", "/orders/{order}").every((mayBe) => mayBe!.join() === "ended"));
  for (const { by, body, mayBe } of ordersIn({ opening, trading })) {
    const { symbol, side, quantity } = body;
    assert.deepEqual(mayBe!.toSorted(), [
      ...side === "buy" ? ["insufficient-cash"] : [],
      ...side === "sell" && quantity === "900000" ? ["insufficient-shares"] : [],
      ...symbol === "ACME" ? ["market-paused"] : [],
      ...(by as number) % 40 === 0 ? ["trading-paused"] : [],
    ]);
  }
});
