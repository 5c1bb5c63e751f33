/**
 * The words that the aggregates of trading share: amounts, and what they tell one another.
 *
 * No aggregate knows another. Each tells a kind of actor something of this file, and takes what this
 * file lets it be told.
 *
 * @module
 */
import { z } from "zod";

/** Prices and quantities are whole numbers of such units: a price of 12.34 is 123,400. */
export const PRICE_DECIMALS = 4;
export const QUANTITY_DECIMALS = 4;
/** A million of the currency, and of shares. */
export const PRICE_MAX = 1_000_000 * 10 ** PRICE_DECIMALS;
export const QUANTITY_MAX = 1_000_000 * 10 ** QUANTITY_DECIMALS;
/** So the cost of an order is a whole number of units of cash, and nothing is rounded. */
export const CASH_DECIMALS = PRICE_DECIMALS + QUANTITY_DECIMALS;

/** What that many cost, in units of cash: more than a `number` can hold exactly. */
export function costOf(price: number, quantity: number): bigint {
  return BigInt(price) * BigInt(quantity);
}

/** A ratio is a whole number of such units: a quarter is 25,000,000. Only what is shown is one. */
export const RATIO_DECIMALS = 8;
const RATIO_UNIT = 10n ** BigInt(RATIO_DECIMALS);

/** Towards 0, and 0 of nothing. */
export function ratioOf(part: bigint, whole: bigint): bigint {
  return whole === 0n ? 0n : part * RATIO_UNIT / whole;
}

/** A day is one of UTC. */
export const DAY_MS = 24 * 3_600_000;

/** For each symbol its price at each of some moments, undefined where there was none yet. */
export type PricesThen = ReadonlyMap<string, readonly (number | undefined)[]>;

/** Whole units of cash, as text: JSON has no number that is large enough. */
export const Cash = z.string().regex(/^(0|[1-9]\d{0,29})$/);

/** Or less than nothing, as a loss is. */
export const SignedCash = z.string().regex(/^(0|-?[1-9]\d{0,29})$/);

export const Price = z.int().positive().max(PRICE_MAX);
export const Quantity = z.int().positive().max(QUANTITY_MAX);

export const sides = ["buy", "sell"] as const;
export type Side = typeof sides[number];
export const timesInForce = ["day", "immediate-or-cancel", "fill-or-kill"] as const;
export type TimeInForce = typeof timesInForce[number];

/** Why what was left of an order was given up by its market. */
export const unfilledReasons = ["nobody-to-trade-with", "self-trade"] as const;
/**
 * What became of what was not traded: nothing was left, it waits, its market goes on with it at once, or
 * it was given up, and why.
 */
export const rests = ["none", "rests", "goes-on", ...unfilledReasons] as const;
export type Rest = typeof rests[number];

/** Why a market does not take an order. */
export const turnedAwayReasons = ["market-paused", "unknown-symbol", "book-full"] as const;
export type TurnedAway = typeof turnedAwayReasons[number];

/** Which limit of an account an order would break. */
export const declinedReasons = [
  "trading-paused",
  "order-too-large",
  "too-much-open",
  "position-too-large",
  "loss-too-large",
] as const;

/** Why nothing is kept for an order. */
export const notReservedReasons = [
  "insufficient-cash",
  "insufficient-shares",
  "too-many-orders",
] as const;

/** What would be refused on the way of an order can be before it is placed. */
export type Foreseen =
  | "unknown-symbol"
  | "market-paused"
  | "trading-paused"
  | "insufficient-cash"
  | "insufficient-shares";

/** One part of an order has been traded; of the two orders in a trade, each is told its own. */
const Execution = z.object({ tradeId: z.string(), price: Price, quantity: Quantity });
export type Execution = Readonly<z.infer<typeof Execution>>;

const submission = {
  orderId: z.string(),
  accountId: z.string(),
  side: z.enum(sides),
  /** The worst price to trade at; a market order has one too. */
  limit: Price,
  quantity: Quantity,
  timeInForce: z.enum(timesInForce),
};

/** What a market is told; its key is its symbol. */
export const toMarket = {
  kind: "market",
  Command: z.discriminatedUnion("type", [
    z.object({ type: z.literal("Submit"), ...submission }),
    /** Answered only if the order rests: one that does not has come to its end by then. */
    z.object({ type: z.literal("Withdraw"), orderId: z.string() }),
    /**
     * The order is to be for that much more, or less, and at that limit. It keeps its place if it only
     * becomes smaller, and joins the end of the line otherwise.
     */
    z.object({ type: z.literal("Replace"), orderId: z.string(), limit: Price, more: z.int() }),
  ]),
};
export type ToMarket = Readonly<z.infer<typeof toMarket.Command>>;

const traded = {
  orderId: z.string(),
  tradeId: z.string(),
  symbol: z.string(),
  price: Price,
  quantity: Quantity,
};

/** What watches over the risk of a person is told; its key is the id of that person. */
export const toRisk = {
  kind: "risk",
  Command: z.discriminatedUnion("type", [
    /**
     * Whether an order may be, or become another. If so, its account or portfolio is told to keep what it
     * needs more, and answers the order; if not, or if nothing is needed, the order hears so from here.
     */
    z.object({
      type: z.literal("Check"),
      orderId: z.string(),
      symbol: z.string(),
      side: z.enum(sides),
      limit: Price,
      /** What is not traded yet, as it is to be. */
      remaining: Quantity,
      /** Units of cash if it buys, of shares if it sells; 0 where what is kept is enough. */
      needs: Cash,
    }),
    z.object({
      type: z.literal("Traded"),
      ...traded,
      side: z.enum(sides),
      /** What can still be spent on the order at most; absent if told by an older release. */
      open: Cash.exactOptional(),
    }),
    /** So much can still be spent on the order: it has become another, or is not to any more. */
    z.object({ type: z.literal("Stands"), orderId: z.string(), open: Cash }),
    /** Shares came from elsewhere or, below 0, went there. */
    z.object({ type: z.literal("Transferred"), symbol: z.string(), quantity: z.int() }),
    /** By a sale; below 0 is a loss. */
    z.object({ type: z.literal("Earned"), tradeId: z.string(), earned: SignedCash }),
    /** The order has come to its end. */
    z.object({ type: z.literal("Close"), orderId: z.string() }),
  ]),
};
export type ToRisk = Readonly<z.infer<typeof toRisk.Command>>;

/** What an account is told; its key is the id of who holds it. */
export const toAccount = {
  kind: "account",
  Command: z.discriminatedUnion("type", [
    /** Answered: from then on so much more is kept for the order, or no more than before. */
    z.object({ type: z.literal("Reserve"), orderId: z.string(), amount: Cash }),
    /** Bought: what it cost is paid out of what was kept, of which so much is kept no longer. */
    z.object({
      type: z.literal("Pay"),
      orderId: z.string(),
      tradeId: z.string(),
      cost: Cash,
      released: Cash,
    }),
    /** Sold. */
    z.object({
      type: z.literal("Receive"),
      orderId: z.string(),
      tradeId: z.string(),
      proceeds: Cash,
    }),
    /** So much is kept for the order no longer. */
    z.object({ type: z.literal("Release"), orderId: z.string(), amount: Cash }),
  ]),
};
export type ToAccount = Readonly<z.infer<typeof toAccount.Command>>;

/** What a portfolio is told; its key is the id of who holds it. */
export const toPortfolio = {
  kind: "portfolio",
  Command: z.discriminatedUnion("type", [
    /** Answered: from then on so many more shares are kept for the order, or no more than before. */
    z.object({
      type: z.literal("Reserve"),
      orderId: z.string(),
      symbol: z.string(),
      quantity: Quantity,
    }),
    /** Bought. */
    z.object({ type: z.literal("Take"), ...traded }),
    /** Sold, out of what was kept. */
    z.object({ type: z.literal("Deliver"), ...traded }),
    /** So many are kept for the order no longer. */
    z.object({ type: z.literal("Release"), orderId: z.string(), quantity: Quantity }),
  ]),
};
export type ToPortfolio = Readonly<z.infer<typeof toPortfolio.Command>>;

const answer = {
  executions: z.array(Execution).readonly(),
  /** Of what is left. */
  rest: z.enum(rests),
};

/** What an order is told: by who watches over risk, who pays or delivers for it, and its market. */
export const toOrder = {
  kind: "order",
  Command: z.discriminatedUnion("type", [
    z.object({ type: z.literal("Declined"), reason: z.enum(declinedReasons) }),
    z.object({ type: z.literal("Reserved") }),
    z.object({ type: z.literal("NotReserved"), reason: z.enum(notReservedReasons) }),
    /** Said again, also of one that was replaced, each time that its market has gone on with it. */
    z.object({ type: z.literal("Submitted"), ...answer }),
    z.object({ type: z.literal("TurnedAway"), reason: z.enum(turnedAwayReasons) }),
    /** While it rested. */
    z.object({ type: z.literal("Executed"), execution: Execution }),
    z.object({ type: z.literal("Withdrawn"), remaining: Quantity }),
    z.object({ type: z.literal("Replaced"), limit: Price, remaining: z.int(), ...answer }),
    /** It does not rest any more, or has traded so much that nothing would be left. */
    z.object({ type: z.literal("NotReplaced") }),
  ]),
};
export type ToOrder = Readonly<z.infer<typeof toOrder.Command>>;
