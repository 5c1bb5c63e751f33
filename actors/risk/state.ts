/** What is known of the risk of one person. */
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import type { limitNames } from "./events.ts";

export type LimitName = typeof limitNames[number];

export interface Position {
  readonly symbol: string;
  /** In the order in which trades are heard of, which may be below 0 for a moment. */
  readonly quantity: number;
}

export interface OpenOrder {
  readonly orderId: string;
  /** At most, if it buys; to sell costs nothing. */
  readonly cost: bigint;
}

export interface State {
  /** In units of cash; where one is missing, there is no limit. */
  readonly limits: Readonly<Partial<Record<LimitName, bigint>>>;
  readonly pausesOnBreach: boolean;
  readonly paused: "asked" | LimitName | undefined;
  /** By order. */
  readonly open: PersistentMap<string, OpenOrder>;
  /** Of all of them. */
  readonly openCost: bigint;
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
  positions: PersistentMap.of(),
  day: 0,
  earned: 0n,
};

export function costOfOpen({ open }: State, orderId: string): bigint {
  return open.get(orderId)?.cost ?? 0n;
}

export function sharesOf({ positions }: State, symbol: string): number {
  return positions.get(symbol)?.quantity ?? 0;
}

const DAY_MS = 24 * 3_600_000;

/** Of UTC, counted from 1970. */
export function dayOf(at: number): number {
  return Math.floor(at / DAY_MS);
}

/** What has been lost on a day, and not earned again. */
export function lossOf({ day, earned }: State, ofDay: number): bigint {
  return day === ofDay && earned < 0n ? -earned : 0n;
}
