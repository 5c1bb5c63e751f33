/** What is recorded of a market. */
import { z } from "zod";
import { rests, sides, timesInForce, turnedAwayReasons } from "../trading.ts";
import { conditions } from "./state.ts";

const time = z.iso.datetime();
const order = {
  orderId: z.string(),
  accountId: z.string(),
  side: z.enum(sides),
  limit: z.int(),
};
/** With whom it traded, in that order; the trades of a market are numbered from 1. */
const matching = {
  firstTrade: z.int(),
  trades: z.array(z.object({
    orderId: z.string(),
    accountId: z.string(),
    price: z.int(),
    quantity: z.int(),
  })).readonly(),
  remaining: z.int(),
  rest: z.enum(rests),
};
const submission = { ...order, quantity: z.int(), timeInForce: z.enum(timesInForce) };

export const Submission = z.object({ type: z.literal("Submit"), ...submission });
/** As a market was told it, and has not decided on it. */
export const Told = z.discriminatedUnion("type", [
  Submission,
  z.object({ type: z.literal("Withdraw"), orderId: z.string() }),
  z.object({ type: z.literal("Replace"), orderId: z.string(), limit: z.int(), more: z.int() }),
]);

const condition = {
  alertId: z.string(),
  ownerId: z.string(),
  condition: z.enum(conditions),
  value: z.int(),
};

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  /** By a feed, which with its first price opens the market. */
  z.object({
    type: z.literal("PriceQuoted"),
    price: z.int(),
    /** Traded elsewhere since the price before. */
    volume: z.int(),
    quotedAt: time,
  }),
  /** Of one that trades with very many, or was replaced and does, again for each part that follows. */
  z.object({ type: z.literal("OrderSubmitted"), ...submission, ...matching }),
  /** It came while another order was in the middle of its matching, and waits behind all such. */
  z.object({ type: z.literal("Postponed"), command: Told }),
  /** The first of what was postponed is decided on: what follows from that comes next. */
  z.object({ type: z.literal("TakenUp") }),
  z.object({
    type: z.literal("OrderTurnedAway"),
    orderId: z.string(),
    reason: z.enum(turnedAwayReasons),
  }),
  z.object({ type: z.literal("OrderWithdrawn"), orderId: z.string(), remaining: z.int() }),
  /** It has become smaller, and keeps its place. */
  z.object({ type: z.literal("OrderLessened"), orderId: z.string(), by: z.int() }),
  /** It has left its place, and come anew with so much. */
  z.object({
    type: z.literal("OrderReplaced"),
    ...order,
    quantity: z.int(),
    timeInForce: z.literal("day"),
    ...matching,
  }),
  z.object({ type: z.literal("ReplacementRefused"), orderId: z.string() }),
  z.object({ type: z.literal("TradingPaused"), reason: z.string().exactOptional() }),
  z.object({ type: z.literal("TradingResumed") }),
  /** From -100, all are for selling, to 100. */
  z.object({
    type: z.literal("SentimentAnalyzed"),
    score: z.int(),
    source: z.string(),
    analyzedAt: time,
  }),
  /** The sentiment is further from indifference than a threshold, and was not before. */
  z.object({ type: z.literal("SentimentCrossed"), score: z.int(), threshold: z.int() }),
  z.object({ type: z.literal("AlertSet"), ...condition }),
  z.object({ type: z.literal("AlertRemoved"), alertId: z.string() }),
  /** By very many: they wait no longer, and are given one after the other. */
  z.object({ type: z.literal("AlertsMet"), price: z.int(), volume: z.int() }),
  /** An alert is given once. */
  z.object({ type: z.literal("AlertTriggered"), ...condition, price: z.int(), volume: z.int() }),
]);
export type Event = z.infer<typeof Event>;
export type EventOf<Type extends Event["type"]> = Extract<Event, { readonly type: Type }>;
