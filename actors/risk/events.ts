/** What is recorded of the risk of one person. */
import { z } from "zod";
import { Cash, declinedReasons, sides, SignedCash } from "../trading.ts";

export const limitNames = ["orderCost", "openCost", "positionCost", "dailyLoss"] as const;

/** Where one is missing, there is no limit. */
const limits = {
  orderCost: Cash.exactOptional(),
  openCost: Cash.exactOptional(),
  positionCost: Cash.exactOptional(),
  dailyLoss: Cash.exactOptional(),
  pausesOnBreach: z.boolean(),
};
const Limits = z.object(limits);
export type LimitsAsked = Readonly<z.infer<typeof Limits>>;

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  /** In place of those before. */
  z.object({ type: z.literal("LimitsSet"), ...limits }),
  z.object({
    type: z.literal("OrderApproved"),
    orderId: z.string(),
    /** Absent if recorded by an older release. */
    symbol: z.string().exactOptional(),
    side: z.enum(sides),
    cost: Cash,
  }),
  /** So much can still be spent on it. */
  z.object({ type: z.literal("OrderChanged"), orderId: z.string(), open: Cash }),
  z.object({
    type: z.literal("OrderDeclined"),
    orderId: z.string(),
    reason: z.enum(declinedReasons),
  }),
  z.object({ type: z.literal("OrderClosed"), orderId: z.string() }),
  z.object({
    type: z.literal("PositionChanged"),
    tradeId: z.string(),
    symbol: z.string(),
    side: z.enum(sides),
    price: z.int(),
    quantity: z.int(),
    /** By which order, and what can still be spent on it; absent if recorded by an older release. */
    orderId: z.string().exactOptional(),
    open: Cash.exactOptional(),
  }),
  /** Shares came from elsewhere or, below 0, went there. */
  z.object({ type: z.literal("SharesTransferred"), symbol: z.string(), quantity: z.int() }),
  /** On that day of UTC, counted from 1970. */
  z.object({ type: z.literal("EarningsNoted"), day: z.int(), earned: SignedCash }),
  /** Or would have been. */
  z.object({
    type: z.literal("LimitBreached"),
    limit: z.enum(limitNames),
    value: SignedCash,
    allowed: Cash,
  }),
  z.object({ type: z.literal("TradingPaused"), because: z.enum(["asked", ...limitNames]) }),
  z.object({ type: z.literal("TradingResumed") }),
]);
export type Event = z.infer<typeof Event>;
export type EventOf<Type extends Event["type"]> = Extract<Event, { readonly type: Type }>;
