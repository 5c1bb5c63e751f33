/**
 * What a portfolio is worth at the prices of now.
 *
 * @module
 */
import { costOf } from "../trading.ts";
import { lotsOf } from "./lots.ts";
import type { Position, State } from "./state.ts";

export interface ValuedPosition {
  readonly symbol: string;
  readonly quantity: number;
  /** Of one share, now. */
  readonly price: number;
  /** What its shares cost, and would bring; in units of cash. */
  readonly cost: bigint;
  readonly value: bigint;
  /** By shares that were sold since the first was bought. */
  readonly earned: bigint;
}

export interface Valuation {
  /** By symbol. */
  readonly positions: readonly ValuedPosition[];
  readonly value: bigint;
  /** By all that was ever sold, also of positions that are over. */
  readonly realized: bigint;
}

/** A share without a price is worth nothing, as nobody is known to buy it. */
export function valuationOf(
  { positions, realized }: State,
  prices: ReadonlyMap<string, number>,
): Valuation {
  const valued = positions.values()
    .map((position) => valuedAt(position, prices.get(position.symbol) ?? 0))
    .toSorted((a, b) => a.symbol < b.symbol ? -1 : 1);
  const value = valued.reduce((sum, { value }) => sum + value, 0n);
  return { positions: valued, value, realized };
}

function valuedAt({ symbol, quantity, lots, earned }: Position, price: number): ValuedPosition {
  const cost = lotsOf(lots).reduce((sum, lot) => sum + costOf(lot.price, lot.quantity), 0n);
  return { symbol, quantity, price, cost, value: costOf(price, quantity), earned };
}
