/**
 * How risk reads: limits, whether orders are let through, and what a bad day would cost.
 *
 * @module
 */
import { z } from "zod";
import {
  concentrationOf,
  DAYS_OBSERVED,
  outcomesOf,
  valueAtRisk,
} from "../actors/risk/analysis.ts";
import { limitNames } from "../actors/risk/events.ts";
import type { State } from "../actors/risk/state.ts";
import { type PricesThen, ratioOf } from "../actors/trading.ts";
import { amount, cashText, CURRENCY, currency, ratioText, symbol } from "./trading_schemas.ts";

export const Risk = z.strictObject({
  currency,
  limits: z.partialRecord(z.enum(limitNames), amount)
    .describe("Where one is missing, there is no limit"),
  pausesOnBreach: z.boolean(),
  paused: z.enum(["asked", ...limitNames]).exactOptional()
    .describe("Why no orders are let through; absent while they are"),
  openOrders: z.int(),
  openCost: amount.describe("Of all orders to buy that are not over"),
}).meta({
  id: "Risk",
  examples: [{
    currency: CURRENCY,
    limits: { orderCost: "500" },
    pausesOnBreach: true,
    openOrders: 1,
    openCost: "62.5",
  }],
});

const ratio = amount.meta({ examples: ["0.25"] });

export const RiskAnalysis = z.strictObject({
  currency,
  exposure: z.strictObject({
    value: amount.describe("Of all shares"),
    cash: amount,
    openOrders: amount.describe("The cost of all orders to buy that are not over"),
    weight: ratio.describe("Of the shares, in shares and cash"),
    positions: z.array(z.strictObject({ symbol, value: amount, weight: ratio })),
  }),
  concentration: z.strictObject({
    largest: ratio.describe("Of the largest position, in all shares"),
    herfindahl: ratio.describe("The sum of the squares of all of them: 1 where there is one"),
  }),
  valueAtRisk: z.strictObject({
    method: z.literal("historical"),
    horizonDays: z.literal(1),
    daysObserved: z.int().describe("On which the price of any of the shares is known"),
    daysAsked: z.literal(DAYS_OBSERVED),
    covered: ratio.describe(
      "Of the shares' value on the days observed, the part whose prices are known: the rest counts " +
        "as if it could lose nothing",
    ),
    losses: z.array(z.strictObject({ confidence: z.enum(["95%", "99%"]), loss: amount })),
  }),
}).meta({ id: "RiskAnalysis" });

interface Exposed {
  readonly positions: readonly { readonly symbol: string; readonly value: bigint }[];
  /** Of all positions. */
  readonly value: bigint;
  readonly cash: bigint;
  readonly openCost: bigint;
}

/** Of so many days in a hundred. */
const CONFIDENCES = [95, 99] as const;

export function analysisView(
  { positions, value, cash, openCost }: Exposed,
  prices: PricesThen,
) {
  const { largest, herfindahl } = concentrationOf(positions);
  const { outcomes, covered } = outcomesOf(positions, prices);
  return {
    currency: CURRENCY,
    exposure: {
      value: cashText(value),
      cash: cashText(cash),
      openOrders: cashText(openCost),
      weight: ratioText(ratioOf(value, value + cash)),
      positions: positions.map((position) => ({
        symbol: position.symbol,
        value: cashText(position.value),
        weight: ratioText(ratioOf(position.value, value + cash)),
      })),
    },
    concentration: {
      largest: ratioText(largest),
      herfindahl: ratioText(herfindahl),
    },
    valueAtRisk: {
      method: "historical",
      horizonDays: 1,
      daysObserved: outcomes.length,
      daysAsked: DAYS_OBSERVED,
      covered: ratioText(covered),
      losses: CONFIDENCES.flatMap((percent) => {
        const loss = valueAtRisk(outcomes, percent);
        if (loss === undefined) return [];
        return [{ confidence: `${percent}%`, loss: cashText(loss) }];
      }),
    },
  };
}

export function riskView({ limits, pausesOnBreach, paused, open, openCost }: State) {
  const set = Object.entries(limits).map(([name, limit]) => [name, cashText(limit)]);
  return {
    currency: CURRENCY,
    limits: Object.fromEntries(set),
    pausesOnBreach,
    ...(paused !== undefined && { paused }),
    openOrders: open.size,
    openCost: cashText(openCost),
  };
}
