/**
 * Accounts over HTTP: what one has, what comes in and goes out, and what may be risked.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import * as Account from "../actors/account/aggregate.ts";
import { lotsOf } from "../actors/portfolio/lots.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import type { Position } from "../actors/portfolio/state.ts";
import * as Risk from "../actors/risk/aggregate.ts";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { type BodyParser, parsedQuery } from "../lib/http/parsed.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { headersOf, readOptionsOf } from "./consistency.ts";
import { accounts as problems, risks } from "./trading_problems.ts";
import * as Schema from "./trading_schemas.ts";

export interface AccountOptions {
  readonly system: ActorSystem;
  readonly parseBody: BodyParser;
}

export function accounts({ system, parseBody }: AccountOptions): Hono<CallerEnv> {
  const moveCash = async (c: Context<CallerEnv>, type: "Deposit" | "Withdraw", amount: bigint) => {
    const cause = causeOf(c);
    const { id } = cause.principal;
    const view = ({ state }: { readonly state: Account.State }) => accountView(state);
    const outcome = await system.ask(Account, id, { type, amount }, cause, view);
    if (!outcome.accepted) return problems.refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
  const moveShares = async (c: Context<CallerEnv>, command: Portfolio.Command, symbol: string) => {
    const cause = causeOf(c);
    const { id } = cause.principal;
    const outcome = await system.ask(Portfolio, id, command, cause, ({ state }) => {
      const position = state.positions.get(symbol);
      return position === undefined ? { symbol, quantity: "0" } : positionView(position);
    });
    if (!outcome.accepted) return problems.refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
  return new Hono<CallerEnv>()
    .post("/deposits", async (c) => {
      requireRole(c, "trader", "admin");
      const deposit = await parseBody(c, Schema.Deposit);
      if ("amount" in deposit) return await moveCash(c, "Deposit", deposit.amount);
      return await moveShares(c, { type: "Deposit", ...deposit }, deposit.symbol);
    })
    .post("/withdrawals", async (c) => {
      requireRole(c, "trader", "admin");
      const withdrawal = await parseBody(c, Schema.Withdrawal);
      if ("amount" in withdrawal) return await moveCash(c, "Withdraw", withdrawal.amount);
      return await moveShares(c, { type: "Withdraw", ...withdrawal }, withdrawal.symbol);
    })
    .get("/me", async (c) => {
      parsedQuery(c, Schema.Nothing);
      const cause = causeOf(c);
      const { id } = cause.principal;
      const reading = await system.read(Account, id, cause, accountView, readOptionsOf(c));
      return answer(c, 200, reading.view, headersOf(reading));
    });
}

export function positions({ system }: AccountOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .get("/", async (c) => {
      parsedQuery(c, Schema.Nothing);
      const cause = causeOf(c);
      const { id } = cause.principal;
      const view = ({ positions }: Portfolio.State) => ({
        items: positions.values().map(positionView)
          .toSorted((a, b) => a.symbol < b.symbol ? -1 : 1),
      });
      const reading = await system.read(Portfolio, id, cause, view, readOptionsOf(c));
      return answer(c, 200, reading.view, headersOf(reading));
    });
}

export function risk({ system, parseBody }: AccountOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .get("/status", async (c) => {
      parsedQuery(c, Schema.Nothing);
      const cause = causeOf(c);
      const { id } = cause.principal;
      const reading = await system.read(Risk, id, cause, riskView, readOptionsOf(c));
      return answer(c, 200, reading.view, headersOf(reading));
    })
    .put("/limits", async (c) => {
      requireRole(c, "trader", "admin");
      const { pausesOnBreach, ...limits } = await parseBody(c, Schema.Limits);
      const cause = causeOf(c);
      const { id } = cause.principal;
      const texts = Object.entries(limits).map(([name, limit]) => [name, String(limit)]);
      const command = { type: "SetLimits", pausesOnBreach, ...Object.fromEntries(texts) } as const;
      const outcome = await system.ask(Risk, id, command, cause, ({ state }) => riskView(state));
      if (!outcome.accepted) return risks.refused(c, outcome);
      return answer(c, 200, outcome.answer, headersOf(outcome));
    });
}

function accountView(state: Account.State) {
  return {
    currency: Schema.CURRENCY,
    cash: Schema.cashText(state.cash),
    reserved: Schema.cashText(state.reserved),
    available: Schema.cashText(Account.availableOf(state)),
  };
}

function positionView({ symbol, quantity, reserved, earned, lots }: Position) {
  return {
    symbol,
    quantity: Schema.quantityText(quantity),
    reserved: Schema.quantityText(reserved),
    earned: Schema.cashText(earned),
    currency: Schema.CURRENCY,
    lots: lotsOf(lots).map((lot) => ({
      quantity: Schema.quantityText(lot.quantity),
      price: Schema.priceText(lot.price),
    })),
  };
}

function riskView({ limits, pausesOnBreach, paused, open, openCost }: Risk.State) {
  const set = Object.entries(limits).map(([name, limit]) => [name, Schema.cashText(limit)]);
  return {
    currency: Schema.CURRENCY,
    limits: Object.fromEntries(set),
    pausesOnBreach,
    ...(paused !== undefined && { paused }),
    openOrders: open.size,
    openCost: Schema.cashText(openCost),
  };
}
