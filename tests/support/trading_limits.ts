/**
 * Whether people keep within what they may risk, told from what orders, portfolios and markets have
 * recorded and from nothing that risk remembers.
 *
 * @module
 */
import assert from "node:assert/strict";
import * as Order from "../../actors/order/aggregate.ts";
import { hasEnded, isReduction, remainingOf } from "../../actors/order/state.ts";
import { costOf } from "../../actors/trading.ts";
import type { TradingFloor } from "./trading_floor.ts";

export interface Limits {
  readonly orderCost: string;
  readonly openCost: string;
  readonly positionCost: string;
}

/**
 * At every moment, if everybody has had the same limits from the beginning and has brought shares in
 * only before. A position is counted at the lowest price at which anything is wanted.
 */
export function assertWithinLimits(floor: TradingFloor, limits: Limits, lowest: number): void {
  const open = new Map<string, bigint>();
  const shares = transferredIn(floor);
  for (const [orderId, order] of floor.all<Order.State>("order")) {
    const { accountId, symbol, side, limit, filled, kept } = order;
    const position = `${accountId} ${symbol}`;
    const isOpen = !hasEnded(order) && kept > 0n;
    const remaining = isOpen ? remainingOf(order) : 0;
    const cost = costOf(limit, remaining);
    assert(cost <= BigInt(limits.orderCost), `${orderId} may cost ${cost}`);
    const gained = side === "buy" ? filled + remaining : -filled;
    shares.set(position, (shares.get(position) ?? 0) + gained);
    if (side === "buy") open.set(accountId, (open.get(accountId) ?? 0n) + cost);
  }
  for (const [accountId, cost] of open) {
    assert(cost <= BigInt(limits.openCost), `${accountId} has ${cost} open`);
  }
  for (const [position, quantity] of shares) {
    const cost = costOf(lowest, quantity);
    assert(cost <= BigInt(limits.positionCost), `${position} may become ${quantity}`);
  }
}

/** Of each person and symbol, the shares that came from elsewhere less those that went there. */
function transferredIn({ recorded }: TradingFloor): Map<string, number> {
  const shares = new Map<string, number>();
  for (const { key, event } of recorded) {
    const { type, symbol, quantity } = event as { type: string; symbol: string; quantity: number };
    if (type !== "SharesDeposited" && type !== "SharesWithdrawn") continue;
    const position = `${key} ${symbol}`;
    const more = type === "SharesDeposited" ? quantity : -quantity;
    shares.set(position, (shares.get(position) ?? 0) + more);
  }
  return shares;
}

/** Nothing is let through while its account is paused, and nothing risks more than was let through. */
export function assertLetThrough({ recorded }: TradingFloor): void {
  const orders = new Map<string, Order.State>();
  const paused = new Set<string>();
  const letThrough = new Set<string>();
  for (const { kind, key, event } of recorded) {
    if (kind === "risk") {
      if (event.type === "TradingPaused") paused.add(key);
      if (event.type === "TradingResumed") paused.delete(key);
      if (event.type !== "OrderApproved") continue;
      assert(!paused.has(key), `${event.orderId} is let through while ${key} is paused`);
      letThrough.add(event.orderId as string);
    }
    if (kind !== "order") continue;
    const before = orders.get(key) ?? Order.initial;
    const recordedOfOrder = event as unknown as Order.Event;
    orders.set(key, Order.evolve(before, recordedOfOrder));
    if (recordedOfOrder.type === "ReplaceRequested") letThrough.delete(key);
    if (recordedOfOrder.type !== "OrderReplaced") continue;
    const mayBe = letThrough.has(key) || isReduction(before, recordedOfOrder);
    assert(mayBe, `${key} has become what nobody let through`);
  }
}
