/** What came into a portfolio from elsewhere, or left it. */
import type { FeedEvent } from "../../lib/runtime/store.ts";
import type { Transfer } from "../trading_transfers.ts";
import { Event } from "./aggregate.ts";

export function transferIn({ data }: FeedEvent): Transfer | undefined {
  const event = Event.parse(data);
  switch (event.type) {
    case "SharesDeposited":
      return { symbol: event.symbol, units: BigInt(event.quantity) };
    case "SharesWithdrawn":
      return { symbol: event.symbol, units: -BigInt(event.quantity) };
    default:
      return undefined;
  }
}
