/** What came into an account from elsewhere, or left it. */
import type { FeedEvent } from "../../lib/runtime/store.ts";
import type { Transfer } from "../trading_transfers.ts";
import { Event } from "./aggregate.ts";

export function transferIn({ data }: FeedEvent): Transfer | undefined {
  const event = Event.parse(data);
  switch (event.type) {
    case "Deposited":
      return { units: BigInt(event.amount) };
    case "Withdrawn":
      return { units: -BigInt(event.amount) };
    default:
      return undefined;
  }
}
