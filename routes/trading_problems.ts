/** How each refusal in trading reads over HTTP; a reason without a face does not compile. */
import type * as Account from "../actors/account/aggregate.ts";
import type * as Market from "../actors/market/aggregate.ts";
import type * as Order from "../actors/order/aggregate.ts";
import type * as Portfolio from "../actors/portfolio/aggregate.ts";
import type * as Risk from "../actors/risk/aggregate.ts";
import type { Foreseen } from "../actors/trading.ts";
import { refusals } from "../lib/http/refusals.ts";

export const orders = refusals<Order.Reason>("order", "order", {
  "not-found": { status: 404, title: "No such order" },
  "already-exists": { status: 409, title: "The order exists already" },
  "ended": { status: 409, title: "The order has come to its end" },
  "not-working": { status: 409, title: "The order does not wait in its market" },
  "being-replaced": { status: 409, title: "The order is being replaced already" },
  "quantity-below-filled": { status: 409, title: "More than that has been traded already" },
  "unknown-symbol": { status: 422, title: "Nothing is traded under that symbol" },
  "market-paused": { status: 409, title: "Trading in that symbol is paused" },
  "trading-paused": { status: 409, title: "The account's trading is paused" },
  "insufficient-cash": { status: 409, title: "The account has not as much cash to spare" },
  "insufficient-shares": { status: 409, title: "The account has not as many shares to spare" },
});

/** Why an order cannot be placed, as far as that is known before it is on its way. */
export const foreseen = [
  "unknown-symbol",
  "market-paused",
  "trading-paused",
  "insufficient-cash",
  "insufficient-shares",
] as const satisfies readonly Foreseen[];

export const accounts = refusals<Account.Reason | Portfolio.Reason>("account", "account", {
  "insufficient-cash": { status: 409, title: "The account has not as much cash to spare" },
  "insufficient-shares": { status: 409, title: "The account has not as many shares to spare" },
});

export const markets = refusals<Market.Reason>("market", "market", {
  "not-found": { status: 404, title: "No such market, or alert" },
  "already-paused": { status: 409, title: "Trading is paused already" },
  "not-paused": { status: 409, title: "Trading is not paused" },
  "already-exists": { status: 409, title: "The alert exists already" },
  "too-many-own-alerts": { status: 409, title: "You have as many alerts there as one may" },
  "too-many-alerts": { status: 409, title: "There are as many alerts as the market takes" },
});

export const risks = refusals<Risk.Reason>("risk", "account", {
  "already-paused": { status: 409, title: "Trading is paused already" },
  "not-paused": { status: 409, title: "Trading is not paused" },
});
