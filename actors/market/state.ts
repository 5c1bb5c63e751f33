/** What a market remembers. */
import type { Line } from "../../lib/runtime/persistent_line.ts";
import type { ToMarket } from "../trading.ts";
import { type Alerts, noAlerts } from "./alerts.ts";
import { type Book, empty } from "./book.ts";

export const conditions = ["price-at-least", "price-at-most", "volume-at-least"] as const;
export type Condition = typeof conditions[number];

/** What somebody wants to hear of, once. */
export interface Alert {
  readonly alertId: string;
  readonly ownerId: string;
  readonly condition: Condition;
  /** A price, or a quantity. */
  readonly value: number;
}

/** An order in the middle of its matching. */
export interface Unfinished {
  /** As it comes next, for what is left of it. */
  readonly order: Extract<ToMarket, { readonly type: "Submit" }>;
  /** What it has traded since it came. */
  readonly traded: number;
}

export interface State {
  /** Nothing can be traded before a price is known. */
  readonly status: "unknown" | "open" | "paused";
  /** Of the last trade or quotation; 0 while there was none. */
  readonly price: number;
  readonly sentiment: number;
  readonly nextTrade: number;
  readonly book: Book;
  readonly alerts: Alerts;
  readonly unfinished: Unfinished | undefined;
  /** What has come since an order was in the middle of its matching, the first first. */
  readonly waiting: Line<ToMarket> | undefined;
}

export const initial: State = {
  status: "unknown",
  price: 0,
  sentiment: 0,
  nextTrade: 1,
  book: empty,
  alerts: noAlerts,
  unfinished: undefined,
  waiting: undefined,
};
