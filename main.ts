/**
 * Composition root: what the service is made of, in the order in which it starts.
 *
 * `main.ts [start]` serves; `main.ts migrate` brings the database up to date and ends;
 * `main.ts token NAME [--role ROLE]… [--hours N]` prints a bearer token.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Hono } from "hono";
import * as LiveEvent from "./actors/live_event/aggregate.ts";
import { type LiveEventTables, projection } from "./actors/live_event/projection.ts";
import { type Config, ConfigurationError, readConfig } from "./lib/config.ts";
import { systemEnv } from "./lib/env.ts";
import { TransientFault } from "./lib/fault.ts";
import type { CallerEnv } from "./lib/http/caller.ts";
import { type BodyParser, bodyParser } from "./lib/http/parsed.ts";
import { openTokenKey } from "./lib/http/token_key.ts";
import { mintToken, type TokenOptions, TokenVerifier } from "./lib/http/tokens.ts";
import { type Database, openDatabase } from "./lib/postgres/database.ts";
import { PostgresEventStore } from "./lib/postgres/event_store.ts";
import { migrateToLatest } from "./lib/postgres/migrate.ts";
import { PostgresProjectionStore } from "./lib/postgres/projection_store.ts";
import { startHousekeeping } from "./lib/runtime/housekeeping.ts";
import type { Observe, RuntimeEvent } from "./lib/runtime/observe.ts";
import { Projector } from "./lib/runtime/projector.ts";
import { ActorSystem } from "./lib/runtime/system.ts";
import { shutdownRequested } from "./lib/signals.ts";
import { logObserver } from "./lib/telemetry/log_observer.ts";
import { otelObserver } from "./lib/telemetry/otel_observer.ts";
import { migrations } from "./migrations/all.ts";
import { app } from "./routes/app.ts";

/** What a benchmark or a test may add to before the service listens. */
export interface ServiceParts {
  readonly http: Hono<CallerEnv>;
  readonly parseBody: BodyParser;
  readonly system: ActorSystem;
}

export interface ServiceOptions {
  readonly config: Config;
  readonly extend?: (parts: ServiceParts) => void;
}

export interface Service extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts everything, and resolves once requests are answered.
 *
 * Disposing it stops in reverse: accept no more, finish the turns, flush the commits, close.
 */
export async function startService({ config, extend }: ServiceOptions): Promise<Service> {
  await using parts = new AsyncDisposableStack();
  const env = systemEnv;
  const { limits } = config;

  const database = parts.use(await open(config));
  const store = new PostgresEventStore(database);
  const observers = [logObserver(writeLine, config.logLevel), ...otelObservers()];
  const observe: Observe = (event: RuntimeEvent) => {
    if (event.type === "commit" && event.events > 0) projector.wake();
    for (const tell of observers) tell(event);
  };
  const { replyRetentionMs } = limits;
  parts.use(startHousekeeping({ env, store, observe, replyRetentionMs }));
  const projector = parts.use(
    new Projector({
      projection,
      store: new PostgresProjectionStore(database.db),
      env,
      observe,
    }),
  );
  const system = parts.use(
    new ActorSystem({
      env,
      store,
      observe,
      limits: { ...limits, residentMax: limits.residentActorsMax },
    }),
  );
  system.host(LiveEvent);

  const parseBody = bodyParser(limits.bodyBytesMax);
  const http = app({
    system,
    store,
    db: database.db.$extendTables<LiveEventTables>(),
    listing: projector,
    parseBody,
    newId: env.uuid,
    consistencyWaitMs: limits.consistencyWaitMs,
    authentication: {
      verifier: new TokenVerifier(await tokenOptions(config)),
      env,
      requestTimeoutMs: limits.requestTimeoutMs,
    },
    readiness: () => readinessOf(database),
    reportBug: (bug, request) => writeLine(bugLine(bug, request)),
  });
  extend?.({ http, parseBody, system });
  const server = parts.use(
    Deno.serve({ port: config.port, hostname: config.host, onListen() {} }, http.fetch),
  );
  const { hostname, port } = server.addr as Deno.NetAddr;
  const running = parts.move();
  return {
    url: `http://${hostname}:${port}`,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
