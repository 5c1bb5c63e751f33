/**
 * Which orders bring a portfolio to the weights that are wanted.
 *
 * @module
 */
import { costOf, QUANTITY_DECIMALS, QUANTITY_MAX, type Side } from "../trading.ts";
import type { Valuation } from "./valuation.ts";

/** Weights are whole numbers of 10^-4: together at most this, and what is left of it stays cash. */
export const WHOLE = 10_000;

export interface Target {
  readonly symbol: string;
  /** Of what all is worth. */
  readonly weight: number;
  /** Of one share, now; more than 0. */
  readonly price: number;
}

export interface ProposedOrder {
  readonly symbol: string;
  readonly side: Side;
  readonly price: number;
  readonly quantity: number;
}

/**
 * Orders at the prices of now, those that sell first: what they bring pays for the others, which get as
 * much of it as is left. Only whole shares are traded. What has no target stays.
 */
export function rebalanced(
  { positions, value }: Valuation,
  cash: bigint,
  targets: readonly Target[],
): readonly ProposedOrder[] {
  const held = new Map(positions.map((position) => [position.symbol, position.value]));
  const worth = value + cash;
  const differing = targets.map(({ symbol, weight, price }) => {
    const wanted = worth * BigInt(weight) / BigInt(WHOLE);
    return { symbol, price, missing: wanted - (held.get(symbol) ?? 0n) };
  });
  let left = cash;
  const sales = differing.filter(({ missing }) => missing < 0n)
    .map(({ symbol, price, missing }) => order("sell", symbol, price, -missing));
  for (const { price, quantity } of sales) left += costOf(price, quantity);
  const purchases = differing.filter(({ missing }) => missing > 0n)
    .map(({ symbol, price, missing }) => {
      const purchase = order("buy", symbol, price, missing < left ? missing : left);
      left -= costOf(price, purchase.quantity);
      return purchase;
    });
  return [...sales, ...purchases].filter(({ quantity }) => quantity > 0);
}

const SHARE = 10 ** QUANTITY_DECIMALS;

/** For as many whole shares as cost no more than that. */
function order(side: Side, symbol: string, price: number, amount: bigint): ProposedOrder {
  const shares = amount / costOf(price, SHARE);
  const most = BigInt(QUANTITY_MAX / SHARE);
  return { symbol, side, price, quantity: Number(shares < most ? shares : most) * SHARE };
}
