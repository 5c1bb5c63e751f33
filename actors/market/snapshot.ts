/** How a market is written down: its orders from first to last, from which the book is made anew. */
import { z } from "zod";
import type { SnapshotCodec } from "../../lib/runtime/aggregate.ts";
import { Price, Quantity, type Side } from "../trading.ts";
import { type Alerts, noAlerts, withAlert } from "./alerts.ts";
import { type Book, empty, rested } from "./book.ts";
import { conditions, initial, type State } from "./state.ts";

/** Id, account, price, what is left. */
const Orders = z.array(z.tuple([z.string(), z.string(), Price, Quantity]));
const Alert = z.tuple([z.string(), z.string(), z.enum(conditions), z.int()]);

const Encoded = z.tuple([
  z.enum(["open", "paused"]),
  Price,
  z.int(),
  z.int().positive(),
  Orders,
  Orders,
  z.array(Alert),
]);
type Encoded = z.infer<typeof Encoded>;

/** A market of which nothing is known is written as null. */
export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: (state) => state.status === "unknown" ? null : encode(state, state.status),
  decode: (encoded) => encoded === null ? initial : decode(Encoded.parse(encoded)),
};

function encode(state: State, status: Encoded[0]): Encoded {
  const { price, sentiment, nextTrade, book, alerts } = state;
  return [
    status,
    price,
    sentiment,
    nextTrade,
    ordersOf(book, "buy"),
    ordersOf(book, "sell"),
    alerts.byId.values().map((
      { alertId, ownerId, condition, value },
    ) => [alertId, ownerId, condition, value]),
  ];
}

function ordersOf({ orders }: Book, side: Side): z.infer<typeof Orders> {
  return orders.values()
    .filter((resting) => resting.side === side)
    .toSorted((a, b) => a.place - b.place)
    .map(({ id, accountId, price, remaining }) => [id, accountId, price, remaining]);
}

/** Places are given anew: nobody outside the book knows them, and at each price the order is kept. */
function decode([status, price, sentiment, nextTrade, bids, asks, alerts]: Encoded): State {
  const book = withOrders(withOrders(empty, "buy", bids), "sell", asks);
  if (book.orders.size !== bids.length + asks.length) {
    throw new TypeError("Cannot decode a market: an order occurs twice in its book");
  }
  return { status, price, sentiment, nextTrade, book, alerts: alertsOf(alerts) };
}

function withOrders(book: Book, side: Side, orders: z.infer<typeof Orders>): Book {
  return orders.reduce((book, [id, accountId, price, remaining]) => {
    return rested(book, { id, accountId, side, price, remaining });
  }, book);
}

function alertsOf(alerts: readonly z.infer<typeof Alert>[]): Alerts {
  return alerts.reduce((all, [alertId, ownerId, condition, value]) => {
    return withAlert(all, { alertId, ownerId, condition, value });
  }, noAlerts);
}
