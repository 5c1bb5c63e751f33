/**
 * How orders read: one of them, and those in a list.
 *
 * @module
 */
import { z } from "zod";
import { cancelledReasons, notReplacedReasons, rejectedReasons } from "../actors/order/events.ts";
import type { listOrders } from "../actors/order/listing.ts";
import { hasEnded, type State, statuses } from "../actors/order/state.ts";
import {
  omittedReasons,
  type Proposal as Proposed,
  type ProposedOrder,
} from "../actors/rebalancing/proposal.ts";
import { sides, timesInForce } from "../actors/trading.ts";
import { time } from "../lib/http/instant.ts";
import { pageSchema } from "../lib/http/pages.ts";
import { amount, CURRENCY, currency, priceText, quantityText, symbol } from "./trading_schemas.ts";

const common = {
  id: z.uuid(),
  status: z.enum(statuses),
  type: z.enum(["limit", "market"]),
  placedAt: time,
  reason: z.enum([...rejectedReasons, ...cancelledReasons]).exactOptional()
    .describe("Why it was rejected or cancelled"),
  symbol,
  side: z.enum(sides),
  price: amount.describe("The worst to trade at; a market order has one too"),
  quantity: amount,
  filled: amount.describe("Of the quantity, what has been traded"),
  remaining: amount.describe("Of the quantity, what has not"),
  currency,
  timeInForce: z.enum(timesInForce),
};

const example = {
  id: "01900000-0000-7000-8000-000000000000",
  status: "working",
  type: "limit",
  placedAt: "2040-06-01T18:00:00.000Z",
  symbol: "ACME",
  side: "buy",
  price: "12.5",
  quantity: "5",
  filled: "0",
  remaining: "5",
  currency: CURRENCY,
  timeInForce: "day",
} as const;

export const Order = z.strictObject({
  ...common,
  cancelling: z.enum(["asked", "expired"]).exactOptional()
    .describe("Why it is to be cancelled, once its market has said so"),
  replacement: z.strictObject({ price: amount, quantity: amount }).exactOptional()
    .describe("What it is to become, once its market has said so"),
  notReplaced: z.enum(notReplacedReasons).exactOptional()
    .describe("Why it did not become what was last asked for"),
  version: z.int(),
}).meta({ id: "Order", examples: [{ ...example, version: 3 }] });

export const Orders = pageSchema(
  z.strictObject(common).meta({ id: "ListedOrder", examples: [example] }),
);

const proposed = { symbol, side: z.enum(sides), price: amount, quantity: amount, currency };

const omitted = z.array(z.strictObject({ ...proposed, reason: z.enum(omittedReasons) }))
  .describe(
    "What the weights would take besides: `unfunded` by the cash at hand, or of shares that are " +
      "`reserved` for orders. It can be asked for again once those and these sales have ended",
  );

export const Proposal = z.strictObject({
  orders: z.array(z.strictObject(proposed)).describe("Those that sell first"),
  omitted,
}).meta({ id: "Proposal" });

export const PlacedProposal = z.strictObject({
  orders: z.array(z.strictObject({
    ...proposed,
    id: z.uuid(),
    status: z.enum(statuses),
  })),
  omitted,
}).meta({ id: "PlacedProposal" });

type ListedOrder = Awaited<ReturnType<typeof listOrders>>[number];

export function listedView({ reason, price, quantity, filled, ...order }: ListedOrder) {
  return {
    ...order,
    ...(reason !== null && { reason }),
    ...amounts({
      limit: Number(price),
      quantity: Number(quantity),
      filled: Number(filled),
    }),
  };
}

/** As they read of one order, and of one in a list. */
function amounts({ limit, quantity, filled }: Pick<State, "limit" | "quantity" | "filled">) {
  return {
    price: priceText(limit),
    quantity: quantityText(quantity),
    filled: quantityText(filled),
    remaining: quantityText(quantity - filled),
    currency: CURRENCY,
  };
}

export function orderView(id: string, state: State, version: number) {
  const { status, symbol, side, timeInForce, cancelling, replacement, notReplaced, ending } = state;
  return {
    id,
    status,
    type: state.orderType,
    placedAt: new Date(state.placedAt).toISOString(),
    ...(cancelling !== undefined && !hasEnded(state) && { cancelling }),
    ...(ending !== undefined && { reason: ending }),
    symbol,
    side,
    ...amounts(state),
    timeInForce,
    ...(replacement !== undefined && !hasEnded(state) && {
      replacement: {
        price: priceText(replacement.limit),
        quantity: quantityText(replacement.quantity),
      },
    }),
    ...(notReplaced !== undefined && { notReplaced }),
    version,
  };
}

export function proposalView({ symbol, side, price, quantity }: ProposedOrder) {
  return {
    symbol,
    side,
    price: priceText(price),
    quantity: quantityText(quantity),
    currency: CURRENCY,
  };
}

export function proposalsView({ orders, omitted }: Proposed) {
  return {
    orders: orders.map(proposalView),
    omitted: omitted.map(({ reason, ...order }) => ({ ...proposalView(order), reason })),
  };
}
