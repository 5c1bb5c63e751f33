/**
 * What the trading routes accept, and how amounts read: decimals as text, so that no reader rounds them.
 * Rules beyond shape are the aggregates'.
 *
 * @module
 */
import { z } from "zod";
import { conditions } from "../actors/market/state.ts";
import { WHOLE } from "../actors/portfolio/rebalancing.ts";
import {
  CASH_DECIMALS,
  PRICE_DECIMALS,
  PRICE_MAX,
  QUANTITY_DECIMALS,
  QUANTITY_MAX,
  sides,
  timesInForce,
} from "../actors/trading.ts";
import { decimalOf, unitsOf } from "../lib/decimal.ts";
import { text } from "../lib/http/text.ts";

/** All cash is of one currency, which is said wherever an amount is. */
export const CURRENCY = "USD";

/** A billion. */
const CASH_MAX = 1_000_000_000n * 10n ** BigInt(CASH_DECIMALS);
/** Of deposits and withdrawals. */
const CENTS = 2;
const DECIMAL_CHARS_MAX = 30;

/** A text such as `12.34`, as units of 10^-`decimals`; more than 0 and at most `max`. */
function decimal(decimals: number, max: bigint) {
  return z.string().max(DECIMAL_CHARS_MAX).transform((text, context) => {
    const units = unitsOf(text, decimals);
    if (units !== undefined && units > 0n && units <= max) return units;
    context.addIssue({
      code: "custom",
      message: `Must be a decimal above 0, at most ${decimalOf(max, decimals)}, ` +
        `with at most ${decimals} decimals`,
    });
    return z.NEVER;
  });
}

const price = decimal(PRICE_DECIMALS, BigInt(PRICE_MAX)).transform(Number);
const quantity = decimal(QUANTITY_DECIMALS, BigInt(QUANTITY_MAX)).transform(Number);
const cash = decimal(CENTS, CASH_MAX / 10n ** BigInt(CASH_DECIMALS - CENTS))
  .transform((cents) => cents * 10n ** BigInt(CASH_DECIMALS - CENTS));
const currency = z.literal(CURRENCY);
const instant = z.iso.datetime().max(40);

/** As exchanges write them. */
const symbol = z.string().regex(/^[A-Z][A-Z0-9.-]{0,11}$/);

const uuid = z.uuid().toLowerCase();

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
  }),
  /** It trades with who is there, and does not wait for others. */
  z.strictObject({
    type: z.literal("market"),
    symbol,
    side: z.enum(sides),
    quantity,
    timeInForce: z.enum(["immediate-or-cancel", "fill-or-kill"]).default("immediate-or-cancel"),
  }),
]);

export const OrderChanges = z.strictObject({
  price: price.exactOptional(),
  quantity: quantity.exactOptional(),
});

/** Cash, or shares for which elsewhere that was paid. */
export const Deposit = z.union([
  z.strictObject({ amount: cash, currency }),
  z.strictObject({ symbol, quantity, price }),
]);
export const Withdrawal = z.union([
  z.strictObject({ amount: cash, currency }),
  z.strictObject({ symbol, quantity }),
]);

export const Quotation = z.strictObject({
  price,
  volume: quantity.exactOptional(),
  at: instant.exactOptional(),
});
export const Sentiment = z.strictObject({
  score: z.int().min(-100).max(100),
  source: text({ min: 1, max: 200 }),
  at: instant.exactOptional(),
});
export const Pause = z.strictObject({ reason: text({ min: 1, max: 500 }).exactOptional() });
export const BookQuery = z.strictObject({
  depth: z.string().regex(/^[1-9]\d{0,2}$/).transform(Number).default(20),
});

export const NewAlert = z.discriminatedUnion("condition", [
  z.strictObject({
    condition: z.enum(conditions).extract(["price-at-least", "price-at-most"]),
    price,
  }),
  z.strictObject({ condition: z.literal("volume-at-least"), volume: quantity }),
]);
export const AlertPath = MarketPath.extend({ alertId: uuid });

const WEIGHT_DECIMALS = 4;
const POSITIONS_MAX = 100;

/** Parts of what all is worth, such as 0.25; together at most 1, and what is left stays cash. */
export const Weights = z.strictObject({
  weights: z.record(symbol, z.union([z.literal("0").transform(() => 0), weight()]))
    .refine((weights) => Object.keys(weights).length <= POSITIONS_MAX, {
      error: `At most ${POSITIONS_MAX} symbols`,
    })
    .refine((weights) => Object.values(weights).reduce((sum, one) => sum + one, 0) <= WHOLE, {
      error: "Together at most 1",
    }),
});
export const RebalanceQuery = z.strictObject({
  execute: z.enum(["", "true", "false"]).transform((text) => text !== "false").default(false),
});

function weight() {
  return decimal(WEIGHT_DECIMALS, BigInt(WHOLE)).transform(Number);
}

/** Where one is missing, there is no limit. */
export const Limits = z.strictObject({
  orderCost: cash.exactOptional(),
  openCost: cash.exactOptional(),
  positionCost: cash.exactOptional(),
  dailyLoss: cash.exactOptional(),
  pausesOnBreach: z.boolean().default(true),
});

/** The body of a command that takes none. */
export const Nothing = z.strictObject({});

export function priceText(units: number): string {
  return decimalOf(units, PRICE_DECIMALS);
}

export function quantityText(units: number): string {
  return decimalOf(units, QUANTITY_DECIMALS);
}

export function cashText(units: bigint): string {
  return decimalOf(units, CASH_DECIMALS);
}
