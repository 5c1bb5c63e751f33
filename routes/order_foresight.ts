/**
 * What would be refused on the way of an order is refused at once, as far as this node knows: by the
 * order, which remembers if the same has been asked of it before.
 *
 * An old state may let an order through, which then is told so on its way. It must not turn one away,
 * as somebody's may who has just paid something in elsewhere.
 *
 * @module
 */
import * as Account from "../actors/account/aggregate.ts";
import * as Market from "../actors/market/aggregate.ts";
import * as Order from "../actors/order/aggregate.ts";
import { isFor, moreForReplacement, needOf, type Plan } from "../actors/order/state.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import { positionOf } from "../actors/portfolio/state.ts";
import * as Risk from "../actors/risk/aggregate.ts";
import { type Foreseen, PRICE_MAX, type Side, type TimeInForce } from "../actors/trading.ts";
import type { Cause } from "../lib/runtime/envelope.ts";
import type { ActorSystem, ReadOptions } from "../lib/runtime/system.ts";

export interface Asked {
  readonly symbol: string;
  readonly side: Side;
  readonly orderType: "limit" | "market";
  /** Of a limit order. */
  readonly limit: number | undefined;
  readonly quantity: number;
  readonly timeInForce: TimeInForce;
}

const weak: ReadOptions = { isStrong: false };
const strong: ReadOptions = { isStrong: true };

/** What to ask of a new order. */
export async function placingOf(
  system: ActorSystem,
  asked: Asked,
  cause: Cause,
): Promise<Order.Command> {
  const command = await placingSeen(system, asked, cause, weak);
  return command.type === "Refuse" ? await placingSeen(system, asked, cause, strong) : command;
}

/** What to ask of an order that is to become another. */
export async function replacingOf(
  system: ActorSystem,
  id: string,
  plan: Partial<Plan>,
  cause: Cause,
): Promise<Order.Command> {
  const seen = async (options: ReadOptions) =>
    await replacementRefusal(system, id, plan, cause, options);
  const refused = await seen(weak) && await seen(strong);
  return { ...plan, type: "Replace", ...(refused !== undefined && { refused }) };
}

async function placingSeen(
  system: ActorSystem,
  asked: Asked,
  cause: Cause,
  options: ReadOptions,
): Promise<Order.Command> {
  const limit = await limitOf(system, asked, cause, options);
  if (typeof limit === "string") return { type: "Refuse", reason: limit };
  const { symbol, side, quantity } = asked;
  const need = {
    accountId: cause.principal.id,
    symbol,
    side,
    amount: needOf(side, limit, quantity),
  };
  const reason = await needRefusal(system, need, cause, options);
  return reason === undefined ? { ...asked, type: "Place", limit } : { type: "Refuse", reason };
}

/** It is for the account that placed it, whoever asks; and who may not ask learns nothing here. */
async function replacementRefusal(
  system: ActorSystem,
  id: string,
  plan: Partial<Plan>,
  cause: Cause,
  options: ReadOptions,
): Promise<Foreseen | undefined> {
  const { view: order } = await system.read(Order, id, cause, (state) => state, options);
  if (!isFor(order, cause.principal)) return undefined;
  const market = await limitOf(system, order, cause, options);
  if (typeof market === "string") return market;
  const amount = moreForReplacement(order, { ...order, ...plan });
  return amount > 0n ? await needRefusal(system, { ...order, amount }, cause, options) : undefined;
}

/** How far from the last price a market order may trade: it is to find somebody, at no price whatever. */
const COLLAR_PERCENT = 5;

/** The worst price to trade at, or why there is none. */
async function limitOf(
  system: ActorSystem,
  { symbol, side, limit }: Pick<Asked, "symbol" | "side" | "limit">,
  cause: Cause,
  options: ReadOptions,
): Promise<number | Foreseen> {
  const { view } = await system.read(
    Market,
    symbol,
    cause,
    ({ status, price }) => ({ status, price }),
    options,
  );
  if (view.status === "unknown") return "unknown-symbol";
  if (view.status === "paused") return "market-paused";
  if (limit !== undefined) return limit;
  return side === "buy"
    ? Math.min(PRICE_MAX, Math.ceil(view.price * (100 + COLLAR_PERCENT) / 100))
    : Math.max(1, Math.floor(view.price * (100 - COLLAR_PERCENT) / 100));
}

interface Need {
  readonly accountId: string;
  readonly symbol: string;
  readonly side: Side;
  /** To be kept: units of cash if it buys, of shares if it sells. */
  readonly amount: bigint;
}

/** Why so much would not be kept, as far as can be told here. */
async function needRefusal(
  system: ActorSystem,
  { accountId, symbol, side, amount }: Need,
  cause: Cause,
  options: ReadOptions,
): Promise<Foreseen | undefined> {
  const risk = await system.read(Risk, accountId, cause, ({ paused }) => paused, options);
  if (risk.view !== undefined) return "trading-paused";
  if (side === "buy") {
    const { view } = await system.read(Account, accountId, cause, Account.availableOf, options);
    return amount > view ? "insufficient-cash" : undefined;
  }
  const { view } = await system.read(
    Portfolio,
    accountId,
    cause,
    (state) => Portfolio.availableOf(positionOf(state, symbol)),
    options,
  );
  return amount > BigInt(view) ? "insufficient-shares" : undefined;
}
