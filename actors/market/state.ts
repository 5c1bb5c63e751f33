/** What a market remembers. */
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

export interface State {
  /** Nothing can be traded before a price is known. */
  readonly status: "unknown" | "open" | "paused";
  /** Of the last trade or quotation; 0 while there was none. */
  readonly price: number;
  readonly sentiment: number;
  readonly nextTrade: number;
  readonly book: Book;
  readonly alerts: Alerts;
}

export const initial: State = {
  status: "unknown",
  price: 0,
  sentiment: 0,
  nextTrade: 1,
  book: empty,
  alerts: noAlerts,
};
