/**
 * Accounts over HTTP: what one has, what comes in and goes out.
 *
 * @module
 */
import type { Context } from "hono";
import { z } from "zod";
import * as Account from "../actors/account/aggregate.ts";
import { lotsOf } from "../actors/portfolio/lots.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import type { Position } from "../actors/portfolio/state.ts";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { type Route, route } from "../lib/http/operation.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { headersOf, readOptionsOf } from "./consistency.ts";
import { accounts as problems } from "./trading_problems.ts";
import * as Schema from "./trading_schemas.ts";

export interface AccountOptions {
  readonly system: ActorSystem;
}

/** Whose account it is about: the caller's, or that of whom an administrator names. */
export function accountAsked(c: Context<CallerEnv>, accountId: string | undefined): string {
  const { id } = c.get("caller").principal;
  if (accountId === undefined || accountId === id) return id;
  requireRole(c, "admin");
  return accountId;
}

export function accounts({ system }: AccountOptions): readonly Route[] {
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
  const ownMoves = {
    tag: "trading",
    access: ["trader", "admin"],
    asks: "actor",
    limit: "trading",
  } as const;
  const moved = { 200: z.union([Schema.Account, Schema.Position, Schema.NoPosition]) };
  return [
    route({
      ...ownMoves,
      id: "deposit",
      method: "post",
      path: "/api/v1/accounts/deposits",
      summary: "Pays in cash, or takes in shares bought elsewhere",
      body: Schema.Deposit,
      answers: moved,
    }, async (c, { body }) => {
      if ("amount" in body) return await moveCash(c, "Deposit", body.amount);
      return await moveShares(c, { type: "Deposit", ...body }, body.symbol);
    }),
    route({
      ...ownMoves,
      id: "withdraw",
      method: "post",
      path: "/api/v1/accounts/withdrawals",
      summary: "Pays out cash, or gives out shares, that nothing is kept for",
      body: Schema.Withdrawal,
      answers: moved,
      problems: problems.known("insufficient-cash", "insufficient-shares"),
    }, async (c, { body }) => {
      if ("amount" in body) return await moveCash(c, "Withdraw", body.amount);
      return await moveShares(c, { type: "Withdraw", ...body }, body.symbol);
    }),
    route({
      id: "getAccount",
      method: "get",
      path: "/api/v1/accounts/me",
      tag: "trading",
      summary: "The caller's cash, and how much of it is kept for orders",
      access: "caller",
      asks: "actor",
      query: Schema.AccountQuery,
      answers: { 200: Schema.Account },
    }, async (c, { query }) => {
      const id = accountAsked(c, query.accountId);
      const reading = await system.read(Account, id, causeOf(c), accountView, readOptionsOf(c));
      return answer(c, 200, reading.view, headersOf(reading));
    }),
    route({
      id: "listPositions",
      method: "get",
      path: "/api/v1/positions",
      tag: "trading",
      summary: "The caller's shares, by symbol",
      access: "caller",
      asks: "actor",
      query: Schema.AccountQuery,
      answers: { 200: Schema.Positions },
    }, async (c, { query }) => {
      const id = accountAsked(c, query.accountId);
      const view = ({ positions }: Portfolio.State) => ({
        items: positions.values().map(positionView)
          .toSorted((a, b) => a.symbol < b.symbol ? -1 : 1),
      });
      const reading = await system.read(Portfolio, id, causeOf(c), view, readOptionsOf(c));
      return answer(c, 200, reading.view, headersOf(reading));
    }),
  ];
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
