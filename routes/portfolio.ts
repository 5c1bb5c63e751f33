/**
 * A portfolio over HTTP: what it holds, what that is worth now, and how to change its weights.
 *
 * @module
 */
import { Hono } from "hono";
import * as Account from "../actors/account/aggregate.ts";
import * as Market from "../actors/market/aggregate.ts";
import * as Order from "../actors/order/aggregate.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import { type ProposedOrder, rebalanced } from "../actors/portfolio/rebalancing.ts";
import { valuationOf, type ValuedPosition } from "../actors/portfolio/valuation.ts";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type BodyParser, parsedQuery } from "../lib/http/parsed.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { Cause } from "../lib/runtime/envelope.ts";
import type { ActorSystem, ReadOptions } from "../lib/runtime/system.ts";
import { stableUuid } from "../lib/stable_uuid.ts";
import { headersOf, readOptionsOf } from "./consistency.ts";
import { orders } from "./trading_problems.ts";
import * as Schema from "./trading_schemas.ts";

export interface PortfolioOptions {
  readonly system: ActorSystem;
  readonly parseBody: BodyParser;
}

export function portfolio({ system, parseBody }: PortfolioOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .get("/", async (c) => {
      parsedQuery(c, Schema.Nothing);
      const options = readOptionsOf(c);
      const { account, valuation, reading } = await valued(system, causeOf(c), [], options);
      return answer(c, 200, {
        currency: Schema.CURRENCY,
        cash: Schema.cashText(account.cash),
        value: Schema.cashText(account.cash + valuation.value),
        positions: valuation.positions.map(positionView),
      }, headersOf(reading));
    })
    .post("/rebalance", async (c) => {
      requireRole(c, "trader", "admin");
      const { execute } = parsedQuery(c, Schema.RebalanceQuery);
      const { weights } = await parseBody(c, Schema.Weights);
      const cause = causeOf(c);
      const wanted = Object.entries(weights);
      const symbols = wanted.map(([symbol]) => symbol);
      const { account, valuation, prices } = await valued(system, cause, symbols, strong);
      if (symbols.some((symbol) => prices.get(symbol) === 0)) {
        return problemResponse(c, ...orders.problemOf("unknown-symbol"));
      }
      const targets = wanted
        .map(([symbol, weight]) => ({ symbol, weight, price: prices.get(symbol)! }));
      const proposed = rebalanced(valuation, Account.availableOf(account), targets);
      if (!execute) return answer(c, 200, { orders: proposed.map(proposalView) });
      const all = [];
      for (const proposal of proposed) all.push(await placed(system, cause, proposal));
      return answer(c, 201, { orders: all });
    });
}

const strong: ReadOptions = { isStrong: true };

/** What somebody has, and the prices of that and of what else is asked for; 0 where there is none. */
async function valued(
  system: ActorSystem,
  cause: Cause,
  symbols: readonly string[],
  options: ReadOptions,
) {
  const { id } = cause.principal;
  const reading = await system.read(Portfolio, id, cause, itself<Portfolio.State>, options);
  const { view: account } = await system.read(Account, id, cause, itself<Account.State>, options);
  const held = reading.view.positions.values().map(({ symbol }) => symbol);
  const prices = new Map(
    await Promise.all([...new Set([...symbols, ...held])].map(async (symbol) => {
      const { view } = await system.read(Market, symbol, cause, ({ price }) => price);
      return [symbol, view] as const;
    })),
  );
  return { account, prices, valuation: valuationOf(reading.view, prices), reading };
}

function itself<State>(state: State): State {
  return state;
}

/** Under an idempotency key each is placed once, however often that is asked for. */
async function placed(system: ActorSystem, cause: Cause, proposal: ProposedOrder) {
  const id = stableUuid(`${idOfNew(cause)}\n${proposal.symbol}`);
  const { price: limit, ...order } = proposal;
  const command = {
    ...order,
    type: "Place",
    orderType: "limit",
    limit,
    timeInForce: "day",
  } as const;
  const outcome = await system.ask(Order, id, command, cause, ({ state }) => state.status);
  const status = outcome.accepted ? outcome.answer : "rejected";
  return { id, status, ...proposalView(proposal) };
}

function proposalView({ symbol, side, price, quantity }: ProposedOrder) {
  return {
    symbol,
    side,
    price: Schema.priceText(price),
    quantity: Schema.quantityText(quantity),
  };
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
