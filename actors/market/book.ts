/**
 * A limit order book: who offers how much at what price, the best price first and, at one price,
 * whoever came first.
 *
 * Everything here is pure and persistent: a change gives a new book and leaves the old one as it was.
 * Prices and quantities are whole numbers of the smallest unit, see `trading.ts`.
 *
 * @module
 */
import { joined, type Line, lineOf, tidied } from "../../lib/runtime/persistent_line.ts";
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import type { Side } from "../trading.ts";

/** What is left of an order that waits for somebody to trade with. */
export interface Resting {
  readonly id: string;
  readonly accountId: string;
  readonly side: Side;
  readonly price: number;
  /** More than 0. */
  readonly remaining: number;
  /** Later than that of all who came before. */
  readonly place: number;
}

/** All who ask one price. */
export interface Level {
  readonly price: number;
  /** What they want, together; more than 0. */
  readonly quantity: number;
  /** How many they are. */
  readonly orders: number;
  /** Who has been filled or withdrawn may still be in it. */
  readonly line: Line<Resting>;
}

export interface Book {
  /** The best, which is the highest, last. */
  readonly bids: readonly Level[];
  /** The best, which is the lowest, last. */
  readonly asks: readonly Level[];
  readonly orders: PersistentMap<string, Resting>;
  readonly nextPlace: number;
}

export const empty: Book = { bids: [], asks: [], orders: PersistentMap.of(), nextPlace: 0 };

/** Puts an order behind all others of its price. Its id must be new to the book. */
export function rested(book: Book, order: Omit<Resting, "place">): Book {
  const resting = { ...order, place: book.nextPlace };
  const ladder = ladderOf(book, order.side);
  const at = indexOf(ladder, order);
  const level = ladder[at];
  const levels = level?.price === order.price
    ? ladder.with(at, {
      price: level.price,
      quantity: level.quantity + order.remaining,
      orders: level.orders + 1,
      line: joined(level.line, resting),
    })
    : ladder.toSpliced(at, 0, {
      price: order.price,
      quantity: order.remaining,
      orders: 1,
      line: lineOf(resting),
    });
  return {
    ...withLadder(book, order.side, levels),
    orders: book.orders.set(order.id, resting),
    nextPlace: book.nextPlace + 1,
  };
}

/** Makes an order smaller. It keeps its place, or is gone with the last of it. */
export function lessened(book: Book, orderId: string, quantity: number): Book {
  const resting = book.orders.get(orderId);
  if (resting === undefined) return book;
  return taken(book, resting, Math.min(quantity, resting.remaining));
}

/** Takes out an order; the same book if it does not rest in it. */
export function withdrawn(book: Book, orderId: string): Book {
  const resting = book.orders.get(orderId);
  return resting === undefined ? book : taken(book, resting, resting.remaining);
}

/** Those who would trade with an order of `side`, the best last. */
export function oppositeOf(book: Book, side: Side): readonly Level[] {
  return side === "buy" ? book.asks : book.bids;
}

function taken(book: Book, resting: Resting, quantity: number): Book {
  const { id, side } = resting;
  const remaining = resting.remaining - quantity;
  const orders = remaining === 0
    ? book.orders.delete(id)
    : book.orders.set(id, { ...resting, remaining });
  const ladder = ladderOf(book, side);
  const at = indexOf(ladder, resting);
  const level = ladder[at]!;
  const left = level.quantity - quantity;
  if (left === 0) return { ...withLadder(book, side, ladder.toSpliced(at, 1)), orders };
  const levels = ladder.with(
    at,
    remaining === 0 ? withoutOne(level, left, orders) : { ...level, quantity: left },
  );
  return { ...withLadder(book, side, levels), orders };
}

function withoutOne(level: Level, quantity: number, orders: Book["orders"]): Level {
  const standing = level.orders - 1;
  const hasLeft = ({ id, place }: Resting) => orders.get(id)?.place !== place;
  const line = tidied(level.line, standing, hasLeft);
  return { price: level.price, quantity, orders: standing, line };
}

function ladderOf(book: Book, side: Side): readonly Level[] {
  return side === "buy" ? book.bids : book.asks;
}

function withLadder(book: Book, side: Side, levels: readonly Level[]): Book {
  return side === "buy" ? { ...book, bids: levels } : { ...book, asks: levels };
}

/** Where the level of a price is, or belongs. */
function indexOf(ladder: readonly Level[], { side, price }: Pick<Resting, "side" | "price">) {
  let low = 0;
  let high = ladder.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const isBetter = side === "buy" ? price > ladder[middle]!.price : price < ladder[middle]!.price;
    if (isBetter) low = middle + 1;
    else high = middle;
  }
  return low;
}
