/**
 * A portfolio over HTTP: what it holds, and what that is worth now.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import * as Account from "../actors/account/aggregate.ts";
import * as Market from "../actors/market/aggregate.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import { valuationOf, type ValuedPosition } from "../actors/portfolio/valuation.ts";
import { answer } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { parsedQuery } from "../lib/http/parsed.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { headersOf, readOptionsOf } from "./consistency.ts";
import * as Schema from "./trading_schemas.ts";

export interface PortfolioOptions {
  readonly system: ActorSystem;
}

export function portfolio({ system }: PortfolioOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .get("/", async (c) => {
      parsedQuery(c, Schema.Nothing);
      const cause = causeOf(c);
      const { id } = cause.principal;
      const options = readOptionsOf(c);
      const held = await system.read(Portfolio, id, cause, (state) => state, options);
      const account = await system.read(Account, id, cause, (state) => state, options);
      const prices = await pricesOf(c, system, held.view);
      const { positions, value } = valuationOf(held.view, prices);
      const { cash } = account.view;
      return answer(c, 200, {
        currency: Schema.CURRENCY,
        cash: Schema.cashText(cash),
        value: Schema.cashText(cash + value),
        positions: positions.map(positionView),
      }, headersOf(held));
    });
}

async function pricesOf(
  c: Context<CallerEnv>,
  system: ActorSystem,
  { positions }: Portfolio.State,
): Promise<ReadonlyMap<string, number>> {
  const cause = causeOf(c);
  const prices = await Promise.all(
    positions.values().map(async ({ symbol }) => {
      const { view } = await system.read(Market, symbol, cause, ({ price }) => price);
      return [symbol, view] as const;
    }),
  );
  return new Map(prices);
}

function positionView({ symbol, quantity, price, cost, value, earned }: ValuedPosition) {
  return {
    symbol,
    quantity: Schema.quantityText(quantity),
    price: Schema.priceText(price),
    cost: Schema.cashText(cost),
    value: Schema.cashText(value),
    unrealized: Schema.cashText(value - cost),
    realized: Schema.cashText(earned),
  };
}
