/** How a market is written down: its orders from first to last, from which the book is made anew. */
import { z } from "zod";
import type { SnapshotCodec } from "../../lib/runtime/aggregate.ts";
import { Price, Quantity, type Side } from "../trading.ts";
import { type Alerts, dueOf, noAlerts, withAlert, withDue } from "./alerts.ts";
import { type Book, empty, rested } from "./book.ts";
import { Submission, Told } from "./events.ts";
import { type Alert as SetAlert, conditions, initial, type State } from "./state.ts";

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
  /** Those that are due, with the price and the volume by which they were met. */
  z.array(z.tuple([Alert, z.int(), z.int()])),
  z.object({ order: Submission, traded: z.int() }).nullable(),
  z.array(Told),
]);
type Encoded = z.infer<typeof Encoded>;

/** A market of which nothing is known is written as null. */
export const snapshot: SnapshotCodec<State> = {
  schema: 2,
  encode: (state) => state.status === "unknown" ? null : encode(state, state.status),
  decode: (encoded) => encoded === null ? initial : decode(Encoded.parse(encoded)),
};

function encode(state: State, status: Encoded[0]): Encoded {
  const { price, sentiment, nextTrade, book, alerts, unfinished, waiting } = state;
  return [
    status,
    price,
    sentiment,
    nextTrade,
    ordersOf(book, "buy"),
    ordersOf(book, "sell"),
    alerts.byId.values().toSorted((one, next) => one.place - next.place).map(alertIn),
    dueOf(alerts).map(({ alert, occasion: { price, volume } }) => [alertIn(alert), price, volume]),
    unfinished ?? null,
    waiting?.places.slice(waiting.start, waiting.end) ?? [],
  ];
}

function alertIn({ alertId, ownerId, condition, value }: SetAlert): z.infer<typeof Alert> {
  return [alertId, ownerId, condition, value];
}

function ordersOf({ orders }: Book, side: Side): z.infer<typeof Orders> {
  return orders.values()
    .filter((resting) => resting.side === side)
    .toSorted((a, b) => a.place - b.place)
    .map(({ id, accountId, price, remaining }) => [id, accountId, price, remaining]);
}

/** Places are given anew: nobody outside the book knows them, and at each price the order is kept. */
function decode(encoded: Encoded): State {
  const [status, price, sentiment, nextTrade, bids, asks, alerts, due, unfinished, told] = encoded;
  const book = withOrders(withOrders(empty, "buy", bids), "sell", asks);
  if (book.orders.size !== bids.length + asks.length) {
    throw new TypeError("Cannot decode a market: an order occurs twice in its book");
  }
  return {
    status,
    price,
    sentiment,
    nextTrade,
    book,
    alerts: withAllDue(alertsOf(alerts), due),
    unfinished: unfinished ?? undefined,
    waiting: told.length > 0 ? { places: told, start: 0, end: told.length } : undefined,
  };
}

function withOrders(book: Book, side: Side, orders: z.infer<typeof Orders>): Book {
  return orders.reduce((book, [id, accountId, price, remaining]) => {
    return rested(book, { id, accountId, side, price, remaining });
  }, book);
}

function alertsOf(alerts: readonly z.infer<typeof Alert>[]): Alerts {
  return alerts.reduce((all, alert) => withAlert(all, alertFrom(alert)), noAlerts);
}

function withAllDue(alerts: Alerts, due: Encoded[7]): Alerts {
  return due.reduce((all, [alert, price, volume]) => {
    return { ...all, due: withDue(all.due, alertFrom(alert), { price, volume }) };
  }, alerts);
}

function alertFrom([alertId, ownerId, condition, value]: z.infer<typeof Alert>): SetAlert {
  return { alertId, ownerId, condition, value };
}
