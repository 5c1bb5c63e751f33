/**
 * Risk over HTTP: what one may risk, whether one may trade, what one was alerted to, and what a bad
 * day would cost.
 *
 * @module
 */
import type { Context } from "hono";
import { pricesAt } from "../actors/market/listing.ts";
import { observedMoments } from "../actors/risk/analysis.ts";
import * as Risk from "../actors/risk/aggregate.ts";
import { answer } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { type Route, route } from "../lib/http/operation.ts";
import type { Env } from "../lib/env.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { accountAsked } from "./accounts.ts";
import { awaitToken, headersOf, readOptionsOf } from "./consistency.ts";
import * as View from "./risk_views.ts";
import { type AlertOptions, Alerts, alertsTo } from "./trading_alerts.ts";
import { risks } from "./trading_problems.ts";
import * as Schema from "./trading_schemas.ts";
import { valued } from "./portfolio.ts";

export interface RiskOptions extends AlertOptions {
  readonly system: ActorSystem;
  readonly env: Pick<Env, "now">;
}

export function risk(options: RiskOptions): readonly Route[] {
  return [...riskCommands(options), ...riskQueries(options)];
}

function riskCommands({ system }: RiskOptions): readonly Route[] {
  const asked = async (c: Context<CallerEnv>, command: Risk.Command) => {
    const cause = causeOf(c);
    const { id } = cause.principal;
    const view = ({ state }: { readonly state: Risk.State }) => View.riskView(state);
    const outcome = await system.ask(Risk, id, command, cause, view);
    if (!outcome.accepted) return risks.refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
  const ownRisk = {
    tag: "trading",
    access: ["trader", "admin"],
    asks: "actor",
    answers: { 200: View.Risk },
  } as const;
  return [
    route({
      ...ownRisk,
      id: "setLimits",
      method: "put",
      path: "/api/v1/risk/limits",
      summary: "Sets what the caller may risk, in place of the limits before",
      body: Schema.Limits,
    }, async (c, { body: { pausesOnBreach, ...limits } }) => {
      const texts = Object.entries(limits).map(([name, limit]) => [name, String(limit)]);
      return await asked(c, { type: "SetLimits", pausesOnBreach, ...Object.fromEntries(texts) });
    }),
    route({
      ...ownRisk,
      id: "pauseTrading",
      method: "post",
      path: "/api/v1/risk/pause",
      summary: "Has no more orders of the caller's let through",
      problems: risks.known("already-paused"),
    }, async (c) => await asked(c, { type: "Pause" })),
    route({
      ...ownRisk,
      id: "resumeTrading",
      method: "post",
      path: "/api/v1/risk/resume",
      summary: "Lets orders of the caller's through again",
      problems: risks.known("not-paused"),
    }, async (c) => await asked(c, { type: "Resume" })),
  ];
}

function riskQueries(options: RiskOptions): readonly Route[] {
  const { system, trading, env, consistencyWaitMs } = options;
  const ownRisk = { method: "get", tag: "trading", access: "caller" } as const;
  return [
    route({
      ...ownRisk,
      id: "getRiskStatus",
      path: "/api/v1/risk/status",
      summary: "The caller's limits, and whether orders are let through",
      asks: "actor",
      query: Schema.AccountQuery,
      answers: { 200: View.Risk },
    }, async (c, { query }) => {
      const id = accountAsked(c, query.accountId);
      const reading = await system.read(Risk, id, causeOf(c), View.riskView, readOptionsOf(c));
      return answer(c, 200, reading.view, headersOf(reading));
    }),
    route({
      ...ownRisk,
      id: "listRiskAlerts",
      path: "/api/v1/risk/alerts",
      summary: "What the caller was alerted to, the newest first",
      asks: "projection",
      class: "list",
      query: Schema.OwnAlertListQuery,
      answers: { 200: Alerts },
    }, async (c, { query: { accountId, ...query } }) => {
      return await alertsTo(c, options, { accountId: accountAsked(c, accountId) }, query);
    }),
    route({
      ...ownRisk,
      id: "analyzeRisk",
      path: "/api/v1/risk/analysis",
      summary: "What the caller's shares are exposed to, and what a bad day would cost",
      asks: "projection",
      class: "list",
      limit: "risk-analysis",
      query: Schema.AccountQuery,
      answers: { 200: View.RiskAnalysis },
    }, async (c, { query }) => {
      const id = accountAsked(c, query.accountId);
      const cause = causeOf(c);
      const read = readOptionsOf(c);
      await awaitToken(c, trading.tape, consistencyWaitMs);
      const { view: openCost } = await system.read(Risk, id, cause, costOfAllOpen, read);
      const { account, valuation } = await valued(system, cause, id, [], read);
      const symbols = valuation.positions.map(({ symbol }) => symbol);
      const prices = await pricesAt(trading.db, symbols, observedMoments(env.now()));
      const exposed = { ...valuation, cash: account.cash, openCost };
      return answer(c, 200, View.analysisView(exposed, prices));
    }),
  ];
}

function costOfAllOpen({ openCost }: Risk.State): bigint {
  return openCost;
}
