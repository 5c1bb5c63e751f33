/** Whom it concerns that something befell a market. */
import type { FeedEvent } from "../../lib/runtime/store.ts";
import type { Audience } from "../trading_alerts.ts";
import { Event } from "./aggregate.ts";

/** Who asked to hear of it; else all who look at the market. */
export function audienceOf({ address: { key: symbol }, data }: FeedEvent): Audience {
  const event = Event.parse(data);
  return event.type === "AlertTriggered" ? { accountId: event.ownerId } : { symbol };
}
