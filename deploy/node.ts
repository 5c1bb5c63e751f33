/**
 * One node of the service: all its parts but the port, in the order in which they start.
 *
 * @module
 */
import type { Hono } from "hono";
import type { QueryExecutorProvider } from "kysely";
import * as Account from "../actors/account/aggregate.ts";
import * as LiveEvent from "../actors/live_event/aggregate.ts";
import type { NoticeTables } from "../actors/live_event/inbox.ts";
import { deliverNotices } from "../actors/live_event/notices.ts";
import { notifier } from "../actors/live_event/notifier.ts";
import { type LiveEventTables, projection } from "../actors/live_event/projection.ts";
import * as Market from "../actors/market/aggregate.ts";
import { marketProjection, type MarketTables } from "../actors/market/projection.ts";
import * as Order from "../actors/order/aggregate.ts";
import { orderProjection, type OrderTables } from "../actors/order/projection.ts";
import * as Portfolio from "../actors/portfolio/aggregate.ts";
import * as Rebalancing from "../actors/rebalancing/aggregate.ts";
import * as Risk from "../actors/risk/aggregate.ts";
import type { AlertTables } from "../actors/trading_alerts.ts";
import type { TransferTables } from "../actors/trading_transfers.ts";
import * as LoginName from "../actors/login_name/aggregate.ts";
import * as User from "../actors/user/aggregate.ts";
import { userProjection } from "../actors/user/projection.ts";
import * as WebhookEndpoint from "../actors/webhook_endpoint/aggregate.ts";
import type { Env } from "../lib/env.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import type { Operation } from "../lib/http/operation.ts";
import { rateLimits } from "../lib/http/rate_limited.ts";
import * as Flow from "../lib/jobs/flow/aggregate.ts";
import { drained } from "../lib/jobs/draining.ts";
import type { JobBinding, QueueOptions } from "../lib/jobs/job_worker.ts";
import { JobWorkers, queueNames } from "../lib/jobs/job_workers.ts";
import * as Schedule from "../lib/jobs/schedule.ts";
import type { KeyValue } from "../lib/kv/key_value.ts";
import { Limiter } from "../lib/limits/limiter.ts";
import type { Database } from "../lib/postgres/database.ts";
import { PostgresAudit, PostgresAuditTrail } from "../lib/postgres/audit.ts";
import type { AuditKeys } from "../lib/postgres/audit_chain.ts";
import { PostgresAuditSealing } from "../lib/postgres/audit_seals.ts";
import { PostgresDeadLetters } from "../lib/postgres/dead_letters.ts";
import { PostgresEventStore } from "../lib/postgres/event_store.ts";
import { flowProjection, PostgresFlowListing } from "../lib/postgres/flow_listing.ts";
import { enqueueWithin } from "../lib/postgres/job_enqueueing.ts";
import { PostgresJobQueue } from "../lib/postgres/job_queue.ts";
import { PostgresOutbox } from "../lib/postgres/outbox.ts";
import { PostgresProjectionStore } from "../lib/postgres/projection_store.ts";
import { PostgresScheduleList, scheduleProjection } from "../lib/postgres/schedules.ts";
import type { Quotas } from "../lib/quotas.ts";
import { RedisPeers } from "../lib/redis/peers.ts";
import type { Dependency } from "../lib/resilience/dependency.ts";
import type { InFlightLimits } from "../lib/resilience/in_flight.ts";
import type { SheddingLimits } from "../lib/resilience/shedding.ts";
import { AuditSealer } from "../lib/runtime/audit_sealer.ts";
import { EventBus } from "../lib/runtime/event_bus.ts";
import { Housekeeping } from "../lib/runtime/housekeeping.ts";
import { observing } from "../lib/runtime/middleware.ts";
import type { Publish } from "../lib/runtime/activation.ts";
import { NodeState } from "../lib/runtime/node_state.ts";
import type { Observe } from "../lib/runtime/observe.ts";
import { OutboxRelay } from "../lib/runtime/outbox_relay.ts";
import type { Peers } from "../lib/runtime/peers.ts";
import type { OutsideLimits } from "../lib/runtime/outside_lanes.ts";
import type { Projection, ProjectorLimits } from "../lib/runtime/projector.ts";
import type { Store } from "../lib/runtime/store.ts";
import { ActorSystem, type SystemLimits } from "../lib/runtime/system.ts";
import { app, type AppOptions } from "../routes/app.ts";
import { identityOn, type IdentitySetting } from "./identity.ts";
import { noticesOn } from "./notices.ts";
import { type WebhookSetting, webhooksOn } from "./webhooks.ts";
import { alerts, rebuilderOf, transfers } from "./read_tables.ts";

export interface NodeOptions {
  readonly database: Database;
  readonly env: Env;
  readonly observe: Observe;
  /** What stands before the database, where it is not reached directly. */
  readonly store?: Store;
  readonly limits?: Partial<SystemLimits>;
  /** Without it replies are remembered for ever. */
  readonly replyRetentionMs?: number;
  /** Without them nothing of the audit is sealed. */
  readonly auditKeys?: AuditKeys;
  readonly projectorLimits?: Partial<ProjectorLimits>;
  readonly webhooks?: WebhookSetting;
  readonly outsideLimits?: Partial<OutsideLimits>;
  readonly shedding?: Partial<SheddingLimits & InFlightLimits>;
  /** The other nodes, to be told what this one wrote. */
  readonly peers?: Peers & Pick<RedisPeers, "health" | "nodes">;
  /** What nodes share beside the database, and whether it is there. */
  readonly kv?: { readonly store: KeyValue; readonly dependency: Dependency };
  /** Without it everybody may ask as often as they like. */
  readonly rateLimits?: RateLimitSetting;
  /** Jobs beyond the service's own. */
  readonly bindings?: readonly JobBinding[];
  readonly queues?: readonly QueueOptions[];
  readonly identity: IdentitySetting;
  readonly http:
    & Pick<
      AppOptions,
      | "parseBody"
      | "consistencyWaitMs"
      | "contentFilter"
      | "door"
      | "nameSpan"
      | "readiness"
      | "reportBug"
    >
    & Pick<AppOptions["authentication"], "requestTimeoutMs" | "activeTraceparent">;
}

export interface RateLimitSetting {
  readonly quotas: Quotas;
  /** What keys in the store that nodes share begin with. */
  readonly prefix: string;
  /** How many nodes there are, as far as is known. */
  readonly nodes: () => number;
}

/** One node of the service, but for the port that it listens on. */
export interface Node extends AsyncDisposable {
  /** Resolves once it is known here what was revoked: before that, nobody is believed. */
  readonly ready: Promise<void>;
  readonly http: Hono<CallerEnv>;
  readonly operations: readonly Operation[];
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
    if (event.type === "told") {
      relay.announce(event.to);
      workers.announce(event.to);
    }
    if (event.type === "jobs-settled") relay.removed(event.jobs);
    state.note(event);
    options.observe(event);
  };
  const { breakers, bulkheads, retries: budget } = database;
  const limiter = limiterOf(options);
  const state = parts.use(
    new NodeState({
      env,
      observe: (event) => {
        options.observe(event);
        if (event.type !== "load" || limiter === undefined) return;
        limiter.adapt(state.mode.conditions.isShedding);
        for (const [limit, requests] of limiter.takeRefused()) {
          options.observe({ type: "limited", limit, requests });
        }
      },
      database: breakers.server,
      writing: breakers.writing,
      kv: options.kv?.dependency,
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
  system.host(Rebalancing);
  system.host(Market);
  system.host(WebhookEndpoint);
  system.host(LoginName);
  system.host(User);
  system.host(Flow);
  system.host(Schedule);

  const outbox = new PostgresOutbox(database);
  const webhooks = webhooksOn({ database, system, outbox, env }, options.webhooks ?? {});
  const outside = [webhooks.target];
  const relay = parts.use(
    new OutboxRelay({
      outbox,
      system,
      env,
      observe,
      budget,
      requests: state.gauge,
      outside,
      outsideLimits,
    }),
  );
  const jobs = new PostgresJobQueue(database);
  const bindings = [...noticesOn(database, system), ...options.bindings ?? []];
  const queues = [{ queue: deliverNotices.queue, concurrency: 1 }, ...options.queues ?? []];
  const workers = parts.use(new JobWorkers({ bindings, queues, jobs, env, observe, budget }));
  const follow = (
    followed: Projection<QueryExecutorProvider>,
    limits: Partial<ProjectorLimits> = {},
  ) => bus.follow(followed, { ...limits, ...projectorLimits });
  follow(notifier({ enqueue: enqueueWithin, uuid: env.uuid }), inNoHurry);

  const { replyRetentionMs } = options;
  const audit = new PostgresAudit(database.db);
  const identity = identityOn(
    { database, system, bus, env, observe, audit, isReadOnly: () => state.isReadOnly },
    options.identity,
    parts,
  );
  const { requestTimeoutMs, activeTraceparent, ...http } = options.http;

  const housekeepers = replyRetentionMs === undefined
    ? []
    : [parts.use(new Housekeeping({ env, store, observe, replyRetentionMs }).start())];

  const { auditKeys } = options;
  const sealers = auditKeys === undefined ? [] : [
    parts.use(
      new AuditSealer({
        env,
        observe,
        sealing: new PostgresAuditSealing(database.db, auditKeys),
      }).start(),
    ),
  ];

  const healthOfAll = () => [
    ...bus.health(),
    ...relay.healthOfAll(),
    ...workers.health(),
    ...housekeepers.map((housekeeper) => housekeeper.health()),
    ...sealers.map((sealer) => sealer.health()),
    ...peers === undefined ? [] : [peers.health()],
    identity.watch.health(),
  ];
  const face = app({
    ...http,
    readiness: async () => {
      const { isReady, details } = await http.readiness();
      const { mode, because } = state.report();
      const supervision = system.supervision.health();
      return {
        isReady: isReady && !state.mode.conditions.isDraining && identity.watch.isKnown,
        details: {
          mode,
          because,
          ...details,
          ...(peers !== undefined && { nodes: peers.nodes }),
          revocations: identity.standing(),
          supervision,
          workers: healthOfAll(),
        },
      };
    },
    ...(limiter && options.rateLimits && {
      rateLimits: rateLimits(limiter),
    }),
    system,
    store,
    state,
    db: database.queries.$extendTables<LiveEventTables & NoticeTables>(),
    trading: {
      db: database.queries
        .$extendTables<OrderTables & MarketTables & TransferTables & AlertTables>(),
      orders: follow(orderProjection, besideOthers),
      tape: follow(marketProjection, besideOthers),
      transfers: follow(transfers),
      alerts: follow(alerts),
    },
    listing: follow(projection),
    webhooks: webhooks.parts,
    webhookListing: follow(webhooks.projection),
    observe,
    deadLetters: new PostgresDeadLetters(database.db),
    supervision: system.supervision,
    workers: healthOfAll,
    audit,
    auditTrail: new PostgresAuditTrail(database.queries),
    denials: identity.denials,
    authentication: {
      ...identity.authentication,
      env,
      requestTimeoutMs,
      ...(activeTraceparent !== undefined && { activeTraceparent }),
    },
    identity: { ...identity.parts, listing: follow(userProjection) },
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
    ...face,
    ready: identity.watch.ready,
    system,
    store,
    observe,
    state,
    drained: (withinMs) => drained({ env, relay, jobs, queues: names, workers }, withinMs),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function limiterOf({ env, kv, rateLimits }: NodeOptions): Limiter | undefined {
  if (rateLimits === undefined) return undefined;
  const { quotas, prefix, nodes } = rateLimits;
  return new Limiter({ env, quotas, nodes, ...(kv && { shared: { store: kv.store, prefix } }) });
}

/** For what people may as well learn a little later: commands come first. */
const inNoHurry: Partial<ProjectorLimits> = { pageMax: 100, shareMax: 0.05 };

/** For what much is recorded of, one thing after the other: larger pages, and others have their turn. */
const besideOthers: Partial<ProjectorLimits> = { pageMax: 500, shareMax: 0.25 };
