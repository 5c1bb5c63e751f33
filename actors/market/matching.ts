/**
 * Which orders of a book a new one trades with: the best price first and, at one price, whoever came
 * first (price-time priority, as on NASDAQ and most exchanges).
 *
 * @module
 */
import type { Rest, Side, TimeInForce } from "../trading.ts";
import { type Book, lessened, oppositeOf, rested } from "./book.ts";

/** With so many orders one trades at a time: what follows from each trade is told in the same commit. */
export const TRADES_MAX = 500;

export interface Incoming {
  readonly id: string;
  readonly accountId: string;
  readonly side: Side;
  /** The worst it trades at. A market order has one too: it keeps whoever placed it from surprises. */
  readonly limit: number;
  /** More than 0. */
  readonly quantity: number;
  readonly timeInForce: TimeInForce;
}

/** Part of an order that rested is traded, at its price. */
export interface Trade {
  readonly orderId: string;
  readonly accountId: string;
  readonly price: number;
  readonly quantity: number;
}

export interface Matching {
  readonly trades: readonly Trade[];
  readonly remaining: number;
  /**
   * `self-trade`: the next to trade with was of the same account. `goes-on`: there are others to trade
   * with, and it has to come again, with what remains, before any other does.
   */
  readonly rest: Rest;
}

/** What an order leads to. The book is as before; see {@linkcode matched}. */
export function match(book: Book, order: Incoming): Matching {
  if (order.timeInForce === "fill-or-kill") {
    const whole = crossed(book, order, Infinity);
    // All or nothing: what could have been traded is left to others.
    if (whole.remaining > 0) return { ...whole, trades: [], remaining: order.quantity };
  }
  return crossed(book, order, TRADES_MAX);
}

/** The book once an order has been matched so. */
export function matched(book: Book, order: Incoming, { trades, remaining, rest }: Matching): Book {
  let after = book;
  for (const { orderId, quantity } of trades) after = lessened(after, orderId, quantity);
  if (rest !== "rests") return after;
  const { id, accountId, side, limit: price } = order;
  return rested(after, { id, accountId, side, price, remaining });
}

function crossed(book: Book, order: Incoming, tradesMax: number): Matching {
  const levels = oppositeOf(book, order.side);
  const trades: Trade[] = [];
  let remaining = order.quantity;
  for (let best = levels.length - 1; best >= 0 && remaining > 0; best--) {
    const { price, line: { places, start, end } } = levels[best]!;
    if (order.side === "buy" ? price > order.limit : price < order.limit) break;
    for (let at = start; at < end && remaining > 0; at++) {
      const { id, accountId, place } = places[at]!;
      const resting = book.orders.get(id);
      if (resting?.place !== place) continue;
      if (accountId === order.accountId) return { trades, remaining, rest: "self-trade" };
      if (trades.length === tradesMax) return { trades, remaining, rest: "goes-on" };
      const quantity = Math.min(remaining, resting.remaining);
      trades.push({ orderId: id, accountId, price, quantity });
      remaining -= quantity;
    }
  }
  if (remaining === 0) return { trades, remaining, rest: "none" };
  const rest = order.timeInForce === "day" ? "rests" : "nobody-to-trade-with";
  return { trades, remaining, rest };
}
