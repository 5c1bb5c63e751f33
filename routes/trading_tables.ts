/** The read tables of trading, and what says how far each is. */
import type { Kysely } from "kysely";
import type { MarketTables } from "../actors/market/projection.ts";
import type { OrderTables } from "../actors/order/projection.ts";
import type { AlertTables } from "../actors/trading_alerts.ts";
import type { TransferTables } from "../actors/trading_transfers.ts";
import type { Showing } from "./consistency.ts";

export interface TradingTables {
  readonly db: Kysely<OrderTables & MarketTables & TransferTables & AlertTables>;
  /** Orders, and what of them was traded. */
  readonly orders: Showing;
  /** Trades and prices. */
  readonly tape: Showing;
  readonly transfers: Showing;
  readonly alerts: Showing;
}
