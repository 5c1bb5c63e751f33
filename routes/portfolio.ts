/**
 * A portfolio over HTTP: what it holds, what that is worth now, and what it has done.
 *
 * @module
 */
import * as Account from "../actors/account/aggregate.ts";
import * as Market from "../actors/market/aggregate.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import { pricesAt } from "../actors/market/listing.ts";
import {
  momentsOf,
  type Performance,
  performanceOf,
  type Period,
  periods,
  TRANSFERS_MAX,
} from "../actors/portfolio/performance.ts";
import { valuationOf } from "../actors/portfolio/valuation.ts";
import { movementsOf, transferMoments } from "../actors/trading_movements.ts";
import type { Env } from "../lib/env.ts";
import { answer } from "../lib/http/answer.ts";
import { causeOf } from "../lib/http/cause.ts";
import { type Route, route } from "../lib/http/operation.ts";
import type { Cause } from "../lib/runtime/envelope.ts";
import type { ActorSystem, ReadOptions } from "../lib/runtime/system.ts";
import { accountAsked } from "./accounts.ts";
import { awaitToken, headersOf, readOptionsOf } from "./consistency.ts";
import * as View from "./portfolio_views.ts";
import * as Schema from "./trading_schemas.ts";
import type { TradingTables } from "./trading_tables.ts";

export interface PortfolioOptions {
  readonly system: ActorSystem;
  readonly env: Pick<Env, "now">;
  readonly trading: TradingTables;
  readonly consistencyWaitMs: number;
}

export function portfolio(options: PortfolioOptions): readonly Route[] {
  const { system, env, trading, consistencyWaitMs } = options;
  return [
    route({
      id: "getPortfolio",
      method: "get",
      path: "/api/v1/portfolio",
      tag: "trading",
      summary: "What the caller's cash and shares are worth at the prices of now",
      access: "caller",
      asks: "actor",
      query: Schema.AccountQuery,
      answers: { 200: View.Portfolio },
    }, async (c, { query }) => {
      const id = accountAsked(c, query.accountId);
      const read = readOptionsOf(c);
      const { account, valuation, reading } = await valued(system, causeOf(c), id, [], read);
      return answer(c, 200, View.portfolioView(account.cash, valuation), headersOf(reading));
    }),
    route({
      id: "getPerformance",
      method: "get",
      path: "/api/v1/portfolio/performance",
      tag: "trading",
      summary: "What the caller's investment has done, whatever was added to it and taken out",
      access: "caller",
      asks: "projection",
      class: "list",
      limit: "risk-analysis",
      query: Schema.PerformanceQuery,
      answers: { 200: View.PerformanceReport },
    }, async (c, { query: { period, accountId } }) => {
      const id = accountAsked(c, accountId);
      for (const list of [trading.transfers, trading.orders, trading.tape]) {
        await awaitToken(c, list, consistencyWaitMs);
      }
      const performance = await performanceIn(trading.db, id, period, env.now());
      return answer(c, 200, View.performanceView(period, performance));
    }),
  ];
}

async function performanceIn(
  db: TradingTables["db"],
  accountId: string,
  period: Period,
  to: number,
): Promise<Performance> {
  const from = to - periods[period].lengthMs;
  const transfers = await transferMoments(db, accountId, { from, to }, TRANSFERS_MAX + 1);
  const moments = momentsOf(period, to, transfers);
  const movements = await movementsOf(db, accountId, moments);
  const symbols = new Set(movements.flatMap(({ symbol }) => symbol ?? []));
  return performanceOf(moments, movements, await pricesAt(db, [...symbols], moments));
}

/** What somebody has, and the prices of that and of what else is asked for; 0 where there is none. */
export async function valued(
  system: ActorSystem,
  cause: Cause,
  id: string,
  symbols: readonly string[],
  options: ReadOptions,
) {
  const reading = await system.read(Portfolio, id, cause, itself<Portfolio.State>, options);
  const { view: account } = await system.read(Account, id, cause, itself<Account.State>, options);
  const held = reading.view.positions.values().map(({ symbol }) => symbol);
  const prices = new Map(
    await Promise.all([...new Set([...symbols, ...held])].map(async (symbol) => {
      const { view } = await system.read(Market, symbol, cause, ({ price }) => price, options);
      return [symbol, view] as const;
    })),
  );
  return { account, prices, valuation: valuationOf(reading.view, prices), reading };
}

function itself<State>(state: State): State {
  return state;
}
