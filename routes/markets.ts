/**
 * Markets over HTTP: prices and sentiment by a feed, pauses by administrators, books and alerts for all.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { Book, Level } from "../actors/market/book.ts";
import * as Market from "../actors/market/aggregate.ts";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type BodyParser, parsedParams, parsedQuery } from "../lib/http/parsed.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { Env } from "../lib/env.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Accepted } from "../lib/runtime/turn.ts";
import { headersOf, readOptionsOf } from "./consistency.ts";
import { markets as problems } from "./trading_problems.ts";
import * as Schema from "./trading_schemas.ts";

export interface MarketOptions {
  readonly system: ActorSystem;
  readonly env: Pick<Env, "now">;
  readonly parseBody: BodyParser;
}

type Happened = Accepted<Market.State, Market.Event>;

export function markets(options: MarketOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .route("/", feeds(options))
    .route("/", pauses(options))
    .route("/", books(options))
    .route("/", alerts(options));
}

function asking({ system }: MarketOptions) {
  return async (c: Context<CallerEnv>, command: Market.Command): Promise<Response> => {
    const { symbol } = parsedParams(c, Schema.MarketPath);
    const outcome = await system.ask(Market, symbol, command, causeOf(c), marketAnswer(symbol));
    if (!outcome.accepted) return problems.refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
}

function feeds(options: MarketOptions): Hono<CallerEnv> {
  const { env, parseBody } = options;
  const asked = asking(options);
  const now = () => new Date(env.now()).toISOString();
  return new Hono<CallerEnv>()
    .post("/:symbol/prices", async (c) => {
      requireRole(c, "feed", "admin");
      const { price, volume = 0, at = now() } = await parseBody(c, Schema.Quotation);
      return await asked(c, { type: "Quote", price, volume, quotedAt: at });
    })
    .post("/:symbol/sentiment", async (c) => {
      requireRole(c, "feed", "admin");
      const { score, source, at = now() } = await parseBody(c, Schema.Sentiment);
      return await asked(c, { type: "RecordSentiment", score, source, analyzedAt: at });
    });
}

function pauses(options: MarketOptions): Hono<CallerEnv> {
  const { parseBody } = options;
  const asked = asking(options);
  return new Hono<CallerEnv>()
    .post("/:symbol/pause", async (c) => {
      requireRole(c, "admin");
      const pause = await parseBody(c, Schema.Pause, { absent: {} });
      return await asked(c, { type: "Pause", ...pause });
    })
    .post("/:symbol/resume", async (c) => {
      requireRole(c, "admin");
      await parseBody(c, Schema.Nothing, { absent: {} });
      return await asked(c, { type: "Resume" });
    });
}

function books({ system }: MarketOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .get("/:symbol/book", async (c) => {
      const { symbol } = parsedParams(c, Schema.MarketPath);
      const { depth } = parsedQuery(c, Schema.BookQuery);
      const reading = await system.read(
        Market,
        symbol,
        causeOf(c),
        (state, version) =>
          state.status === "unknown"
            ? undefined
            : { ...marketView(symbol, state, version), ...bookView(state.book, depth) },
        readOptionsOf(c),
      );
      if (reading.view === undefined) return problemResponse(c, ...problems.problemOf("not-found"));
      return answer(c, 200, reading.view, headersOf(reading));
    });
}

function alerts({ system, parseBody }: MarketOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .post("/:symbol/alerts", async (c) => {
      const { symbol } = parsedParams(c, Schema.MarketPath);
      const asked = await parseBody(c, Schema.NewAlert);
      const cause = causeOf(c);
      const alertId = idOfNew(cause);
      const { condition } = asked;
      const value = asked.condition === "volume-at-least" ? asked.volume : asked.price;
      const command = { type: "SetAlert", alertId, condition, value } as const;
      const outcome = await system.ask(Market, symbol, command, cause, () => ({ id: alertId }));
      if (!outcome.accepted) return problems.refused(c, outcome);
      const Location = `/api/v1/markets/${symbol}/alerts/${alertId}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    })
    .delete("/:symbol/alerts/:alertId", async (c) => {
      const { symbol, alertId } = parsedParams(c, Schema.AlertPath);
      await parseBody(c, Schema.Nothing, { absent: {} });
      const command = { type: "RemoveAlert", alertId } as const;
      const outcome = await system.ask(Market, symbol, command, causeOf(c), () => null);
      if (!outcome.accepted) return problems.refused(c, outcome);
      return answer(c, 204, undefined, headersOf(outcome));
    });
}

function marketAnswer(symbol: string) {
  return ({ state, version }: Happened) => marketView(symbol, state, version);
}

function marketView(symbol: string, { status, price, sentiment }: Market.State, version: number) {
  return { symbol, status, price: Schema.priceText(price), sentiment, version };
}

/** The best prices first. */
function bookView({ bids, asks }: Book, depth: number) {
  const side = (levels: readonly Level[]) => levels.slice(-depth).toReversed().map(levelView);
  return { bids: side(bids), asks: side(asks) };
}

function levelView({ price, quantity, orders }: Level) {
  return { price: Schema.priceText(price), quantity: Schema.quantityText(quantity), orders };
}
