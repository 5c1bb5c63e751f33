/**
 * What the trading routes accept, and how amounts read: decimals as text, so that no reader rounds them.
 * Rules beyond shape are the aggregates'.
 *
 * @module
 */
import { z } from "zod";
import { conditions } from "../actors/market/state.ts";
import { statuses } from "../actors/order/state.ts";
import { type Period, periods } from "../actors/portfolio/performance.ts";
import { WHOLE } from "../actors/rebalancing/proposal.ts";
import {
  CASH_DECIMALS,
  PRICE_DECIMALS,
  PRICE_MAX,
  QUANTITY_DECIMALS,
  QUANTITY_MAX,
  RATIO_DECIMALS,
  sides,
  timesInForce,
} from "../actors/trading.ts";
import { decimalOf, unitsOf } from "../lib/decimal.ts";
import { date, instant } from "../lib/http/instant.ts";
import { asInteger, pageParameters, placeIn } from "../lib/http/pages.ts";
import { text } from "../lib/http/text.ts";

/** All cash is of one currency, which is said wherever an amount is. */
export const CURRENCY = "USD";

/** A billion. */
const CASH_MAX = 1_000_000_000n * 10n ** BigInt(CASH_DECIMALS);
/** Of deposits and withdrawals. */
const CENTS = 2;
const DECIMAL_CHARS_MAX = 30;

interface DecimalBounds {
  readonly decimals: number;
  /** In units of 10^-`decimals`. */
  readonly max: bigint;
  readonly example: string;
}

/** A text such as `12.34`, as what `from` makes of units of 10^-`decimals`; above 0, at most `max`. */
function decimal<T>({ decimals, max, example }: DecimalBounds, from: (units: bigint) => T) {
  const rule = `a decimal above 0, at most ${decimalOf(max, decimals)}, ` +
    `with at most ${decimals} decimals`;
  return z.string().max(DECIMAL_CHARS_MAX).transform((text, context) => {
    const units = unitsOf(text, decimals);
    if (units !== undefined && units > 0n && units <= max) return from(units);
    context.addIssue({ code: "custom", message: `Must be ${rule}` });
    return z.NEVER;
  }).meta({
    description: `As text: ${rule}`,
    pattern: decimalPattern(decimals, decimalOf(max, decimals)),
    examples: [example],
  });
}

/** What texts are such decimals, for a `max` that is a power of ten. */
function decimalPattern(decimals: number, max: string): string {
  const below = max.length === 1 ? "0" : `(0|[1-9]\\d{0,${max.length - 2}})`;
  return `^(?!0(\\.0+)?$)(${below}(\\.\\d{1,${decimals}})?|${max}(\\.0{1,${decimals}})?)$`;
}

const price = decimal(
  { decimals: PRICE_DECIMALS, max: BigInt(PRICE_MAX), example: "12.34" },
  Number,
);
const quantity = decimal(
  { decimals: QUANTITY_DECIMALS, max: BigInt(QUANTITY_MAX), example: "5" },
  Number,
);
const UNITS_OF_A_CENT = 10n ** BigInt(CASH_DECIMALS - CENTS);
const cash = decimal(
  { decimals: CENTS, max: CASH_MAX / UNITS_OF_A_CENT, example: "1000.00" },
  (cents) => cents * UNITS_OF_A_CENT,
);
export const currency = z.literal(CURRENCY);

/** As exchanges write them. */
export const symbol = z.string().regex(/^[A-Z][A-Z0-9.-]{0,11}$/).meta({ examples: ["ACME"] });

const uuid = z.uuid().toLowerCase();

/** Of a symbol, or of the id of a caller, which may be as many signs beyond the first plane. */
const ACTOR_KEY_UNITS_MAX = 400;

const ofAccount = {
  accountId: text({ min: 1, max: 200 }).exactOptional()
    .describe("Administrators may ask for anybody's; others for their own, as without it"),
};
export const AccountQuery = z.strictObject(ofAccount);

export const OrderPath = z.object({ id: uuid });
export const MarketPath = z.object({ symbol });

export const NewOrder = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("limit"),
    symbol,
    side: z.enum(sides),
    price,
    quantity,
    timeInForce: z.enum(timesInForce).default("day"),
  }).meta({
    examples: [{ type: "limit", symbol: "ACME", side: "buy", price: "12.34", quantity: "5" }],
  }),
  z.strictObject({
    type: z.literal("market"),
    symbol,
    side: z.enum(sides),
    quantity,
    timeInForce: z.enum(["immediate-or-cancel", "fill-or-kill"]).default("immediate-or-cancel"),
  }).meta({
    description: "Trades with who is there, and does not wait for others",
    examples: [{ type: "market", symbol: "ACME", side: "sell", quantity: "5" }],
  }),
]).meta({ id: "NewOrder" });

export const OrderChanges = z.strictObject({
  price: price.exactOptional(),
  quantity: quantity.exactOptional().describe("With what has been traded of it already"),
}).meta({ id: "OrderChanges", examples: [{ price: "12.50", quantity: "8" }] });

export const OrderListQuery = z.strictObject({
  ...pageParameters,
  ...ofAccount,
  cursor: placeIn(z.tuple([date, uuid])).exactOptional(),
  status: z.enum(statuses).exactOptional(),
  symbol: symbol.exactOptional(),
  from: date.exactOptional().describe("Placed at that time or later"),
  to: date.exactOptional().describe("Placed before that time"),
});

export const TradeListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.int().positive()])).exactOptional(),
});

const alertCursor = placeIn(
  z.tuple([date, z.string().max(50), z.string().max(ACTOR_KEY_UNITS_MAX), z.int()]),
).exactOptional();
export const AlertListQuery = z.strictObject({ ...pageParameters, cursor: alertCursor });
export const OwnAlertListQuery = AlertListQuery.extend(ofAccount);

export const PerformanceQuery = z.strictObject({
  ...ofAccount,
  period: z.enum(Object.keys(periods) as [Period, ...Period[]]).default("1m"),
});

const CashMove = z.strictObject({ amount: cash, currency })
  .meta({ id: "CashMove", examples: [{ amount: "1000.00", currency: CURRENCY }] });

export const Deposit = z.union([
  CashMove,
  z.strictObject({
    symbol,
    quantity,
    price: price.describe("What was paid for each of them elsewhere"),
  }).meta({ examples: [{ symbol: "ACME", quantity: "50", price: "8" }] }),
]).meta({ id: "Deposit" });
export const Withdrawal = z.union([
  CashMove,
  z.strictObject({ symbol, quantity }).meta({ examples: [{ symbol: "ACME", quantity: "20" }] }),
]).meta({ id: "Withdrawal" });

export const Quotation = z.strictObject({
  price,
  volume: quantity.exactOptional().describe("Traded elsewhere since the price before"),
  at: instant.exactOptional().describe("Now, unless said"),
}).meta({ id: "Quotation", examples: [{ price: "12.34", volume: "100" }] });
export const Sentiment = z.strictObject({
  score: z.int().min(-100).max(100).describe("From -100, all are for selling, to 100"),
  source: text({ min: 1, max: 200 }),
  at: instant.exactOptional().describe("Now, unless said"),
}).meta({ id: "Sentiment", examples: [{ score: 80, source: "wire" }] });
export const Pause = z.strictObject({
  reason: text({ min: 1, max: 500 }).exactOptional().describe("Shown to all who trade there"),
}).meta({ id: "Pause", examples: [{ reason: "News is awaited" }] });

const DEPTH_DEFAULT = 20;
export const BookQuery = z.strictObject({
  depth: z.string().regex(/^[1-9]\d{0,2}$/).transform(Number).default(DEPTH_DEFAULT).meta({
    description: "How many prices of each side are shown",
    override: asInteger({ minimum: 1, maximum: 999, default: DEPTH_DEFAULT }),
  }),
});

export const NewAlert = z.discriminatedUnion("condition", [
  z.strictObject({
    condition: z.enum(conditions).extract(["price-at-least", "price-at-most"]),
    price,
  }).meta({ examples: [{ condition: "price-at-least", price: "12.34" }] }),
  z.strictObject({ condition: z.literal("volume-at-least"), volume: quantity })
    .meta({ examples: [{ condition: "volume-at-least", volume: "1000" }] }),
]).meta({ id: "NewAlert" });
export const AlertPath = MarketPath.extend({ alertId: uuid });

const WEIGHT_DECIMALS = 4;
const weight = decimal(
  { decimals: WEIGHT_DECIMALS, max: BigInt(WHOLE), example: "0.25" },
  Number,
);
const POSITIONS_MAX = 100;

/** Zod passes over `__proto__` in records, as if nobody had sent it. */
function noticed(value: unknown, context: z.RefinementCtx): unknown {
  if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__")) {
    context.addIssue({ code: "custom", path: ["__proto__"], message: "Unknown field" });
  }
  return value;
}

export const Weights = z.strictObject({
  weights: z.preprocess(
    noticed,
    z.record(symbol, z.union([z.literal("0").transform(() => 0), weight])),
  )
    .refine((weights) => Object.keys(weights).length <= POSITIONS_MAX, {
      error: `At most ${POSITIONS_MAX} symbols`,
    })
    .refine((weights) => Object.values(weights).reduce((sum, one) => sum + one, 0) <= WHOLE, {
      error: "Together at most 1",
    })
    .describe("Parts of what all is worth; together at most 1, and what is left stays cash"),
}).meta({ id: "Weights", examples: [{ weights: { ACME: "0.5", BOLT: "0.25" } }] });
export const RebalanceQuery = z.strictObject({
  execute: z.enum(["", "true", "false"]).prefault("false").transform((text) => text !== "false")
    .describe("Whether the orders are placed, not only proposed"),
});

export const Limits = z.strictObject({
  orderCost: cash.exactOptional().describe("Of one order"),
  openCost: cash.exactOptional().describe("Of all orders to buy that are not over"),
  positionCost: cash.exactOptional().describe("Of all shares of one symbol, at the order's price"),
  dailyLoss: cash.exactOptional().describe("Of one day of UTC, by sales"),
  pausesOnBreach: z.boolean().default(true)
    .describe("Whether nothing more may be traded once a limit was broken, or would have been"),
}).meta({
  id: "Limits",
  description: "Where one is missing, there is no limit",
  examples: [{ orderCost: "500.00", dailyLoss: "100.00" }],
});

/** As amounts are answered. */
export const amount = z.string().regex(/^-?\d+(\.\d+)?$/).meta({ examples: ["12.5"] });

export const Account = z.strictObject({
  currency,
  cash: amount,
  reserved: amount.describe("Kept for orders that are not over"),
  available: amount,
}).meta({
  id: "Account",
  examples: [{ currency: CURRENCY, cash: "952.5", reserved: "0", available: "952.5" }],
});

export const Position = z.strictObject({
  symbol,
  quantity: amount,
  reserved: amount.describe("Kept for orders that are not over"),
  earned: amount.describe("By sales, against what the sold had cost"),
  currency,
  lots: z.array(z.strictObject({ quantity: amount, price: amount }))
    .describe("What was bought at one price, the oldest first: it is sold first"),
}).meta({
  id: "Position",
  examples: [{
    symbol: "ACME",
    quantity: "45",
    reserved: "3",
    earned: "7.5",
    currency: CURRENCY,
    lots: [{ quantity: "45", price: "8" }],
  }],
});
export const NoPosition = z.strictObject({ symbol, quantity: z.literal("0") })
  .meta({ id: "NoPosition", description: "What is left of a position that was given up" });
export const Positions = z.strictObject({ items: z.array(Position) });

export function priceText(units: number): string {
  return decimalOf(units, PRICE_DECIMALS);
}

export function quantityText(units: number): string {
  return decimalOf(units, QUANTITY_DECIMALS);
}

export function cashText(units: bigint): string {
  return decimalOf(units, CASH_DECIMALS);
}

export function ratioText(units: bigint): string {
  return decimalOf(units, RATIO_DECIMALS);
}
