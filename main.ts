/**
 * Composition root: what the service is made of, in the order in which it starts.
 *
 * `main.ts` serves, `main.ts migrate` brings the database up to date and ends,
 * `main.ts token NAME --role ROLE` prints a bearer token, `main.ts dead-letters …` sees to what no
 * actor could handle, and `main.ts rebuild-projection NAME` makes read tables anew.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Hono } from "hono";
import type { QueryExecutorProvider } from "kysely";
import { ZodError } from "zod";
import * as Account from "./actors/account/aggregate.ts";
import * as LiveEvent from "./actors/live_event/aggregate.ts";
import { type NoticeTables, writeNotices } from "./actors/live_event/inbox.ts";
import { concernedBy, deliverNotices, tellAttendees } from "./actors/live_event/notices.ts";
import { notifier } from "./actors/live_event/notifier.ts";
import { type LiveEventTables, projection } from "./actors/live_event/projection.ts";
import { publicEventOf } from "./actors/live_event/public_events.ts";
import { happenedTo, ownersOf } from "./actors/live_event/public_feed.ts";
import * as Market from "./actors/market/aggregate.ts";
import * as Order from "./actors/order/aggregate.ts";
import * as Portfolio from "./actors/portfolio/aggregate.ts";
import * as Risk from "./actors/risk/aggregate.ts";
import * as WebhookEndpoint from "./actors/webhook_endpoint/aggregate.ts";
import { endpointsIn } from "./actors/webhook_endpoint/deliveries.ts";
import { webhookProjection, type WebhookTables } from "./actors/webhook_endpoint/projection.ts";
import { replay, type ReplayRequest } from "./actors/webhook_endpoint/replay.ts";
import { type Config, ConfigurationError, readConfig } from "./lib/config.ts";
import { type Env, systemEnv } from "./lib/env.ts";
import { TransientFault } from "./lib/fault.ts";
import type { CallerEnv } from "./lib/http/caller.ts";
import type { ConnectionBounds } from "./lib/http/connection_bounds.ts";
import { connectionServer } from "./lib/http/connection_server.ts";
import { GuardedServer } from "./lib/http/guarded_server.ts";
import { type BodyParser, bodyParser } from "./lib/http/parsed.ts";
import { type HttpServer, type Place, platformServer } from "./lib/http/server.ts";
import { openTokenKey } from "./lib/http/token_key.ts";
import { mintToken, type TokenOptions, TokenVerifier } from "./lib/http/tokens.ts";
import * as Flow from "./lib/jobs/flow/aggregate.ts";
import { drained } from "./lib/jobs/draining.ts";
import { handles, type JobBinding, type QueueOptions } from "./lib/jobs/job_worker.ts";
import { JobWorkers, queueNames } from "./lib/jobs/job_workers.ts";
import * as Schedule from "./lib/jobs/schedule.ts";
import { DataDirectoryInUse } from "./lib/postgres/data_lock.ts";
import {
  type Database,
  type DatabaseOptions,
  DatabaseUnusable,
  openDatabase,
} from "./lib/postgres/database.ts";
import { PostgresAudit } from "./lib/postgres/audit.ts";
import { PostgresDeadLetters } from "./lib/postgres/dead_letters.ts";
import { PostgresEventStore } from "./lib/postgres/event_store.ts";
import { flowProjection, PostgresFlowListing } from "./lib/postgres/flow_listing.ts";
import { migrateToLatest, pendingMigrations, UnknownMigrations } from "./lib/postgres/migrate.ts";
import { enqueueWithin } from "./lib/postgres/job_enqueueing.ts";
import { PostgresJobQueue } from "./lib/postgres/job_queue.ts";
import { PostgresOutbox, tellWithin } from "./lib/postgres/outbox.ts";
import { PostgresProjectionStore } from "./lib/postgres/projection_store.ts";
import { PostgresRebuildStore } from "./lib/postgres/rebuild_store.ts";
import { PostgresScheduleList, scheduleProjection } from "./lib/postgres/schedules.ts";
import { RedisPeers } from "./lib/redis/peers.ts";
import type { InFlightLimits } from "./lib/resilience/in_flight.ts";
import type { SheddingLimits } from "./lib/resilience/shedding.ts";
import { EventBus } from "./lib/runtime/event_bus.ts";
import { Housekeeping } from "./lib/runtime/housekeeping.ts";
import { observing } from "./lib/runtime/middleware.ts";
import type { Publish } from "./lib/runtime/activation.ts";
import { NodeState } from "./lib/runtime/node_state.ts";
import type { Observe } from "./lib/runtime/observe.ts";
import type { Operator } from "./lib/runtime/outbox.ts";
import { OutboxRelay } from "./lib/runtime/outbox_relay.ts";
import type { Peers } from "./lib/runtime/peers.ts";
import { Rebuilder, type RebuildLimits, RebuildRefused } from "./lib/runtime/rebuild.ts";
import type { OutsideLimits } from "./lib/runtime/outside_lanes.ts";
import type { Projection, ProjectorLimits } from "./lib/runtime/projector.ts";
import type { Store } from "./lib/runtime/store.ts";
import { ActorSystem, type SystemLimits } from "./lib/runtime/system.ts";
import { shutdownRequested } from "./lib/signals.ts";
import { stableUuid } from "./lib/stable_uuid.ts";
import { activeTraceparent, isTelemetryOn, nameActiveSpan } from "./lib/telemetry/active_span.ts";
import { type Log, openLog } from "./lib/telemetry/log.ts";
import { logObserver } from "./lib/telemetry/log_observer.ts";
import { otelObserver } from "./lib/telemetry/otel_observer.ts";
import { WEBHOOK, webhookTarget } from "./lib/webhooks/delivery.ts";
import { admission, type Resolve, systemResolver } from "./lib/webhooks/destination.ts";
import { type Post, poster } from "./lib/webhooks/post.ts";
import { newSecret } from "./lib/webhooks/signature.ts";
import { migrations } from "./migrations/all.ts";
import { app, type AppOptions } from "./routes/app.ts";
import { deadLettersCommand, DeadLettersUsageError } from "./routes/dead_letters_cli.ts";
import type { Readiness } from "./routes/health.ts";
import { rebuildCommand, RebuildFailed, rebuildReport } from "./routes/projections_cli.ts";

/** What may be added to before the service listens, as the benchmark does. */
export interface ServiceParts {
  readonly http: Hono<CallerEnv>;
  readonly parseBody: BodyParser;
  readonly system: ActorSystem;
}

export interface Service extends AsyncDisposable {
  readonly url: string;
  /** Says that it is about to end, and goes on serving. */
  drain(): void;
  /** Resolves, with the reason, if the service has to be ended from within. */
  readonly failed: Promise<Error>;
  /** Brings and does what is due by now; false if that takes longer, or fails. */
  drained(withinMs: number): Promise<boolean>;
}

/**
 * Starts everything, and resolves once requests are answered.
 *
 * Disposing it stops in reverse: accept no more, finish the turns, flush the commits, close.
 */
export async function startService(
  config: Config,
  log: Log,
  extend?: (parts: ServiceParts) => void,
  openServer: OpenServer = guardedServer,
): Promise<Service> {
  await using starting = new AsyncDisposableStack();
  const env = systemEnv;
  const { limits } = config;
  const database = starting.use(await openMigrated(config, log));
  const observers = [logObserver(log), otelObserver(env)].filter((tell) => tell !== undefined);
  const observe: Observe = (event) => observers.forEach((tell) => tell(event));
  const peers = config.redis && starting.use(new RedisPeers({ env, observe, ...config.redis }));
  const isTraced = isTelemetryOn();
  const parseBody = bodyParser({ bytesMax: limits.bodyBytesMax, bodyMs: limits.bodyMs, env });
  const node = starting.use(openNode({
    database,
    env,
    observe,
    limits: { ...limits, residentMax: limits.residentActorsMax },
    replyRetentionMs: limits.replyRetentionMs,
    webhooks: config.webhooks,
    ...(peers !== undefined && { peers }),
    http: {
      parseBody,
      consistencyWaitMs: limits.consistencyWaitMs,
      authentication: {
        verifier: new TokenVerifier(await tokenOptions(config)),
        env,
        requestTimeoutMs: limits.requestTimeoutMs,
        ...(isTraced && { activeTraceparent }),
      },
      ...(isTraced && { nameSpan: nameActiveSpan }),
      readiness: () => readinessOf(database),
      reportBug: (error, request) => log("error", "bug", { ...request, error }),
    },
  }));
  peers?.listen(node.system);
  extend?.({ http: node.http, parseBody, system: node.system });
  const server = starting.use(openServer({ config, http: node.http, log, observe }));
  const running = starting.move();
  return {
    url: `http://${server.addr.hostname}:${server.addr.port}`,
    drain: () => node.state.drain(),
    failed: node.system.supervision.ended,
    drained: node.drained,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

export interface NodeOptions {
  readonly database: Database;
  readonly env: Env;
  readonly observe: Observe;
  /** What stands before the database, where it is not reached directly. */
  readonly store?: Store;
  readonly limits?: Partial<SystemLimits>;
  /** Without it replies are remembered for ever. */
  readonly replyRetentionMs?: number;
  readonly projectorLimits?: Partial<ProjectorLimits>;
  readonly webhooks?: WebhookSetting;
  readonly outsideLimits?: Partial<OutsideLimits>;
  readonly shedding?: Partial<SheddingLimits & InFlightLimits>;
  /** The other nodes, to be told what this one wrote, and the Redis by way of which they are. */
  readonly peers?: Peers & Pick<RedisPeers, "redis" | "health">;
  /** Jobs beyond the service's own. */
  readonly bindings?: readonly JobBinding[];
  readonly queues?: readonly QueueOptions[];
  readonly http: Pick<
    AppOptions,
    | "parseBody"
    | "consistencyWaitMs"
    | "authentication"
    | "nameSpan"
    | "readiness"
    | "reportBug"
  >;
}

/** One node of the service, but for the port that it listens on. */
export interface Node extends AsyncDisposable {
  readonly http: Hono<CallerEnv>;
  readonly system: ActorSystem;
  readonly store: Store;
  readonly observe: Observe;
  readonly state: NodeState;
  /** Brings and does what is due; resolves to whether nothing was left within that time. */
  drained(withinMs: number): Promise<boolean>;
}

/** Starts all parts of a node. Disposing it stops them in reverse. */
export function openNode(options: NodeOptions): Node {
  const { database, env, peers, limits = {}, projectorLimits = {}, outsideLimits = {} } = options;
  const parts = new AsyncDisposableStack();
  const observe: Observe = (event) => {
    if (event.type === "commit" && event.events > 0) bus.wake();
    if (event.type === "told") {
      relay.announce(event.to);
      workers.announce(event.to);
    }
    if (event.type === "jobs-settled") relay.removed(event.jobs);
    state.note(event);
    options.observe(event);
  };
  const { breakers, bulkheads, retries: budget } = database;
  const state = parts.use(
    new NodeState({
      env,
      observe: options.observe,
      database: breakers.server,
      writing: breakers.writing,
      kv: options.peers?.redis,
      bulkheads,
      budget,
      shedding: options.shedding,
    }),
  );
  const store = options.store ?? new PostgresEventStore(database);
  const bus = parts.use(
    new EventBus({ env, observe, store: new PostgresProjectionStore(database.db) }),
  );
  bus.use(observing(env, observe));
  const publish: Publish = (address, commit) => bus.publish(address, commit);
  const system = parts.use(
    new ActorSystem({
      env,
      store,
      observe,
      publish,
      limits,
      budget,
      storeState: state,
      ...(peers !== undefined && { peers }),
    }),
  );
  system.host(LiveEvent);
  system.host(Account);
  system.host(Portfolio);
  system.host(Risk);
  system.host(Order);
  system.host(Market);
  system.host(WebhookEndpoint);
  system.host(Flow);
  system.host(Schedule);

  const outbox = new PostgresOutbox(database);
  const webhooks = webhooksOn({ database, system, outbox, env }, options.webhooks ?? {});
  const outside = [webhooks.target];
  const relay = parts.use(
    new OutboxRelay({ outbox, system, env, observe, budget, outside, outsideLimits }),
  );
  const jobs = new PostgresJobQueue(database);
  const bindings = [...noticesOn(database, system), ...options.bindings ?? []];
  const queues = [{ queue: deliverNotices.queue, concurrency: 1 }, ...options.queues ?? []];
  const workers = parts.use(new JobWorkers({ bindings, queues, jobs, env, observe, budget }));
  bus.follow(notifier({ enqueue: enqueueWithin, uuid: env.uuid }), {
    ...inNoHurry,
    ...projectorLimits,
  });

  const { replyRetentionMs } = options;
  const housekeepers = replyRetentionMs === undefined
    ? []
    : [parts.use(new Housekeeping({ env, store, observe, replyRetentionMs }).start())];

  const healthOfAll = () => [
    ...bus.health(),
    ...relay.healthOfAll(),
    ...workers.health(),
    ...housekeepers.map((housekeeper) => housekeeper.health()),
    ...peers === undefined ? [] : [peers.health()],
  ];
  const follow = (followed: Projection<QueryExecutorProvider>) =>
    bus.follow(followed, projectorLimits);
  const http = app({
    ...options.http,
    readiness: async () => {
      const { isReady, details } = await options.http.readiness();
      const { mode, because } = state.report();
      const supervision = system.supervision.health();
      return {
        isReady: isReady && !state.mode.conditions.isDraining,
        details: { mode, because, ...details, supervision, workers: healthOfAll() },
      };
    },
    system,
    store,
    state,
    db: database.queries.$extendTables<LiveEventTables & NoticeTables>(),
    listing: follow(projection),
    webhooks: webhooks.parts,
    webhookListing: follow(webhooks.projection),
    observe,
    deadLetters: new PostgresDeadLetters(database.db),
    supervision: system.supervision,
    workers: healthOfAll,
    audit: new PostgresAudit(database.db),
    jobs,
    jobDefinitions: bindings.map(({ job }) => job),
    announce: (queues) => workers.announce(queues),
    flows: new PostgresFlowListing(database.queries),
    flowListing: follow(flowProjection),
    env,
    rebuilder: parts.use(rebuilderOf(database, env, observe)),
    scheduleList: new PostgresScheduleList(database.queries),
    scheduleListing: follow(scheduleProjection),
  });
  const names = queueNames(bindings.map(({ job }) => job));
  return {
    http,
    system,
    store,
    observe,
    state,
    drained: (withinMs) => drained({ env, relay, jobs, queues: names, workers }, withinMs),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** For what people may as well learn a little later: commands come first. */
const inNoHurry: Partial<ProjectorLimits> = { pageMax: 100, shareMax: 0.05 };

/** How the notices of live events come to their people. */
function noticesOn(database: Database, system: ActorSystem): readonly JobBinding[] {
  const db = database.db.$extendTables<NoticeTables>();
  return [
    handles(deliverNotices, ({ notices }) => writeNotices(db, notices)),
    handles(tellAttendees, async ({ eventId, type, at }, context) => {
      const { correlationId, cause } = context;
      const people = await system.read(
        LiveEvent,
        eventId,
        cause(),
        (state) => [...concernedBy(type, state)],
        { isStrong: true },
      );
      const notices = people.view.map((userId) => ({ userId, eventId, type, at, correlationId }));
      for (let from = 0; from < notices.length; from += NOTICES_AT_ONCE) {
        await writeNotices(db, notices.slice(from, from + NOTICES_AT_ONCE));
      }
      return { told: notices.length };
    }),
  ];
}

/** Of one statement. */
const NOTICES_AT_ONCE = 1_000;

export interface WebhookSetting {
  readonly allowedHosts?: readonly string[];
  readonly resolve?: Resolve;
  readonly post?: Post;
  readonly deadlineMs?: number;
  readonly pausesMs?: readonly number[];
}

/** Events at the limit of what one look at a lane counts. */
const WAITING_COUNT_MAX = 10_000;

/** All there is to webhooks: who is told of what, the way out, and what the routes need. */
function webhooksOn(
  { database, system, outbox, env }: {
    readonly database: Database;
    readonly system: ActorSystem;
    readonly outbox: PostgresOutbox;
    readonly env: Env;
  },
  setting: WebhookSetting,
) {
  const { allowedHosts = [], post = poster(), ...rest } = setting;
  const { resolve = systemResolver(env), ...limits } = rest;
  const db = database.db.$extendTables<WebhookTables>();
  const publisher = { kind: LiveEvent.kind, publicEventOf, ownersOf, happenedTo };
  const fanOut = { publisher, tell: tellWithin, uuidOf: stableUuid };
  const admit = admission({ resolve, allowedHosts });
  const endpoints = endpointsIn({ system, db, env });
  return {
    projection: webhookProjection(fanOut),
    target: webhookTarget({ endpoints, admit, post, env, ...limits }),
    parts: {
      db: database.queries.$extendTables<WebhookTables>(),
      admit,
      newSecret,
      now: env.now,
      standingOf: (id: string) => outbox.standing({ kind: WEBHOOK, key: id }, WAITING_COUNT_MAX),
      replay: (request: ReplayRequest) => replay({ ...fanOut, db }, request),
    },
  };
}

function rebuilderOf(
  database: Database,
  env: Env,
  observe: Observe,
  limits: Partial<RebuildLimits> = {},
): Rebuilder<QueryExecutorProvider> {
  const store = new PostgresRebuildStore(database);
  return new Rebuilder({
    projections: [projection, flowProjection, scheduleProjection],
    store,
    env,
    observe,
    limits,
  });
}

/** How requests come in. */
export type OpenServer = (parts: ServerParts) => HttpServer;

export interface ServerParts {
  readonly config: Config;
  readonly http: Hono<CallerEnv>;
  readonly log: Log;
  readonly observe: Observe;
}

/** Serves on a port of its own, and is nobody's to hold on to. */
export function guardedServer(parts: ServerParts): HttpServer {
  const { config, http, log, observe } = parts;
  const serveConnection = connectionServer();
  if (serveConnection === undefined) {
    log("warn", "this Deno lends no server for one connection: slow ones have no bound", {});
    return unguardedServer(parts);
  }
  return listening(config, (place) =>
    new GuardedServer(place, {
      serveConnection,
      handle: (request, peer) => http.fetch(request, { peer }),
      onError: (error) => {
        log("error", "bug", { error });
        return new Response(null, { status: 500 });
      },
      bounds: connectionBounds(config),
      env: systemEnv,
      observe,
    }));
}

/** Serves where the platform, which has bounds of its own, lets requests in. */
export function unguardedServer({ config, http }: ServerParts): HttpServer {
  return listening(
    config,
    (place) => platformServer(place, (request, peer) => http.fetch(request, { peer })),
  );
}

/** Of what a route does beside reading the body and waiting for its command. */
const ANSWERING_MS = 5_000;

function connectionBounds({ limits }: Config): ConnectionBounds {
  const { bodyMs, requestTimeoutMs, consistencyWaitMs, shutdownMs } = limits;
  return {
    connectionsMax: limits.connectionsMax,
    perAddressMax: limits.connectionsPerAddressMax,
    headMs: limits.headMs,
    idleMs: limits.keepAliveMs,
    // No request gets there whose own bounds work.
    requestMs: bodyMs + requestTimeoutMs + consistencyWaitMs + ANSWERING_MS,
    // What is left of the time is for the turns and commits.
    closingMs: shutdownMs / 2,
  };
}

function listening({ host: hostname, port }: Config, open: (place: Place) => HttpServer) {
  try {
    return open({ hostname, port });
  } catch (error) {
    const { message } = error as Error;
    throw new CannotListen(`Cannot listen on ${hostname}:${port}: ${message}`, { cause: error });
  }
}

class CannotListen extends Error {}

async function openMigrated(config: Config, log: Log): Promise<Database> {
  await using opening = new AsyncDisposableStack();
  const database = opening.use(await openDatabase(databaseOptions(config)));
  const applied = await migrateToLatest(database.maintenance, migrations);
  log("info", "database open", { durability: database.durability, migrationsApplied: applied });
  if (!database.durability.survivesPowerLoss) {
    log("warn", "this store survives a crash of the process, but not a loss of power", {});
  }
  opening.move();
  return database;
}

function databaseOptions({ database, dataDir }: Config): DatabaseOptions {
  const { url, poolMax, allowUnsafe } = database;
  return url === undefined ? { dataDir: `${dataDir}/postgres` } : { url, poolMax, allowUnsafe };
}

async function tokenOptions({ tokens, dataDir }: Config): Promise<TokenOptions> {
  const { secret, issuer, audience } = tokens;
  return { key: await openTokenKey({ secret, dataDir }), issuer, audience, env: systemEnv };
}

async function readinessOf({ durability, ping }: Database): Promise<Readiness> {
  try {
    await ping();
    return { isReady: true, details: { database: "reachable", durability } };
  } catch (error) {
    if (!(error instanceof TransientFault)) throw error;
    return { isReady: false, details: { database: "unreachable", durability } };
  }
}

async function serve(config: Config): Promise<void> {
  const log = openLog(config.logLevel, console.log, systemEnv.now);
  const stop = shutdownRequested();
  const service = await startService(config, log);
  log("info", "listening", { url: service.url });
  const reason = await Promise.race([stop, service.failed]);
  if (reason instanceof Error) log("error", "the node ends itself", { error: reason });
  else log("info", "stopping", { signal: reason });
  const { shutdownMs, shutdownGraceMs } = config.limits;
  service.drain();
  // Whoever sends SIGINT sits before it, and no balancer sends anyone else.
  if (reason === "SIGTERM") await systemEnv.sleep(shutdownGraceMs);
  const isLate = setTimeout(() => {
    log("error", "gave up on an orderly end", { shutdownMs });
    Deno.exit(1);
  }, shutdownMs);
  await service[Symbol.asyncDispose]();
  clearTimeout(isLate);
  log("info", "stopped", {});
  if (reason instanceof Error) Deno.exit(1);
}

async function migrate(config: Config): Promise<void> {
  await using database = await openDatabase(databaseOptions(config));
  const applied = await migrateToLatest(database.maintenance, migrations);
  for (const name of applied) console.log(`applied ${name}`);
  if (applied.length === 0) console.log("nothing to apply");
}

async function token(config: Config, args: readonly string[]): Promise<void> {
  const { sub, roles } = tokenArguments(args);
  const { ttlMs } = config.tokens;
  try {
    console.log(await mintToken(await tokenOptions(config), { sub, roles, ttlMs }));
  } catch (error) {
    if (!(error instanceof ZodError)) throw error;
    const culprit = error.issues[0]?.path[0] === "roles" ? "role" : "name";
    throw new UsageError(`Cannot mint a token: this is no ${culprit} for one`, { cause: error });
  }
}

async function seeToDeadLetters(config: Config, args: readonly string[]): Promise<void> {
  await using database = await openDatabase(databaseOptions(config));
  const pending = await pendingMigrations(database.maintenance, migrations);
  if (pending.length > 0) {
    throw new UsageError(`Cannot see to dead letters: the database lacks ${pending.join(", ")}`);
  }
  const letters = new PostgresDeadLetters(database.db);
  await deadLettersCommand(letters, args, operatorHere(), console.log);
}

async function rebuild(config: Config, args: readonly string[]): Promise<void> {
  await using database = await openDatabase(databaseOptions(config));
  const pending = await pendingMigrations(database.maintenance, migrations);
  if (pending.length > 0) {
    throw new UsageError(`Cannot rebuild: the database lacks ${pending.join(", ")}`);
  }
  // Nobody else is served by this process, and an embedded database has no other.
  await using rebuilder = rebuilderOf(database, systemEnv, rebuildReport(console.log), {
    restMs: 0,
  });
  await rebuildCommand(rebuilder, args, operatorHere(), console.log);
}

function operatorHere(): Operator {
  return { id: `cli:${Deno.env.get("USER") ?? "unknown"}` };
}

function tokenArguments(args: readonly string[]): { sub: string; roles: readonly string[] } {
  const usage = "usage: token NAME [--role organizer|admin]…";
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { role: { type: "string", multiple: true, default: [] } },
    });
    const [sub] = positionals;
    if (sub !== undefined) return { sub, roles: values.role };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; ${usage}`, { cause: error });
  }
  throw new UsageError(usage);
}

class UsageError extends Error {}

class DataDirectoryUnusable extends Error {
  constructor({ dataDir }: Config, cause: Error) {
    super(`Cannot use the data directory ${dataDir}: ${cause.message}`, { cause });
  }
}

/** What whoever started the process can mend; all else is a bug, and shows its stack. */
const mendable = [
  UsageError,
  DeadLettersUsageError,
  RebuildFailed,
  RebuildRefused,
  ConfigurationError,
  DatabaseUnusable,
  DataDirectoryInUse,
  DataDirectoryUnusable,
  UnknownMigrations,
  TransientFault,
  CannotListen,
  Deno.errors.NotCapable,
];

async function main([command = "serve", ...args]: readonly string[]): Promise<void> {
  try {
    const config = readConfig(Deno.env.toObject());
    await run(command, args, config).catch((error) => {
      throw isRefusedBySystem(error) ? new DataDirectoryUnusable(config, error) : error;
    });
  } catch (error) {
    if (!mendable.some((kind) => error instanceof kind)) throw error;
    console.error((error as Error).message);
    Deno.exit(1);
  }
}

async function run(command: string, args: readonly string[], config: Config): Promise<void> {
  switch (command) {
    case "serve":
      return await serve(config);
    case "migrate":
      return await migrate(config);
    case "token":
      return await token(config, args);
    case "dead-letters":
      return await seeToDeadLetters(config, args);
    case "rebuild-projection":
      return await rebuild(config, args);
    default:
      throw new UsageError(
        `unknown command ${command}: serve, migrate, token, dead-letters or rebuild-projection`,
      );
  }
}

/** A missing permission, a full disk. */
function isRefusedBySystem(error: unknown): error is Error {
  return error instanceof Error && "code" in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

if (import.meta.main) await main(Deno.args);
