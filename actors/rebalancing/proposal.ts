/**
 * Which orders bring a portfolio to the weights that are wanted.
 *
 * @module
 */
import { costOf, QUANTITY_DECIMALS, QUANTITY_MAX, type Side } from "../trading.ts";

/** Weights are whole numbers of 10^-4: together at most this, and what is left of it stays cash. */
export const WHOLE = 10_000;

export interface Target {
  readonly symbol: string;
  /** Of what all is worth. */
  readonly weight: number;
  /** Of one share, now; more than 0. */
  readonly price: number;
  /** Of the shares that are held, at that price; in units of cash. */
  readonly value: bigint;
  /** Of those shares, what is kept for no order. */
  readonly available: number;
}

export interface ProposedOrder {
  readonly symbol: string;
  readonly side: Side;
  readonly price: number;
  readonly quantity: number;
}

/** The cash at hand does not pay for it, or the shares are kept for orders. */
export const omittedReasons = ["unfunded", "reserved"] as const;

export interface OmittedOrder extends ProposedOrder {
  readonly reason: typeof omittedReasons[number];
}

export interface Proposal {
  /** Each can be carried out, whatever becomes of the others. */
  readonly orders: readonly ProposedOrder[];
  /** What the weights would take besides: to be asked for again once sales have ended. */
  readonly omitted: readonly OmittedOrder[];
}

/**
 * Orders at the prices of now, those that sell first. Nobody knows yet what sales will bring, so
 * purchases get as much of the `cash` at hand as is left. Only whole shares are traded. What has no
 * target stays.
 */
export function rebalanced(worth: bigint, cash: bigint, targets: readonly Target[]): Proposal {
  const orders: ProposedOrder[] = [];
  const omitted: OmittedOrder[] = [];
  const part = (order: ProposedOrder, most: number, reason: OmittedOrder["reason"]): number => {
    const quantity = Math.min(order.quantity, most);
    if (quantity > 0) orders.push({ ...order, quantity });
    const rest = order.quantity - quantity;
    if (rest > 0) omitted.push({ ...order, quantity: rest, reason });
    return quantity;
  };
  const differing = targets.map((target) => {
    return { ...target, missing: worth * BigInt(target.weight) / BigInt(WHOLE) - target.value };
  });
  for (const { symbol, price, available, missing } of differing) {
    if (missing >= 0n) continue;
    const quantity = sharesFor(-missing, price);
    part({ symbol, side: "sell", price, quantity }, available - available % SHARE, "reserved");
  }
  let left = cash;
  for (const { symbol, price, missing } of differing) {
    if (missing <= 0n) continue;
    const order = { symbol, side: "buy", price, quantity: sharesFor(missing, price) } as const;
    left -= costOf(price, part(order, sharesFor(left, price), "unfunded"));
  }
  return { orders, omitted };
}

const SHARE = 10 ** QUANTITY_DECIMALS;

/** As many whole shares as cost no more than that. */
function sharesFor(amount: bigint, price: number): number {
  const shares = amount / costOf(price, SHARE);
  const most = BigInt(QUANTITY_MAX / SHARE);
  return Number(shares < most ? shares : most) * SHARE;
}
