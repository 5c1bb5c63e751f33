/**
 * What was traded, and at what prices, as tables.
 *
 * @module
 */
import { type QueryExecutorProvider, sql } from "kysely";
import type { Projection } from "../../lib/runtime/projector.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import type { Side } from "../trading.ts";
import { Event, kind } from "./aggregate.ts";

type Int8 = number | bigint | string;

// A type, not an interface: Kysely extends a database only by what has an index signature.
export type MarketTables = {
  trade: {
    symbol: string;
    number: Int8;
    at: Date;
    price: Int8;
    quantity: Int8;
    /** Of who came, and did not wait for it. */
    side: Side;
  };
  /** From then on, until the next one. */
  market_price: { symbol: string; at: Date; version: Int8; price: Int8 };
};

interface PriceRow {
  readonly symbol: string;
  readonly at: string;
  readonly version: number;
  readonly price: number;
}

interface TradeRow extends Omit<PriceRow, "version"> {
  readonly number: number;
  readonly quantity: number;
  readonly side: Side;
}

/** Takes pages of any size in two statements, however many markets they speak of. */
export const marketProjection: Projection<QueryExecutorProvider> = {
  name: "market_tape",
  tables: ["trade", "market_price"],
  kind,
  types: ["PriceQuoted", "OrderSubmitted", "OrderReplaced"] satisfies readonly Event["type"][],
  hasIndex: true,
  async apply(transaction, recorded) {
    const told = recorded.map(rowsIn);
    await insertTrades(transaction, told.flatMap(({ trades }) => trades));
    await insertPrices(transaction, told.flatMap(({ prices }) => prices));
  },
};

interface Rows {
  readonly trades: readonly TradeRow[];
  readonly prices: readonly PriceRow[];
}

/** A price of each event that led to one: of several trades, that of the last. */
function rowsIn({ address: { key: symbol }, at: time, version, data }: FeedEvent): Rows {
  const event = Event.parse(data);
  const at = new Date(time).toISOString();
  if (event.type === "PriceQuoted") {
    return { trades: [], prices: [{ symbol, at, version, price: event.price }] };
  }
  if (event.type !== "OrderSubmitted" && event.type !== "OrderReplaced") {
    return { trades: [], prices: [] };
  }
  const { firstTrade, trades, side } = event;
  return {
    trades: trades.map(({ price, quantity }, index) => {
      return { symbol, side, at, number: firstTrade + index, price, quantity };
    }),
    prices: trades.slice(-1).map(({ price }) => ({ symbol, at, version, price })),
  };
}

async function insertTrades(transaction: QueryExecutorProvider, trades: readonly TradeRow[]) {
  if (trades.length === 0) return;
  await sql`
    insert into trade (symbol, number, at, price, quantity, side)
    select r.symbol, r.number, r.at, r.price, r.quantity, r.side
    from jsonb_to_recordset(${JSON.stringify(trades)}::text::jsonb) as r(symbol text,
      number bigint, at timestamptz, price bigint, quantity bigint, side text)`
    .execute(transaction);
}

async function insertPrices(transaction: QueryExecutorProvider, prices: readonly PriceRow[]) {
  if (prices.length === 0) return;
  await sql`
    insert into market_price (symbol, at, version, price)
    select r.symbol, r.at, r.version, r.price
    from jsonb_to_recordset(${JSON.stringify(prices)}::text::jsonb) as r(symbol text,
      at timestamptz, version bigint, price bigint)`.execute(transaction);
}
