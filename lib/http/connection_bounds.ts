/**
 * How many connections there may be, how long each may take, and which must go. Pure.
 *
 * @module
 */
import type { RuntimeEvent } from "../runtime/observe.ts";

export interface ConnectionBounds {
  /** Open at once. Beyond, a newcomer takes the place of one that waits, or is closed. */
  readonly connectionsMax: number;
  /** Of them, from one address; from one /64 in IPv6. Beyond, newcomers are closed. */
  readonly perAddressMax: number;
  /** From acceptance to the end of the first request's head. */
  readonly headMs: number;
  /** From an answer to the end of the next request's head; the answer must be taken meanwhile. */
  readonly idleMs: number;
  /** From the end of a request's head until its answer is handed over, whatever else is asked. */
  readonly requestMs: number;
  /** For requests in progress when the server closes. */
  readonly closingMs: number;
}

/** What a connection is at. */
export interface Standing {
  /** A moment of the clock by which it is judged: of several requests, the oldest began then. */
  readonly since: number;
  /** Requests without an answer yet; more than one in HTTP/2 only. */
  readonly inProgress: number;
  readonly isFresh: boolean;
  /** It is to close after its answer, and has been told so. */
  readonly isLeaving: boolean;
}

/** Why a connection was not let be. */
export type Cut = Extract<RuntimeEvent, { type: "connections-cut" }>["because"];

/**
 * For taking the last answer, and leaving as it says. Deno sends `connection: close` and yet keeps
 * the connection open; one that is closed while its peer still sends can lose the answer as well.
 */
export const LEAVING_MS = 1_000;

/** The bound that a connection has outrun by `now`, if any. */
export function overrun(standing: Standing, now: number, bounds: ConnectionBounds) {
  const [cut, ms] = boundOf(standing, bounds);
  return now - standing.since > ms ? cut : undefined;
}

function boundOf(standing: Standing, bounds: ConnectionBounds): readonly [Cut, number] {
  const { inProgress, isFresh, isLeaving } = standing;
  if (inProgress > 0) return ["request", bounds.requestMs];
  if (isLeaving) return ["left", LEAVING_MS];
  return isFresh ? ["head", bounds.headMs] : ["idle", bounds.idleMs];
}

/**
 * The connection whose place a newcomer gets: whoever never asked for anything, the first of them;
 * else whoever was answered longest ago. None while all are being served.
 */
export function leastMissed<C extends Standing>(connections: Iterable<C>): C | undefined {
  let idlest: C | undefined;
  for (const connection of connections) {
    if (connection.inProgress > 0) continue;
    if (connection.isFresh) return connection;
    if (idlest === undefined || connection.since < idlest.since) idlest = connection;
  }
  return idlest;
}

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** What counts as one address: in IPv6, everybody has a whole /64. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = MAPPED_IPV4.exec(address);
  if (mapped !== null) return mapped[1]!;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
