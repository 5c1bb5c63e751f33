/**
 * How markets read: prices, books, trades.
 *
 * @module
 */
import { z } from "zod";
import type { Book, Level } from "../actors/market/book.ts";
import type { listTrades } from "../actors/market/listing.ts";
import type { State } from "../actors/market/state.ts";
import { sides } from "../actors/trading.ts";
import { time } from "../lib/http/instant.ts";
import { pageSchema } from "../lib/http/pages.ts";
import { amount, CURRENCY, currency, priceText, quantityText, symbol } from "./trading_schemas.ts";

const market = {
  symbol,
  status: z.enum(["open", "paused"]),
  price: amount.describe("Of the last trade or quotation"),
  currency,
  sentiment: z.int().describe("From -100, all are for selling, to 100"),
  version: z.int(),
};

const example = {
  symbol: "ACME",
  status: "open",
  price: "9.5",
  currency: CURRENCY,
  sentiment: 0,
  version: 4,
} as const;

export const Market = z.strictObject(market).meta({ id: "Market", examples: [example] });

const Levels = z.array(z.strictObject({
  price: amount,
  quantity: amount,
  orders: z.int(),
})).describe("What is waiting at each price, the best first");

export const MarketBook = z.strictObject({ ...market, bids: Levels, asks: Levels }).meta({
  id: "MarketBook",
  examples: [{ ...example, bids: [], asks: [{ price: "9.5", quantity: "8", orders: 1 }] }],
});

export const Trades = pageSchema(
  z.strictObject({
    number: z.int().describe("The trades of a market are numbered from 1"),
    at: time,
    side: z.enum(sides).describe("Of the order that came to one that waited"),
    price: amount,
    quantity: amount,
    currency,
  }).meta({ id: "Trade" }),
);

export const NewAlertAnswer = z.strictObject({ id: z.uuid() });

export function marketView(symbol: string, { status, price, sentiment }: State, version: number) {
  return { symbol, status, price: priceText(price), currency: CURRENCY, sentiment, version };
}

/** The best prices first. */
export function bookView({ bids, asks }: Book, depth: number) {
  const side = (levels: readonly Level[]) => levels.slice(-depth).toReversed().map(levelView);
  return { bids: side(bids), asks: side(asks) };
}

function levelView({ price, quantity, orders }: Level) {
  return { price: priceText(price), quantity: quantityText(quantity), orders };
}

type Trade = Awaited<ReturnType<typeof listTrades>>[number];

export function tradeView({ number, at, price, quantity, side }: Trade) {
  return {
    number: Number(number),
    at,
    side,
    price: priceText(Number(price)),
    quantity: quantityText(Number(quantity)),
    currency: CURRENCY,
  };
}
