/**
 * What becomes of a request before anybody asks what it wants: under which name it came, from which
 * site, and how; and the headers that whatever answers it has.
 *
 * @module
 */
import type { Env as HonoEnv, Hono } from "hono";
import type { Arrival, Peer } from "./arrival.ts";
import { isPreflight, preflight, readableBy, VARY } from "./cross_origin.ts";
import { isForwardedSecure } from "./forwarded.ts";
import { authorityOf, hostList } from "./host.ts";
import { type AnswerHeaders, bareProblem } from "./problem.ts";
import { securityHeaders } from "./security_headers.ts";

export interface DoorOptions {
  /** Names under which the service is called, with or without a port; any, where there are none. */
  readonly allowedHosts: readonly string[];
  /** Origins whose pages may call it, each as a browser writes it. */
  readonly origins: readonly string[];
  /** What came unencrypted is sent to HTTPS, or refused if it has told too much already. */
  readonly isHttpsRequired: boolean;
  /** Everybody comes over TLS, though nobody says so. */
  readonly isAlwaysSecure: boolean;
  /** Whether this address, of the other end of a connection, is a proxy to be believed. */
  readonly isTrustedProxy: (address: string) => boolean;
}

/** As on a laptop: nobody is expected, and nobody kept out. */
export const openDoor: DoorOptions = {
  allowedHosts: [],
  origins: [],
  isHttpsRequired: false,
  isAlwaysSecure: false,
  isTrustedProxy: () => false,
};

/** Puts the door before the app; answers say in which mode `service` is. */
export function guarding<E extends HonoEnv>(
  app: Hono<E>,
  options: DoorOptions,
  service?: Arrival["service"],
): void {
  const { fetch } = app;
  const door = new Door(options);
  const { isTrustedProxy } = options;
  app.fetch = (request, arrival, execution) => {
    const peer = (arrival as Arrival | undefined)?.peer;
    const isSecure = door.isSecure(request, peer);
    const headers = door.headersFor(request, isSecure);
    return door.refusalOf(request, { isSecure, peer, headers }) ??
      fetch(request, { peer, isTrustedProxy, headers, service } satisfies Arrival, execution);
  };
}

interface Coming {
  readonly isSecure: boolean;
  /** Absent for what comes from within the process, where there is no host either. */
  readonly peer: Peer | undefined;
  readonly headers: AnswerHeaders;
}

class Door {
  readonly #options: DoorOptions;
  readonly #isAllowed: (authority: string) => boolean;
  readonly #plain: HeaderSet;
  readonly #secure: HeaderSet;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#isAllowed = options.allowedHosts.length === 0
      ? () => true
      : hostList(options.allowedHosts);
    this.#plain = headerSet(securityHeaders({ isSecure: false }), options.origins);
    this.#secure = headerSet(securityHeaders({ isSecure: true }), options.origins);
  }

  /** The URL tells it only where nobody is who could have written it: its scheme is the peer's word. */
  isSecure(request: Request, peer: Peer | undefined): boolean {
    const { isAlwaysSecure, isTrustedProxy } = this.#options;
    if (isAlwaysSecure || peer?.isSecure) return true;
    if (peer === undefined) return request.url.startsWith("https:");
    return isTrustedProxy(peer.remoteAddress) && (isForwardedSecure(request) ?? false);
  }

  headersFor({ headers }: Request, isSecure: boolean): AnswerHeaders {
    const { ofAll, byOrigin } = isSecure ? this.#secure : this.#plain;
    if (byOrigin.size === 0) return ofAll;
    const origin = headers.get("origin");
    return origin === null ? ofAll : byOrigin.get(origin) ?? ofAll;
  }

  refusalOf(request: Request, coming: Coming): Response | undefined {
    const { headers, peer } = coming;
    if (peer !== undefined) {
      if (peer.isUnclear || !isClear(request)) return unclear(headers, peer);
      const authority = authorityOf(request);
      if (authority === undefined) return notValid(headers, "Host must name one host, and a port");
      if (!this.#isAllowed(authority)) return misdirected(headers);
      const { isHttpsRequired } = this.#options;
      if (isHttpsRequired && !coming.isSecure && !isOfHealth(request, authority)) {
        return unencrypted(request, authority, headers);
      }
    }
    if (this.#options.origins.length > 0 && isPreflight(request)) {
      return answerToPreflight(headers);
    }
    return undefined;
  }
}

interface HeaderSet {
  readonly ofAll: AnswerHeaders;
  readonly byOrigin: ReadonlyMap<string, AnswerHeaders>;
}

function headerSet(ofAll: AnswerHeaders, origins: readonly string[]): HeaderSet {
  return {
    ofAll: origins.length === 0 ? ofAll : { ...ofAll, ...VARY },
    byOrigin: new Map(origins.map((origin) => [origin, { ...ofAll, ...readableBy(origin) }])),
  };
}

function isReading(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/** Asked by whoever runs the service, from beside it and without TLS. */
function isOfHealth({ url }: Request, authority: string): boolean {
  return url.startsWith(`${authority}/health/`, url.indexOf("//") + 2);
}

/**
 * Whether all who read it see where it ends. Deno believes any codings that end in `chunked`, and
 * undoes none but that: another server could find the end elsewhere, and another body.
 */
function isClear({ headers }: Request): boolean {
  const coding = headers.get("transfer-encoding");
  return coding === null || coding.toLowerCase() === "chunked";
}

function unclear(headers: AnswerHeaders, peer: Peer): Response {
  peer.isUnclear = true;
  peer.isLeaving = true;
  return notValid({ ...headers, Connection: "close" }, "Transfer-Encoding must be chunked alone");
}

function notValid(headers: AnswerHeaders, detail: string): Response {
  return bareProblem("/problems/invalid-request", {
    status: 400,
    title: "The request is not valid",
    detail,
  }, headers);
}

function misdirected(headers: AnswerHeaders): Response {
  return bareProblem("/problems/misdirected", {
    status: 421,
    title: "The service is not reached under this name",
    detail: "Host must be a name that it is known by",
  }, headers);
}

/** What changes something is not sent on: whoever sends it in the open had better hear of it. */
function unencrypted(request: Request, authority: string, headers: AnswerHeaders): Response {
  if (!isReading(request.method)) {
    return bareProblem("/problems/https-required", {
      status: 403,
      title: "Use HTTPS",
      detail: "What was sent could be read on its way: make any token in it invalid",
    }, headers);
  }
  const { url } = request;
  const path = url.slice(url.indexOf("/", url.indexOf("//") + 2));
  // The port is that of plain HTTP.
  const Location = `https://${authority.replace(/:[0-9]+$/, "")}${path}`;
  return new Response(null, { status: 308, headers: { ...headers, Location } });
}

function answerToPreflight(headers: AnswerHeaders): Response {
  if (headers["Access-Control-Allow-Origin"] === undefined) {
    return bareProblem("/problems/origin-not-allowed", {
      status: 403,
      title: "Pages of this origin may not call the service",
    }, headers);
  }
  return new Response(null, { status: 204, headers: { ...headers, ...preflight } });
}
