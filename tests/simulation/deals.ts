/**
 * What clients do in trading, as commands to its actors, and what they are shown of those.
 *
 * @module
 */
import * as Account from "../../actors/account/aggregate.ts";
import * as Market from "../../actors/market/aggregate.ts";
import * as Order from "../../actors/order/aggregate.ts";
import * as Portfolio from "../../actors/portfolio/aggregate.ts";
import * as Risk from "../../actors/risk/aggregate.ts";
import type { Side, TimeInForce } from "../../actors/trading.ts";
import type { Principal } from "../../lib/runtime/envelope.ts";
import type { AnyAggregate } from "../../lib/runtime/turn.ts";
import { AT } from "../support/given.ts";

export type Deal =
  | {
    readonly is: "deposit" | "withdraw";
    readonly person: number;
    readonly amount: number;
  }
  | {
    readonly is: "deposit shares" | "withdraw shares";
    readonly person: number;
    readonly symbol: number;
    readonly quantity: number;
  }
  | { readonly is: "quote"; readonly symbol: number; readonly price: number }
  | { readonly is: "pause market" | "resume market"; readonly symbol: number }
  | PlaceDeal
  /** The order that the operation of that id placed. */
  | { readonly is: "cancel"; readonly person: number; readonly order: number }
  | {
    readonly is: "replace";
    readonly person: number;
    readonly order: number;
    readonly limit?: number;
    readonly quantity?: number;
  }
  | {
    readonly is: "set limits";
    readonly person: number;
    readonly limits: Readonly<Partial<Record<LimitName, string>>>;
    readonly pausesOnBreach: boolean;
  }
  | { readonly is: "pause person" | "resume person"; readonly person: number };

export interface PlaceDeal {
  readonly is: "place";
  readonly person: number;
  readonly symbol: number;
  readonly orderType: "limit" | "market";
  readonly side: Side;
  readonly limit: number;
  readonly quantity: number;
  readonly timeInForce: TimeInForce;
}

type LimitName = "orderCost" | "openCost" | "positionCost" | "dailyLoss";

export const tradingKinds = ["account", "market", "order", "portfolio", "risk"] as const;
export type TradingKind = typeof tradingKinds[number];

// The workload asks with commands that each of them knows.
export const tradingAggregates: Readonly<Record<TradingKind, AnyAggregate>> = {
  account: Account as unknown as AnyAggregate,
  market: Market as unknown as AnyAggregate,
  order: Order as unknown as AnyAggregate,
  portfolio: Portfolio as unknown as AnyAggregate,
  risk: Risk as unknown as AnyAggregate,
};

export function isOfTrading(kind: string): kind is TradingKind {
  return kind in tradingAggregates;
}

/** A person has one account, one portfolio and one risk, all under one key. */
export function tradingKeyOf(kind: TradingKind, index: number): string {
  if (kind === "market") return symbolOf(index);
  return kind === "order" ? orderOf(index) : personOf(index);
}

function personOf(person: number): string {
  return `person-${person}`;
}

function symbolOf(symbol: number): string {
  return `SYMBOL${symbol}`;
}

/** By the operation that placed it. */
function orderOf(operation: number): string {
  return `order-${operation}`;
}

interface AskedOfTrading {
  readonly kind: TradingKind;
  readonly key: string;
  readonly command: unknown;
  readonly principal: Principal;
}

const FEED: Principal = { id: "feed", roles: [] };
const QUOTED_AT = new Date(AT).toISOString();
/** What was paid elsewhere for shares that are brought in. */
const PAID_ELSEWHERE = 10;

/** What the deal asks of which actor; `id` is that of its operation. */
export function askedByDeal(id: number, deal: Deal): AskedOfTrading {
  const principal = "person" in deal ? { id: personOf(deal.person), roles: [] } : FEED;
  const asked = (kind: TradingKind, index: number, command: CommandOf[typeof kind]) => {
    return { kind, key: tradingKeyOf(kind, index), command, principal };
  };
  switch (deal.is) {
    case "deposit":
      return asked("account", deal.person, { type: "Deposit", amount: BigInt(deal.amount) });
    case "withdraw":
      return asked("account", deal.person, { type: "Withdraw", amount: BigInt(deal.amount) });
    case "deposit shares":
      return asked("portfolio", deal.person, {
        ...sharesOf(deal),
        type: "Deposit",
        price: PAID_ELSEWHERE,
      });
    case "withdraw shares":
      return asked("portfolio", deal.person, { ...sharesOf(deal), type: "Withdraw" });
    case "quote": {
      const { symbol, price } = deal;
      return asked("market", symbol, { type: "Quote", price, volume: 0, quotedAt: QUOTED_AT });
    }
    case "pause market":
      return asked("market", deal.symbol, { type: "Pause" });
    case "resume market":
      return asked("market", deal.symbol, { type: "Resume" });
    case "place":
      return asked("order", id, placing(deal));
    case "cancel":
      return asked("order", deal.order, { type: "Cancel" });
    case "replace": {
      const { is: _, person: __, order, ...plan } = deal;
      return asked("order", order, { ...plan, type: "Replace" });
    }
    case "set limits": {
      const { limits, pausesOnBreach } = deal;
      return asked("risk", deal.person, { ...limits, pausesOnBreach, type: "SetLimits" });
    }
    case "pause person":
      return asked("risk", deal.person, { type: "Pause" });
    case "resume person":
      return asked("risk", deal.person, { type: "Resume" });
  }
}

interface CommandOf {
  readonly account: Account.Command;
  readonly market: Market.Command;
  readonly order: Order.Command;
  readonly portfolio: Portfolio.Command;
  readonly risk: Risk.Command;
}

function sharesOf({ symbol, quantity }: { readonly symbol: number; readonly quantity: number }) {
  return { symbol: symbolOf(symbol), quantity };
}

function placing({ is: _, person: __, symbol, ...order }: PlaceDeal): Order.Command {
  return { ...order, type: "Place", symbol: symbolOf(symbol) };
}

/** JSON: equal states look equal, and others hardly ever. */
export function tradingViewOf(kind: TradingKind, state: unknown): unknown {
  switch (kind) {
    case "account": {
      const { cash, reserved, reservations } = state as Account.State;
      return { cash: String(cash), reserved: String(reserved), orders: reservations.size };
    }
    case "portfolio": {
      const { positions, reservations } = state as Portfolio.State;
      const shares = positions.values()
        .map(({ symbol, quantity, reserved }) => `${symbol} ${quantity} ${reserved}`);
      return { shares: shares.sort(), orders: reservations.size };
    }
    case "market": {
      const { status, price, nextTrade, book } = state as Market.State;
      const levels = [...book.bids, ...book.asks]
        .map(({ price, quantity, orders }) => [price, quantity, orders]);
      return { status, price, nextTrade, levels };
    }
    case "order": {
      const { status, limit, quantity, filled, kept, ending = "" } = state as Order.State;
      return { status, limit, quantity, filled, kept: String(kept), ending };
    }
    case "risk": {
      const { paused = "", open, openCost, positions, earned } = state as Risk.State;
      const shares = positions.values().map(({ symbol, quantity }) => `${symbol} ${quantity}`);
      return {
        paused,
        orders: open.size,
        openCost: String(openCost),
        shares: shares.sort(),
        earned: String(earned),
      };
    }
  }
}
