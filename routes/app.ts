/**
 * The whole HTTP face: routes, who may call them, and how failures read.
 *
 * @module
 */
import { Hono } from "hono";
import type { Env } from "../lib/env.ts";
import { authenticated, type AuthenticationOptions, type CallerEnv } from "../lib/http/caller.ts";
import { problemForError, problemForUnrouted, type ReportBug, TRACE } from "../lib/http/problem.ts";
import { routed } from "../lib/http/routed.ts";
import { type AccountOptions, accounts, positions, risk } from "./accounts.ts";
import { admitting } from "./admission.ts";
import { type DeadLetterOptions, deadLetters } from "./dead_letters.ts";
import { type FlowOptions, flows } from "./flows.ts";
import { type JobOptions, jobs } from "./jobs.ts";
import { health, type Readiness } from "./health.ts";
import { type LiveEventOptions, liveEvents } from "./live_events.ts";
import { type MarketOptions, markets } from "./markets.ts";
import { type OrderOptions, orders } from "./orders.ts";
import { portfolio } from "./portfolio.ts";
import { performance, type PerformanceOptions } from "./performance.ts";
import { type ProjectionOptions, projections } from "./projections.ts";
import { type ScheduleOptions, schedules } from "./schedules.ts";
import { supervision, type SupervisionOptions } from "./supervision.ts";
import { type WebhookOptions, webhooks } from "./webhooks.ts";

export interface AppOptions
  extends
    AccountOptions,
    LiveEventOptions,
    MarketOptions,
    OrderOptions,
    JobOptions,
    FlowOptions,
    ScheduleOptions,
    WebhookOptions,
    ProjectionOptions,
    PerformanceOptions,
    SupervisionOptions {
  readonly deadLetters: DeadLetterOptions["deadLetters"];
  readonly env: Pick<Env, "now" | "uuid" | "random">;
  readonly authentication: AuthenticationOptions;
  readonly readiness: () => Promise<Readiness>;
  readonly reportBug: ReportBug;
  /** Gives the span of a request the name of its route; absent where nobody takes spans. */
  readonly nameSpan?: (method: string, route: string) => void;
}

export function app(options: AppOptions): Hono<CallerEnv> {
  const root = new Hono<CallerEnv>();
  root.onError(
    problemForError({ report: options.reportBug, uuid: options.authentication.env.uuid }),
  );
  const unrouted = problemForUnrouted(root);
  root.notFound(unrouted);
  // Before anybody is asked for a token.
  root.on(TRACE, "*", unrouted);
  if (options.nameSpan !== undefined) root.use(routed(options.nameSpan));
  root.route("/health", health(options.readiness));
  root.use("/api/*", authenticated({ ...options.authentication, load: options.state.gauge }));
  root.route("/api/v1", liveEvents(options));
  root.route("/api/v1/orders", orders(options));
  root.route("/api/v1/markets", markets(options));
  root.route("/api/v1/accounts", accounts(options));
  root.route("/api/v1/portfolio", portfolio(options));
  root.route("/api/v1/positions", positions(options));
  root.route("/api/v1/risk", risk(options));
  root.route("/api/v1/dead-letters", deadLetters(options));
  root.route("/api/v1/jobs", jobs(options));
  root.route("/api/v1/flows", flows(options));
  root.route("/api/v1/schedules", schedules(options));
  root.route("/api/v1/webhooks", webhooks(options));
  root.route("/api/v1/projections", projections(options));
  root.route("/api/v1/supervision", supervision(options));
  root.route("/api/v1/performance", performance(options));
  admitting(root, { state: options.state, random: options.env.random });
  return root;
}
