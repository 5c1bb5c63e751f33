/**
 * The service as one process: a node on what its configuration names, behind a port.
 *
 * @module
 */
import type { Hono } from "hono";
import type { Config } from "../lib/config.ts";
import { systemEnv } from "../lib/env.ts";
import { TransientFault } from "../lib/fault.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { proxyList } from "../lib/http/client_address.ts";
import { contentFilter } from "../lib/http/content_filter.ts";
import type { DoorOptions } from "../lib/http/door.ts";
import { type BodyParser, bodyParser } from "../lib/http/parsed.ts";
import type { SendMail } from "../lib/mail/mail.ts";
import { smtpMail } from "../lib/mail/smtp.ts";
import type { Database } from "../lib/postgres/database.ts";
import { RedisConnection } from "../lib/redis/connection.ts";
import { RedisKeyValue } from "../lib/redis/key_value.ts";
import { RedisPeers } from "../lib/redis/peers.ts";
import type { Observe } from "../lib/runtime/observe.ts";
import { ActorSystem } from "../lib/runtime/system.ts";
import { activeTraceparent, isTelemetryOn, nameActiveSpan } from "../lib/telemetry/active_span.ts";
import type { Log } from "../lib/telemetry/log.ts";
import { logObserver } from "../lib/telemetry/log_observer.ts";
import { otelObserver } from "../lib/telemetry/otel_observer.ts";
import { UpstashKeyValue } from "../lib/upstash/key_value.ts";
import type { Readiness } from "../routes/health.ts";
import { openNode } from "./node.ts";
import { guardedServer, type OpenServer } from "./server.ts";
import { auditKeysOf, openMigrated, tokenOptions } from "./opening.ts";

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
  const redis = config.redis && starting.use(new RedisConnection({ env, ...config.redis }));
  const peers = redis && config.redis &&
    starting.use(new RedisPeers({ env, observe, connection: redis, ...config.redis }));
  const upstash = config.upstash && starting.use(new UpstashKeyValue({ env, ...config.upstash }));
  const { dependency } = redis ?? upstash ?? {};
  const store = redis === undefined ? upstash : new RedisKeyValue(redis);
  const { quotas, nodes } = config.rateLimits;
  const isTraced = isTelemetryOn();
  const parseBody = bodyParser({ bytesMax: limits.bodyBytesMax, bodyMs: limits.bodyMs, env });
  const node = starting.use(openNode({
    database,
    env,
    observe,
    limits: { ...limits, residentMax: limits.residentActorsMax },
    replyRetentionMs: limits.replyRetentionMs,
    auditKeys: await auditKeysOf(config),
    webhooks: config.webhooks,
    identity: {
      tokens: await tokenOptions(config),
      longestTokenMs: config.tokens.ttlMs,
      sendMail: sendMailOf(config, log),
      letters: { verifyUrl: config.mail.verifyUrl },
    },
    ...(peers !== undefined && { peers }),
    ...(store && dependency && { kv: { store, dependency } }),
    ...(quotas && {
      rateLimits: {
        quotas,
        prefix: config.redis?.channel ?? "troupe",
        nodes: () => Math.max(nodes, peers?.nodes ?? 1),
      },
    }),
    http: {
      parseBody,
      consistencyWaitMs: limits.consistencyWaitMs,
      requestTimeoutMs: limits.requestTimeoutMs,
      ...(isTraced && { activeTraceparent }),
      ...(isTraced && { nameSpan: nameActiveSpan }),
      door: doorOf(config),
      ...(config.contentFilter && { contentFilter: contentFilter(config.contentFilter.words) }),
      readiness: () => readinessOf(database),
      reportBug: (error, request) => log("error", "bug", { ...request, error }),
    },
  }));
  peers?.listen(node.system);
  await node.ready;
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

function doorOf({ door, trustedProxies }: Config): DoorOptions {
  return { ...door, isTrustedProxy: proxyList(trustedProxies) };
}

/** Without a server for it, mail is written to the log: whoever tries the service reads it there. */
function sendMailOf({ mail }: Config, log: Log): SendMail {
  if (mail.smtpUrl !== undefined) return smtpMail({ url: mail.smtpUrl, from: mail.from });
  return (letter) => Promise.resolve(log("info", "mail, which is not sent", { ...letter }));
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
