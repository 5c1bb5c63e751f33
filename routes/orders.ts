/**
 * Orders over HTTP: placed, seen, changed and cancelled by whose they are.
 *
 * An order is acknowledged once it is recorded; what it needs is kept, and trades are made, after that.
 *
 * @module
 */
import type { Context } from "hono";
import * as Order from "../actors/order/aggregate.ts";
import { listOrders } from "../actors/order/listing.ts";
import { isFor } from "../actors/order/state.ts";
import { answer } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Accepted } from "../lib/runtime/turn.ts";
import { accountAsked } from "./accounts.ts";
import { awaitToken, headersOf, readOptionsOf } from "./consistency.ts";
import { placingOf, replacingOf } from "./order_foresight.ts";
import * as View from "./order_views.ts";
import { foreseen, orders as problems } from "./trading_problems.ts";
import type { TradingTables } from "./trading_tables.ts";
import * as Schema from "./trading_schemas.ts";

export interface OrderOptions {
  readonly system: ActorSystem;
  readonly trading: TradingTables;
  readonly consistencyWaitMs: number;
}

type Happened = Accepted<Order.State, Order.Event>;

export function orders(options: OrderOptions): readonly Route[] {
  return [...orderCommands(options), ...orderQueries(options)];
}

function orderCommands({ system }: OrderOptions): readonly Route[] {
  const changed = async (c: Context<CallerEnv>, id: string, command: Order.Command) => {
    const outcome = await system.ask(Order, id, command, causeOf(c), orderAnswer(id));
    if (!outcome.accepted) return problems.refused(c, outcome);
    return answer(c, 202, outcome.answer, headersOf(outcome));
  };
  const ownOrder = {
    path: "/api/v1/orders/{id}",
    tag: "trading",
    access: "caller",
    others: 404,
    asks: "actor",
    limit: "trading",
    params: Schema.OrderPath,
    answers: { 202: View.Order },
  } as const;
  return [
    route({
      id: "placeOrder",
      locates: true,
      method: "post",
      path: "/api/v1/orders",
      tag: "trading",
      summary: "Places an order, which then goes its way to its market",
      access: ["trader", "admin"],
      asks: "actor",
      limit: "trading",
      body: Schema.NewOrder,
      answers: { 201: View.Order },
      problems: problems.known("already-exists", ...foreseen),
    }, async (c, { body }) => {
      const { type, price, ...order } = withPrice(body);
      const cause = causeOf(c);
      const id = idOfNew(cause);
      const command = await placingOf(system, { ...order, orderType: type, limit: price }, cause);
      const outcome = await system.ask(Order, id, command, cause, orderAnswer(id), {
        isFirst: true,
      });
      if (!outcome.accepted) return problems.refused(c, outcome);
      const Location = `/api/v1/orders/${id}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    }),
    route({
      ...ownOrder,
      id: "changeOrder",
      method: "patch",
      summary: "Asks the market for another price or quantity of an order that waits there",
      body: Schema.OrderChanges,
      problems: problems.known(
        "not-found",
        "ended",
        "not-working",
        "being-replaced",
        "quantity-below-filled",
        ...foreseen,
      ),
    }, async (c, { params: { id }, body: { price: limit, quantity } }) => {
      const plan = {
        ...(limit !== undefined && { limit }),
        ...(quantity !== undefined && { quantity }),
      };
      return await changed(c, id, await replacingOf(system, id, plan, causeOf(c)));
    }),
    route({
      ...ownOrder,
      id: "cancelOrder",
      method: "delete",
      summary: "Cancels what has not been traded of an order",
      problems: problems.known("not-found", "ended"),
    }, async (c, { params: { id } }) => await changed(c, id, { type: "Cancel" })),
  ];
}

function orderQueries({ system, trading, consistencyWaitMs }: OrderOptions): readonly Route[] {
  return [
    route({
      id: "listOrders",
      method: "get",
      path: "/api/v1/orders",
      tag: "trading",
      summary: "The caller's orders, the newest first",
      access: "caller",
      asks: "projection",
      class: "list",
      query: Schema.OrderListQuery,
      answers: { 200: View.Orders },
    }, async (c, { query: { cursor, limit, accountId, ...filter } }) => {
      const asked = { ...filter, accountId: accountAsked(c, accountId) };
      await awaitToken(c, trading.orders, consistencyWaitMs);
      const before = cursor && { placedAt: cursor[0], id: cursor[1] };
      const rows = await listOrders(trading.db, asked, before, limit + 1);
      const page = pageOf(rows, limit, View.listedView, ({ placedAt, id }) => [placedAt, id]);
      return answer(c, 200, page);
    }),
    route({
      id: "getOrder",
      method: "get",
      path: "/api/v1/orders/{id}",
      tag: "trading",
      summary: "An order as it is now",
      access: "caller",
      others: 404,
      asks: "actor",
      params: Schema.OrderPath,
      answers: { 200: View.Order },
      problems: problems.known("not-found"),
    }, async (c, { params: { id } }) => {
      const { principal } = c.get("caller");
      const view = (state: Order.State, version: number) =>
        isFor(state, principal) ? View.orderView(id, state, version) : undefined;
      const reading = await system.read(Order, id, causeOf(c), view, readOptionsOf(c));
      if (reading.view === undefined) return problemResponse(c, ...problems.problemOf("not-found"));
      return answer(c, 200, reading.view, headersOf(reading));
    }),
  ];
}

type NewOrder = ReturnType<typeof Schema.NewOrder.parse>;

function withPrice(order: NewOrder): NewOrder & { readonly price: number | undefined } {
  return order.type === "limit" ? order : { ...order, price: undefined };
}

function orderAnswer(id: string) {
  return ({ state, version }: Happened) => View.orderView(id, state, version);
}
