/**
 * What must hold between all who take part in trading once nothing is on its way between them.
 *
 * @module
 */
import type * as Account from "../../actors/account/aggregate.ts";
import type * as Market from "../../actors/market/aggregate.ts";
import type * as Order from "../../actors/order/aggregate.ts";
import { hasEnded, needOf, remainingOf } from "../../actors/order/state.ts";
import type * as Portfolio from "../../actors/portfolio/aggregate.ts";
import type * as Risk from "../../actors/risk/aggregate.ts";

/** By key. */
export interface TradingStates {
  readonly accounts: ReadonlyMap<string, Account.State>;
  readonly markets: ReadonlyMap<string, Market.State>;
  readonly orders: ReadonlyMap<string, Order.State>;
  readonly portfolios: ReadonlyMap<string, Portfolio.State>;
  readonly risks: ReadonlyMap<string, Risk.State>;
}

/** For an order that waits just what it needs is kept, and for nobody else anything. */
export function* wrongReservations({ accounts, orders, portfolios }: TradingStates) {
  const kept = new Map<string, bigint>();
  for (const [key, { reservations, reserved }] of accounts) {
    let sum = 0n;
    for (const { orderId, amount } of reservations.values()) {
      kept.set(orderId, amount);
      sum += amount;
    }
    if (sum !== reserved) yield `${key} keeps ${reserved}, and ${sum} for all orders`;
  }
  for (const { reservations } of portfolios.values()) {
    for (const { orderId, quantity } of reservations.values()) kept.set(orderId, BigInt(quantity));
  }
  for (const [orderId, amount] of kept) {
    if (!orders.has(orderId)) yield `${amount} is kept for ${orderId}, which is no order`;
  }
  for (const [orderId, order] of orders) {
    const need = hasEnded(order) ? 0n : needOf(order.side, order.limit, remainingOf(order));
    const has = kept.get(orderId) ?? 0n;
    if (has === need && order.kept === need) continue;
    yield `for ${orderId} ${has} is kept, it counts on ${order.kept}, and needs ${need}`;
  }
}

/** What is open where risk is watched is what can still be spent, and no more. */
export function* wrongOpenCosts({ orders, risks }: TradingStates) {
  const spendable = new Map<string, bigint>();
  for (const order of orders.values()) {
    if (order.side === "sell" || order.status !== "working") continue;
    const cost = needOf("buy", order.limit, remainingOf(order));
    spendable.set(order.accountId, (spendable.get(order.accountId) ?? 0n) + cost);
  }
  for (const [key, { openCost }] of risks) {
    const cost = spendable.get(key) ?? 0n;
    if (openCost !== cost) yield `${key} can still spend ${cost}, and ${openCost} is open at risk`;
  }
}

/** Who watches over risk counts the shares that are there. */
export function* wrongPositions({ portfolios, risks }: TradingStates) {
  for (const key of new Set([...portfolios.keys(), ...risks.keys()])) {
    const held = portfolios.get(key)?.positions;
    const counted = risks.get(key)?.positions;
    const both = [...held?.values() ?? [], ...counted?.values() ?? []];
    for (const symbol of new Set(both.map(({ symbol }) => symbol))) {
      const [has, counts] = [held, counted].map((all) => all?.get(symbol)?.quantity ?? 0);
      if (has !== counts) yield `${key} has ${has} of ${symbol}, and ${counts} at risk`;
    }
  }
}

/** Every order has ended, or waits in its market and is open where risk is watched. */
export function* wrongOrders({ markets, orders, risks }: TradingStates) {
  const resting = new Map<string, number>();
  for (const { book } of markets.values()) {
    for (const { id, remaining } of book.orders.values()) resting.set(id, remaining);
  }
  for (const [orderId, order] of orders) {
    const { status, accountId, replacement } = order;
    const isWorking = status === "working";
    if (!isWorking && !hasEnded(order)) yield `${orderId} is ${status}`;
    if (isWorking && replacement !== undefined) yield `${orderId} is still being replaced`;
    const waits = isWorking ? remainingOf(order) : 0;
    const rests = resting.get(orderId) ?? 0;
    if (rests !== waits) yield `of ${orderId} ${waits} wait, and ${rests} rest in its market`;
    const isOpen = risks.get(accountId)?.open.has(orderId) ?? false;
    if (isOpen !== isWorking) yield `${orderId} is ${status}, and open at risk: ${isOpen}`;
  }
  const open = risks.values().reduce((sum, { open }) => sum + open.size, 0);
  if (open !== resting.size) yield `${open} orders are open at risk, and ${resting.size} rest`;
}
