/**
 * How a portfolio reads: what it holds, what that is worth, and what it has done.
 *
 * @module
 */
import { z } from "zod";
import { type Performance, type Period, periods } from "../actors/portfolio/performance.ts";
import type { Valuation, ValuedPosition } from "../actors/portfolio/valuation.ts";
import { time } from "../lib/http/instant.ts";
import {
  amount,
  cashText,
  CURRENCY,
  currency,
  priceText,
  quantityText,
  ratioText,
  symbol,
} from "./trading_schemas.ts";

const ValuedPosition = z.strictObject({
  symbol,
  quantity: amount,
  price: amount.describe("Of one share, now; 0 where there is none"),
  cost: amount.describe("What the shares were bought for"),
  value: amount,
  unrealized: amount.describe("What they are worth more than they cost"),
  realized: amount.describe("By shares that were sold since the first was bought"),
}).meta({ id: "ValuedPosition" });

export const Portfolio = z.strictObject({
  currency,
  cash: amount,
  value: amount.describe("Of cash and shares"),
  realized: amount.describe("By all shares that were ever sold, also of positions that are over"),
  positions: z.array(ValuedPosition).describe("By symbol"),
}).meta({
  id: "Portfolio",
  examples: [{ currency: CURRENCY, cash: "952.5", value: "952.5", realized: "0", positions: [] }],
});

const ratio = amount.meta({ examples: ["0.0125"] });

export const PerformanceReport = z.strictObject({
  currency,
  period: z.enum(Object.keys(periods) as [Period, ...Period[]]),
  from: time,
  to: time,
  value: amount,
  transferred: amount
    .describe(
      "What came from elsewhere less what went there, as it was worth then; what had no price then, " +
        "when it first has one",
    ),
  timeWeightedReturn: ratio.describe("As a ratio, whatever was added and taken out meanwhile"),
  maximumDrawdown: ratio.describe("The most that was lost from a height, as a ratio of that"),
  series: z.array(z.strictObject({ at: time, value: amount, return: ratio })),
}).meta({ id: "PerformanceReport" });

export function portfolioView(cash: bigint, { positions, value, realized }: Valuation) {
  return {
    currency: CURRENCY,
    cash: cashText(cash),
    value: cashText(cash + value),
    realized: cashText(realized),
    positions: positions.map(positionView),
  };
}

function positionView({ symbol, quantity, price, cost, value, earned }: ValuedPosition) {
  return {
    symbol,
    quantity: quantityText(quantity),
    price: priceText(price),
    cost: cashText(cost),
    value: cashText(value),
    unrealized: cashText(value - cost),
    realized: cashText(earned),
  };
}

export function performanceView(period: Period, { looks, transferred, drawdown }: Performance) {
  const series = looks.map((look) => ({
    at: new Date(look.at).toISOString(),
    value: cashText(look.value),
    return: ratioText(look.return),
  }));
  const [first] = series;
  const last = series.at(-1);
  return {
    currency: CURRENCY,
    period,
    from: first?.at,
    to: last?.at,
    value: last?.value,
    transferred: cashText(transferred),
    timeWeightedReturn: last?.return,
    maximumDrawdown: ratioText(drawdown),
    series,
  };
}
