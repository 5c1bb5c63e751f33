/**
 * Markets over HTTP: prices and sentiment by a feed, pauses by administrators, books and alerts for all.
 *
 * @module
 */
import type { Context } from "hono";
import * as Market from "../actors/market/aggregate.ts";
import { listTrades } from "../actors/market/listing.ts";
import { answer } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { Env } from "../lib/env.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { awaitToken, headersOf, readOptionsOf } from "./consistency.ts";
import * as View from "./market_views.ts";
import { type AlertOptions, alertPage, Alerts } from "./trading_alerts.ts";
import { markets as problems } from "./trading_problems.ts";
import * as Schema from "./trading_schemas.ts";

export interface MarketOptions extends AlertOptions {
  readonly system: ActorSystem;
  readonly env: Pick<Env, "now">;
}

export function markets(options: MarketOptions): readonly Route[] {
  return [...feeds(options), ...pauses(options), ...books(options), ...alerts(options)];
}

const ofMarket = { tag: "trading", params: Schema.MarketPath } as const;

function asking({ system }: MarketOptions) {
  return async (
    c: Context<CallerEnv>,
    symbol: string,
    command: Market.Command,
  ): Promise<Response> => {
    const outcome = await system.ask(
      Market,
      symbol,
      command,
      causeOf(c),
      ({ state, version }) => View.marketView(symbol, state, version),
    );
    if (!outcome.accepted) return problems.refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
}

function feeds(options: MarketOptions): readonly Route[] {
  const asked = asking(options);
  const now = () => new Date(options.env.now()).toISOString();
  const byFeed = {
    ...ofMarket,
    method: "post",
    access: ["feed", "admin"],
    asks: "actor",
    limit: "feed",
    answers: { 200: View.Market },
  } as const;
  return [
    route({
      ...byFeed,
      id: "quotePrice",
      path: "/api/v1/markets/{symbol}/prices",
      summary: "Tells a market its price, and with the first one opens it",
      body: Schema.Quotation,
    }, async (c, { params: { symbol }, body: { price, volume = 0, at = now() } }) => {
      return await asked(c, symbol, { type: "Quote", price, volume, quotedAt: at });
    }),
    route({
      ...byFeed,
      id: "recordSentiment",
      path: "/api/v1/markets/{symbol}/sentiment",
      summary: "Tells a market how people feel about it",
      body: Schema.Sentiment,
      problems: problems.known("not-found"),
    }, async (c, { params: { symbol }, body: { score, source, at = now() } }) => {
      return await asked(c, symbol, { type: "RecordSentiment", score, source, analyzedAt: at });
    }),
  ];
}

function pauses(options: MarketOptions): readonly Route[] {
  const asked = asking(options);
  const byAdmin = {
    ...ofMarket,
    method: "post",
    access: ["admin"],
    asks: "actor",
    answers: { 200: View.Market },
  } as const;
  return [
    route({
      ...byAdmin,
      id: "pauseMarket",
      act: { name: "market pause", on: "market" },
      path: "/api/v1/markets/{symbol}/pause",
      summary: "Ends all trading in a market until it is resumed",
      body: Schema.Pause,
      bodyOptions: { absent: {} },
      problems: problems.known("not-found", "already-paused"),
    }, async (c, { params: { symbol }, body }) => {
      return await asked(c, symbol, { type: "Pause", ...body });
    }),
    route({
      ...byAdmin,
      id: "resumeMarket",
      act: { name: "market resume", on: "market" },
      path: "/api/v1/markets/{symbol}/resume",
      summary: "Has trading in a market go on",
      problems: problems.known("not-found", "not-paused"),
    }, async (c, { params: { symbol } }) => await asked(c, symbol, { type: "Resume" })),
  ];
}

/** Of a market that nobody has opened there is no list, not even an empty one. */
function listing({ system }: MarketOptions) {
  return async (
    c: Context<CallerEnv>,
    symbol: string,
    page: { readonly items: readonly unknown[] },
  ): Promise<Response> => {
    if (page.items.length > 0) return answer(c, 200, page);
    const isKnown = (state: Market.State) => state.status !== "unknown";
    const { view } = await system.read(Market, symbol, causeOf(c), isKnown, readOptionsOf(c));
    return view ? answer(c, 200, page) : problemResponse(c, ...problems.problemOf("not-found"));
  };
}

function books(options: MarketOptions): readonly Route[] {
  const { system, trading, consistencyWaitMs } = options;
  const listed = listing(options);
  return [
    route({
      ...ofMarket,
      id: "getBook",
      method: "get",
      path: "/api/v1/markets/{symbol}/book",
      summary: "A market's price, and what waits in its book",
      access: "caller",
      asks: "actor",
      query: Schema.BookQuery,
      answers: { 200: View.MarketBook },
      problems: problems.known("not-found"),
    }, async (c, { params: { symbol }, query: { depth } }) => {
      const view = (state: Market.State, version: number) => ({
        ...View.marketView(symbol, state, version),
        ...View.bookView(state.book, depth),
      });
      const reading = await system.read(
        Market,
        symbol,
        causeOf(c),
        (state, version) => state.status === "unknown" ? undefined : view(state, version),
        readOptionsOf(c),
      );
      if (reading.view === undefined) return problemResponse(c, ...problems.problemOf("not-found"));
      return answer(c, 200, reading.view, headersOf(reading));
    }),
    route({
      ...ofMarket,
      id: "listTrades",
      method: "get",
      path: "/api/v1/markets/{symbol}/trades",
      summary: "What was traded in a market, the newest first",
      access: "caller",
      asks: "projection",
      class: "list",
      query: Schema.TradeListQuery,
      answers: { 200: View.Trades },
      problems: problems.known("not-found"),
    }, async (c, { params: { symbol }, query: { cursor, limit } }) => {
      await awaitToken(c, trading.tape, consistencyWaitMs);
      const rows = await listTrades(trading.db, symbol, cursor?.[0], limit + 1);
      const page = pageOf(rows, limit, View.tradeView, ({ number }) => [Number(number)]);
      return await listed(c, symbol, page);
    }),
  ];
}

function alerts(options: MarketOptions): readonly Route[] {
  const { system } = options;
  const listed = listing(options);
  return [
    route({
      ...ofMarket,
      id: "listMarketAlerts",
      method: "get",
      path: "/api/v1/markets/{symbol}/alerts",
      summary: "What all who look at a market were alerted to, the newest first",
      access: "caller",
      asks: "projection",
      class: "list",
      query: Schema.AlertListQuery,
      answers: { 200: Alerts },
      problems: problems.known("not-found"),
    }, async (c, { params, query }) => {
      return await listed(c, params.symbol, await alertPage(c, options, params, query));
    }),
    route({
      ...ofMarket,
      id: "setAlert",
      locates: true,
      method: "post",
      path: "/api/v1/markets/{symbol}/alerts",
      summary: "Waits for a price or a volume, and alerts the caller to it once",
      access: "caller",
      asks: "actor",
      limit: "trading",
      body: Schema.NewAlert,
      answers: { 201: View.NewAlertAnswer },
      problems: problems.known(
        "not-found",
        "already-exists",
        "too-many-own-alerts",
        "too-many-alerts",
      ),
    }, async (c, { params: { symbol }, body: asked }) => {
      const cause = causeOf(c);
      const alertId = idOfNew(cause);
      const { condition } = asked;
      const value = asked.condition === "volume-at-least" ? asked.volume : asked.price;
      const command = { type: "SetAlert", alertId, condition, value } as const;
      const outcome = await system.ask(Market, symbol, command, cause, () => ({ id: alertId }));
      if (!outcome.accepted) return problems.refused(c, outcome);
      const Location = `/api/v1/markets/${symbol}/alerts/${alertId}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    }),
    route({
      id: "removeAlert",
      method: "delete",
      path: "/api/v1/markets/{symbol}/alerts/{alertId}",
      tag: "trading",
      summary: "Waits for it no longer",
      access: "caller",
      others: 404,
      asks: "actor",
      limit: "trading",
      params: Schema.AlertPath,
      answers: { 204: null },
      problems: problems.known("not-found"),
    }, async (c, { params: { symbol, alertId } }) => {
      const command = { type: "RemoveAlert", alertId } as const;
      const outcome = await system.ask(Market, symbol, command, causeOf(c), () => null);
      if (!outcome.accepted) return problems.refused(c, outcome);
      return answer(c, 204, undefined, headersOf(outcome));
    }),
  ];
}
