/** What a portfolio remembers. */
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import { type Lots, noLots } from "./lots.ts";

/** The shares of one symbol. */
export interface Position {
  readonly symbol: string;
  /** What is kept for orders included. */
  readonly quantity: number;
  readonly reserved: number;
  readonly lots: Lots;
  /** By what was sold since the first share was bought; in units of cash. */
  readonly earned: bigint;
}

export interface Reservation {
  readonly orderId: string;
  readonly symbol: string;
  /** More than 0. */
  readonly quantity: number;
}

export interface State {
  /** By symbol; without those of which there are no shares. */
  readonly positions: PersistentMap<string, Position>;
  /** By order. */
  readonly reservations: PersistentMap<string, Reservation>;
  /** By all that was ever sold, also of positions that are over; in units of cash. */
  readonly realized: bigint;
}

export const initial: State = {
  positions: PersistentMap.of(),
  reservations: PersistentMap.of(),
  realized: 0n,
};

export function positionOf({ positions }: State, symbol: string): Position {
  return positions.get(symbol) ?? { symbol, quantity: 0, reserved: 0, lots: noLots, earned: 0n };
}

/** How many shares are kept for that order. */
export function keptFor({ reservations }: State, orderId: string): number {
  return reservations.get(orderId)?.quantity ?? 0;
}
