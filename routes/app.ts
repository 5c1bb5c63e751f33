/**
 * The whole HTTP face: routes, who may call them, and how failures read.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { Env } from "../lib/env.ts";
import {
  authenticated,
  type AuthenticationOptions,
  type CallerEnv,
  introduced,
} from "../lib/http/caller.ts";
import { problemForError, problemForUnrouted, type ReportBug, TRACE } from "../lib/http/problem.ts";
import { type DoorOptions, guarding, openDoor } from "../lib/http/door.ts";
import {
  mount,
  type Operation,
  operationFinder,
  type Route,
  type Shared,
} from "../lib/http/operation.ts";
import { PathRouter } from "../lib/http/path_router.ts";
import type { RateLimits } from "../lib/http/rate_limited.ts";
import { routed } from "../lib/http/routed.ts";
import { type AccountOptions, accounts } from "./accounts.ts";
import { admitting } from "./admission.ts";
import { apiKeys } from "./api_keys.ts";
import { auth } from "./auth.ts";
import { audit, type AuditOptions } from "./audit.ts";
import { auditedActs } from "./audited.ts";
import { type DeadLetterOptions, deadLetters } from "./dead_letters.ts";
import type { Denials } from "./denials.ts";
import { documentation, page } from "./documentation.ts";
import { type FlowOptions, flows } from "./flows.ts";
import { type JobOptions, jobs } from "./jobs.ts";
import { health, type Readiness } from "./health.ts";
import type { IdentityOptions } from "./identity.ts";
import { type LiveEventOptions, liveEvents } from "./live_events.ts";
import { type MarketOptions, markets } from "./markets.ts";
import { type OrderOptions, orders } from "./orders.ts";
import { portfolio, type PortfolioOptions } from "./portfolio.ts";
import { rebalancing } from "./rebalancing.ts";
import { performance, type PerformanceOptions } from "./performance.ts";
import { type ProjectionOptions, projections } from "./projections.ts";
import { registrations } from "./registrations.ts";
import { risk, type RiskOptions } from "./risk.ts";
import { type ScheduleOptions, schedules } from "./schedules.ts";
import { supervision, type SupervisionOptions } from "./supervision.ts";
import { users } from "./users.ts";
import { type WebhookOptions, webhooks } from "./webhooks.ts";

export interface AppOptions
  extends
    Shared,
    IdentityOptions,
    AccountOptions,
    LiveEventOptions,
    MarketOptions,
    OrderOptions,
    PortfolioOptions,
    RiskOptions,
    JobOptions,
    FlowOptions,
    ScheduleOptions,
    WebhookOptions,
    ProjectionOptions,
    PerformanceOptions,
    AuditOptions,
    SupervisionOptions {
  readonly deadLetters: DeadLetterOptions["deadLetters"];
  readonly env: Pick<Env, "now" | "uuid" | "random">;
  readonly authentication: AuthenticationOptions;
  /** Hear of whoever is not let in. */
  readonly denials: Pick<Denials, "note">;
  /** Absent where everybody may ask as often as they like. */
  readonly rateLimits?: RateLimits;
  readonly readiness: () => Promise<Readiness>;
  readonly reportBug: ReportBug;
  /** Absent, it is open to everybody. */
  readonly door?: DoorOptions;
  /** Gives the span of a request the name of its route; absent where nobody takes spans. */
  readonly nameSpan?: (method: string, route: string) => void;
}

export interface App {
  readonly http: Hono<CallerEnv>;
  readonly operations: readonly Operation[];
}

export function app(options: AppOptions): App {
  const root = new Hono<CallerEnv>({ router: new PathRouter() });
  root.onError(
    problemForError({ report: options.reportBug, uuid: options.authentication.env.uuid }),
  );
  const { rateLimits, parseBody } = options;
  const unrouted = problemForUnrouted(root, rateLimits?.admitUnrouted);
  root.notFound(unrouted);
  // Before anybody is asked for a token.
  root.on(TRACE, "*", unrouted);
  if (options.nameSpan !== undefined) root.use(routed(options.nameSpan));
  const authentication = {
    ...options.authentication,
    load: options.state.gauge,
    ...(rateLimits && { admitStranger: rateLimits.admitStranger }),
  };
  const identifying = { ...options, ...rateLimits };
  const routes: readonly Route[] = [
    ...health(options.readiness),
    ...auth(identifying),
    ...users(identifying),
    ...apiKeys(identifying),
    ...liveEvents(options),
    ...registrations(options),
    ...accounts(options),
    ...orders(options),
    ...markets(options),
    ...portfolio(options),
    ...rebalancing(options),
    ...risk(options),
    ...webhooks(options),
    ...jobs(options),
    ...flows(options),
    ...schedules(options),
    ...deadLetters(options),
    ...audit(options),
    ...projections(options),
    ...performance(options),
    ...supervision(options),
    ...documentation(() => operations),
  ];
  const operations: readonly Operation[] = routes.map(({ operation }) => operation);
  const shared: Shared = {
    parseBody,
    audited: auditedActs(options.audit),
    ...(rateLimits && { admit: rateLimits.admit }),
  };
  const operationOf = operationFinder(operations);
  const denied = (c: Context<CallerEnv>) =>
    options.denials.note(c, operationOf(c.req.method, c.req.path)?.id);
  const open = routes.filter(isOpen);
  const closed = routes.filter((route) => !isOpen(route));
  mount(root, [...open, ...page()], shared, [introduced(authentication)]);
  root.use("/api/*", authenticated({ ...authentication, denied }));
  mount(root, closed, shared);
  admitting(root, { state: options.state, operationOf, random: options.env.random });
  guarding(root, options.door ?? openDoor, options.state.mode);
  return { http: root, operations };
}

function isOpen({ operation }: Route): boolean {
  return operation.access === "anyone";
}
