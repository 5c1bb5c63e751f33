/**
 * Orders over HTTP: placed, seen, changed and cancelled by whose they are.
 *
 * An order is acknowledged once it is recorded; what it needs is kept, and trades are made, after that.
 * What would be refused then is refused here already, as far as this node knows.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import * as Account from "../actors/account/aggregate.ts";
import * as Market from "../actors/market/aggregate.ts";
import * as Order from "../actors/order/aggregate.ts";
import { hasEnded, isFor, needOf, remainingOf } from "../actors/order/state.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import { positionOf } from "../actors/portfolio/state.ts";
import * as Risk from "../actors/risk/aggregate.ts";
import { PRICE_MAX, type Side, type TimeInForce } from "../actors/trading.ts";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type BodyParser, parsedParams } from "../lib/http/parsed.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { Cause } from "../lib/runtime/envelope.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Accepted } from "../lib/runtime/turn.ts";
import { headersOf, readOptionsOf } from "./consistency.ts";
import { orders as problems } from "./trading_problems.ts";
import * as Schema from "./trading_schemas.ts";

export interface OrderOptions {
  readonly system: ActorSystem;
  readonly parseBody: BodyParser;
}

type Happened = Accepted<Order.State, Order.Event>;
type Refused = Parameters<typeof problems.problemOf>[0];

interface Asked {
  readonly symbol: string;
  readonly side: Side;
  readonly orderType: "limit" | "market";
  /** Of a limit order. */
  readonly limit: number | undefined;
  readonly quantity: number;
  readonly timeInForce: TimeInForce;
}

export function orders({ system, parseBody }: OrderOptions): Hono<CallerEnv> {
  const changed = async (c: Context<CallerEnv>, command: Order.Command) => {
    const { id } = parsedParams(c, Schema.OrderPath);
    const outcome = await system.ask(Order, id, command, causeOf(c), orderAnswer(id));
    if (!outcome.accepted) return problems.refused(c, outcome);
    return answer(c, 202, outcome.answer, headersOf(outcome));
  };
  return new Hono<CallerEnv>()
    .post("/", async (c) => {
      requireRole(c, "trader", "admin");
      const { type, price, ...order } = withPrice(await parseBody(c, Schema.NewOrder));
      const cause = causeOf(c);
      const asked = { ...order, orderType: type, limit: price };
      const id = idOfNew(cause);
      const limit = await limitOf(system, asked, cause);
      if (typeof limit === "string") return problemResponse(c, ...problems.problemOf(limit));
      const reason = await refusalOf(system, { ...asked, limit }, cause);
      if (reason !== undefined) return problemResponse(c, ...problems.problemOf(reason));
      const command = { ...asked, type: "Place", limit } as const;
      const outcome = await system.ask(Order, id, command, cause, orderAnswer(id));
      if (!outcome.accepted) return problems.refused(c, outcome);
      const Location = `/api/v1/orders/${id}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    })
    .get("/:id", async (c) => {
      const { id } = parsedParams(c, Schema.OrderPath);
      const { principal } = c.get("caller");
      const reading = await system.read(
        Order,
        id,
        causeOf(c),
        (state, version) => isFor(state, principal) ? orderView(id, state, version) : undefined,
        readOptionsOf(c),
      );
      if (reading.view === undefined) return problemResponse(c, ...problems.problemOf("not-found"));
      return answer(c, 200, reading.view, headersOf(reading));
    })
    .patch("/:id", async (c) => {
      const { price: limit, quantity } = await parseBody(c, Schema.OrderChanges);
      return await changed(c, {
        type: "Replace",
        ...(limit !== undefined && { limit }),
        ...(quantity !== undefined && { quantity }),
      });
    })
    .delete("/:id", async (c) => {
      await parseBody(c, Schema.Nothing, { absent: {} });
      return await changed(c, { type: "Cancel" });
    });
}

type NewOrder = ReturnType<typeof Schema.NewOrder.parse>;

function withPrice(order: NewOrder): NewOrder & { readonly price: number | undefined } {
  return order.type === "limit" ? order : { ...order, price: undefined };
}

/** How far from the last price a market order may trade: it is to find somebody, at no price whatever. */
const COLLAR_PERCENT = 5;

/** The worst price to trade at, or why there is none. */
async function limitOf(
  system: ActorSystem,
  { symbol, side, limit }: Asked,
  cause: Cause,
): Promise<number | Refused> {
  const { view } = await system.read(
    Market,
    symbol,
    cause,
    ({ status, price }) => ({ status, price }),
  );
  if (view.status === "unknown") return "unknown-symbol";
  if (view.status === "paused") return "market-paused";
  if (limit !== undefined) return limit;
  return side === "buy"
    ? Math.min(PRICE_MAX, Math.ceil(view.price * (100 + COLLAR_PERCENT) / 100))
    : Math.max(1, Math.floor(view.price * (100 - COLLAR_PERCENT) / 100));
}

/** Why the order would be refused on its way, as far as can be told here. */
async function refusalOf(
  system: ActorSystem,
  { symbol, side, limit, quantity }: Asked & { readonly limit: number },
  cause: Cause,
): Promise<Refused | undefined> {
  const { id } = cause.principal;
  const risk = await system.read(Risk, id, cause, ({ paused }) => paused);
  if (risk.view !== undefined) return "trading-paused";
  if (side === "buy") {
    const { view } = await system.read(Account, id, cause, Account.availableOf);
    return needOf(side, limit, quantity) > view ? "insufficient-cash" : undefined;
  }
  const { view } = await system.read(
    Portfolio,
    id,
    cause,
    (state) => Portfolio.availableOf(positionOf(state, symbol)),
  );
  return quantity > view ? "insufficient-shares" : undefined;
}

function orderAnswer(id: string) {
  return ({ state, version }: Happened) => orderView(id, state, version);
}

function orderView(id: string, state: Order.State, version: number) {
  const { status, symbol, side, timeInForce, cancelling, replacement, ending } = state;
  return {
    id,
    status: cancelling !== undefined && !hasEnded(state) ? "cancelling" : status,
    ...(ending !== undefined && { reason: ending }),
    symbol,
    side,
    price: Schema.priceText(state.limit),
    quantity: Schema.quantityText(state.quantity),
    filled: Schema.quantityText(state.filled),
    remaining: Schema.quantityText(remainingOf(state)),
    timeInForce,
    ...(replacement !== undefined && !hasEnded(state) && {
      replacement: {
        price: Schema.priceText(replacement.limit),
        quantity: Schema.quantityText(replacement.quantity),
      },
    }),
    version,
  };
}
