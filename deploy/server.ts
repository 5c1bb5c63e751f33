/**
 * How requests come in.
 *
 * @module
 */
import type { Hono } from "hono";
import type { Config } from "../lib/config.ts";
import { systemEnv } from "../lib/env.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import type { ConnectionBounds } from "../lib/http/connection_bounds.ts";
import { connectionServer } from "../lib/http/connection_server.ts";
import { GuardedServer } from "../lib/http/guarded_server.ts";
import { denoServer, type HttpServer, type Place, platformServer } from "../lib/http/server.ts";
import { securityHeaders } from "../lib/http/security_headers.ts";
import type { Observe } from "../lib/runtime/observe.ts";
import type { Log } from "../lib/telemetry/log.ts";

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
        const { isAlwaysSecure: isSecure } = config.door;
        return new Response(null, { status: 500, headers: securityHeaders({ isSecure }) });
      },
      bounds: connectionBounds(config),
      env: systemEnv,
      observe,
    }));
}

/** Serves as Deno does. */
export function unguardedServer({ config, http }: ServerParts): HttpServer {
  return listening(
    config,
    (place) => denoServer(place, (request, peer) => http.fetch(request, { peer })),
  );
}

/** Serves where the platform, which has bounds of its own, lets requests in. */
export function serverOnPlatform({ config, http }: ServerParts): HttpServer {
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

export class CannotListen extends Error {}
