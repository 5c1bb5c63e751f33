/**
 * What people were alerted to, as it reads: to one's own account, and to all who look at a market.
 *
 * @module
 */
import type { Context } from "hono";
import { z } from "zod";
import * as Market from "../actors/market/aggregate.ts";
import { conditions } from "../actors/market/state.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import * as Risk from "../actors/risk/aggregate.ts";
import { limitNames } from "../actors/risk/events.ts";
import { type Audience, listAlerts } from "../actors/trading_alerts.ts";
import { answer } from "../lib/http/answer.ts";
import { time } from "../lib/http/instant.ts";
import { pageOf, pageSchema } from "../lib/http/pages.ts";
import { awaitToken } from "./consistency.ts";
import * as Schema from "./trading_schemas.ts";
import type { TradingTables } from "./trading_tables.ts";

export interface AlertOptions {
  readonly trading: TradingTables;
  readonly consistencyWaitMs: number;
}

type AlertQuery = ReturnType<typeof Schema.AlertListQuery.parse>;

const { amount, currency, symbol } = Schema;

const Alert = z.union([
  z.strictObject({
    at: time,
    type: z.literal("limit-breached"),
    limit: z.enum(limitNames),
    value: amount.describe("What it was, or would have been"),
    allowed: amount,
    currency,
  }),
  z.strictObject({
    at: time,
    type: z.literal("trading-paused"),
    because: z.enum(["asked", ...limitNames]),
  }),
  z.strictObject({ at: time, type: z.literal("trading-resumed") }),
  z.strictObject({
    at: time,
    type: z.literal("position-closed"),
    symbol,
    realized: amount,
    currency,
  }),
  z.strictObject({
    at: time,
    type: z.literal("market-alert"),
    symbol,
    alertId: z.uuid(),
    condition: z.enum(conditions),
    asked: z.union([z.strictObject({ price: amount }), z.strictObject({ volume: amount })]),
    price: amount,
    volume: amount,
  }),
  z.strictObject({
    at: time,
    type: z.literal("sentiment-crossed"),
    symbol,
    score: z.int(),
    threshold: z.int(),
  }),
  z.strictObject({
    at: time,
    type: z.literal("trading-paused"),
    symbol,
    reason: z.string().exactOptional(),
  }),
  z.strictObject({ at: time, type: z.literal("trading-resumed"), symbol }),
]).meta({
  id: "Alert",
  description: "With a symbol it is about that market, without one about the account",
  examples: [{ at: "2040-06-01T18:00:00.000Z", type: "trading-paused", because: "dailyLoss" }],
});
export const Alerts = pageSchema(Alert);

export async function alertsTo(
  c: Context,
  options: AlertOptions,
  audience: Audience,
  query: AlertQuery,
): Promise<Response> {
  return answer(c, 200, await alertPage(c, options, audience, query));
}

export async function alertPage(
  c: Context,
  { trading, consistencyWaitMs }: AlertOptions,
  audience: Audience,
  { cursor, limit }: AlertQuery,
) {
  await awaitToken(c, trading.alerts, consistencyWaitMs);
  const before = cursor &&
    { at: cursor[0], kind: cursor[1], key: cursor[2], version: cursor[3] };
  const rows = await listAlerts(trading.db, audience, before, limit + 1);
  return pageOf(
    rows,
    limit,
    alertView,
    ({ at, kind, key, version }) => [at, kind, key, Number(version)],
  );
}

type ListedAlert = Awaited<ReturnType<typeof listAlerts>>[number];

function alertView({ kind, key, at, event }: ListedAlert) {
  switch (kind) {
    case Risk.kind:
      return { at, ...riskAlert(Risk.Event.parse(event)) };
    case Portfolio.kind:
      return { at, ...portfolioAlert(Portfolio.Event.parse(event)) };
    default:
      return { at, symbol: key, ...marketAlert(Market.Event.parse(event)) };
  }
}

function riskAlert(event: Risk.Event) {
  switch (event.type) {
    case "LimitBreached": {
      const { limit, value, allowed } = event;
      return {
        type: "limit-breached",
        limit,
        value: Schema.cashText(BigInt(value)),
        allowed: Schema.cashText(BigInt(allowed)),
        currency: Schema.CURRENCY,
      };
    }
    case "TradingPaused":
      return { type: "trading-paused", because: event.because };
    default:
      return { type: "trading-resumed" };
  }
}

function portfolioAlert(event: Portfolio.Event) {
  if (event.type !== "PositionClosed") throw new Error(`${event.type} alerts nobody`);
  const { symbol, earned } = event;
  return {
    type: "position-closed",
    symbol,
    realized: Schema.cashText(BigInt(earned)),
    currency: Schema.CURRENCY,
  };
}

function marketAlert(event: Market.Event) {
  switch (event.type) {
    case "AlertTriggered": {
      const { alertId, condition, value, price, volume } = event;
      const asked = condition === "volume-at-least"
        ? { volume: Schema.quantityText(value) }
        : { price: Schema.priceText(value) };
      return {
        type: "market-alert",
        alertId,
        condition,
        asked,
        price: Schema.priceText(price),
        volume: Schema.quantityText(volume),
      };
    }
    case "SentimentCrossed":
      return { type: "sentiment-crossed", score: event.score, threshold: event.threshold };
    case "TradingPaused": {
      const { reason } = event;
      return { type: "trading-paused", ...(reason !== undefined && { reason }) };
    }
    default:
      return { type: "trading-resumed" };
  }
}
