/** What is recorded of an order. */
import { z } from "zod";
import {
  Cash,
  declinedReasons,
  notReservedReasons,
  sides,
  SignedCash,
  timesInForce,
  turnedAwayReasons,
  unfilledReasons,
} from "../trading.ts";

/** Why an order never came to its market, or was not taken there. */
export const rejectedReasons = [
  ...declinedReasons,
  ...notReservedReasons,
  ...turnedAwayReasons,
] as const;

/** `asked`: by who placed it. `expired`: its day is over. */
export const cancelledReasons = ["asked", "expired", ...unfilledReasons] as const;

/** Why an order stayed as it was. `not-resting`: it did not wait in its market as it was to. */
export const notReplacedReasons = [...rejectedReasons, "not-resting"] as const;

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("OrderPlaced"),
    accountId: z.string(),
    symbol: z.string(),
    side: z.enum(sides),
    orderType: z.enum(["limit", "market"]),
    /** The worst price to trade at; a market order has one too. */
    limit: z.int(),
    quantity: z.int(),
    timeInForce: z.enum(timesInForce),
    placedAt: z.iso.datetime(),
  }),
  /** So much more is kept for it, and it is on its way to its market. */
  z.object({ type: z.literal("OrderReserved"), amount: Cash }),
  /** So much is kept for it no longer: it is smaller, was cheaper, or has come to its end. */
  z.object({ type: z.literal("ExcessReleased"), amount: Cash }),
  z.object({ type: z.literal("OrderRejected"), reason: z.enum(rejectedReasons) }),
  /** It waits in its market. */
  z.object({ type: z.literal("OrderRested") }),
  z.object({
    type: z.literal("OrderExecuted"),
    tradeId: z.string(),
    price: z.int(),
    quantity: z.int(),
  }),
  /** With the last execution. */
  z.object({ type: z.literal("OrderFilled") }),
  z.object({ type: z.literal("CancelRequested"), because: z.enum(["asked", "expired"]) }),
  z.object({
    type: z.literal("OrderCancelled"),
    because: z.enum(cancelledReasons),
    remaining: z.int(),
  }),
  /** It needs so much more, or less. */
  z.object({
    type: z.literal("ReplaceRequested"),
    limit: z.int(),
    quantity: z.int(),
    needs: SignedCash,
  }),
  z.object({ type: z.literal("OrderReplaced"), limit: z.int(), quantity: z.int() }),
  /** It stays as it was. */
  z.object({
    type: z.literal("ReplaceRejected"),
    reason: z.enum(notReplacedReasons),
  }),
]);
export type Event = z.infer<typeof Event>;
export type EventOf<Type extends Event["type"]> = Extract<Event, { readonly type: Type }>;
