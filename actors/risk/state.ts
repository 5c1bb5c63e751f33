/** What is known of the risk of one person. */
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import { DAY_MS } from "../trading.ts";
import type { limitNames } from "./events.ts";

export type LimitName = typeof limitNames[number];

export interface Position {
  readonly symbol: string;
  /** As is heard of trades and transfers, in any order: it may be below 0 for a moment. */
  readonly quantity: number;
}

export interface OpenOrder {
  readonly orderId: string;
  /** Empty if an older release let it through. */
  readonly symbol: string;
  /** What can still be spent on it at most, if it buys; to sell costs nothing. */
  readonly cost: bigint;
}

export interface State {
  /** In units of cash; where one is missing, there is no limit. */
  readonly limits: Readonly<Partial<Record<LimitName, bigint>>>;
  readonly pausesOnBreach: boolean;
  readonly paused: "asked" | LimitName | undefined;
  /** By order. */
  readonly open: PersistentMap<string, OpenOrder>;
  /** Of all of them, and of those for each symbol; without symbols that nothing is spent on. */
  readonly openCost: bigint;
  readonly openCosts: PersistentMap<string, bigint>;
  /** By symbol; without those of which there are no shares. */
  readonly positions: PersistentMap<string, Position>;
  /** Of the last day on which anything was sold. */
  readonly day: number;
  readonly earned: bigint;
}

export const initial: State = {
  limits: {},
  pausesOnBreach: false,
  paused: undefined,
  open: PersistentMap.of(),
  openCost: 0n,
  openCosts: PersistentMap.of(),
  positions: PersistentMap.of(),
  day: 0,
  earned: 0n,
};

export function costOfOpen({ open }: State, orderId: string): bigint {
  return open.get(orderId)?.cost ?? 0n;
}

/** Of all open orders for that symbol. */
export function costOfAllFor({ openCosts }: State, symbol: string): bigint {
  return openCosts.get(symbol) ?? 0n;
}

export function sharesOf({ positions }: State, symbol: string): number {
  return positions.get(symbol)?.quantity ?? 0;
}

/** Of UTC, counted from 1970. */
export function dayOf(at: number): number {
  return Math.floor(at / DAY_MS);
}

/** What has been lost on a day, and not earned again. */
export function lossOf({ day, earned }: State, ofDay: number): bigint {
  return day === ofDay && earned < 0n ? -earned : 0n;
}
