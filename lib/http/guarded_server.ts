/**
 * An HTTP server that no peer can hold on to: connections are counted as they are accepted, and
 * closed when they outrun a bound.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { pause } from "../resilience/pause.ts";
import type { Observe } from "../runtime/observe.ts";
import {
  type ConnectionBounds,
  type Cut,
  leastMissed,
  networkOf,
  overrun,
  type Standing,
} from "./connection_bounds.ts";
import type { ServeConnection, ServedConnection } from "./connection_server.ts";
import type { Peer } from "./arrival.ts";
import type { Handle, HttpServer, Place } from "./server.ts";

export interface GuardOptions {
  readonly serveConnection: ServeConnection;
  readonly handle: Handle;
  readonly onError: (error: unknown) => Response;
  readonly bounds: ConnectionBounds;
  readonly env: Pick<Env, "monotonic" | "sleep">;
  readonly observe: Observe;
}

/** How often connections are looked over; a bound is kept to within two of that. */
const SWEEP_MS_MAX = 250;
const SWEEPS_PER_BOUND = 8;
/** As many sweeps as may pass in the time of one before the process counts as having stood still. */
const STRIDE = 2;
const CLOSING_SWEEP_MS = 20;
const CUT_NOTICED_MS = 200;
/** Before the next attempt, where none could be accepted. */
const ACCEPT_PAUSE_MS = 5;

export class GuardedServer implements HttpServer {
  readonly addr: Deno.NetAddr;
  readonly #options: GuardOptions;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Connection>();
  readonly #fromNetwork = new Map<string, number>();
  readonly #cuts = new Map<Cut, number>();
  readonly #accepting: Promise<void>;
  readonly #sweeping: Promise<void>;
  readonly #over = new AbortController();
  readonly #everyMs: number;
  /**
   * Time as far as it counts against anybody. It stands still with the process: whoever asked while
   * that was stopped, or too busy to look, has kept nobody waiting.
   */
  #clock = 0;
  #sweptAt: number;
  /** Connections that are not over yet, those that were cut included. */
  #served = 0;
  #isClosing = false;

  /** @throws where it cannot listen. */
  constructor({ hostname, port }: Place, options: GuardOptions) {
    this.#options = options;
    this.#listener = Deno.listen({ hostname, port });
    this.addr = this.#listener.addr as Deno.NetAddr;
    const { headMs, idleMs, requestMs } = options.bounds;
    this.#everyMs = Math.min(SWEEP_MS_MAX, Math.min(headMs, idleMs, requestMs) / SWEEPS_PER_BOUND);
    this.#sweptAt = options.env.monotonic();
    this.#accepting = this.#accept();
    this.#sweeping = this.#sweepUntilOver();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { env, bounds } = this.#options;
    this.#isClosing = true;
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) {
      connection.isLeaving = true;
      if (connection.inProgress === 0) this.#close(connection);
    }
    await this.#untilServed(env.monotonic() + bounds.closingMs);
    for (const connection of this.#connections) {
      this.#cut(connection, connection.inProgress > 0 ? "request" : "left");
    }
    // What was cut while it was served has a moment to notice.
    await this.#untilServed(env.monotonic() + CUT_NOTICED_MS);
    this.#over.abort();
    await this.#sweeping;
    this.#report();
  }

  /** Until no handler is at work any more, or until then. */
  async #untilServed(until: number): Promise<void> {
    const { env } = this.#options;
    while (this.#served > 0 && env.monotonic() < until) {
      await env.sleep(CLOSING_SWEEP_MS);
      this.#sweep();
    }
  }

  async #accept(): Promise<void> {
    while (!this.#isClosing) {
      const socket = await this.#listener.accept().catch((error) => this.#notAccepted(error));
      if (socket !== undefined) this.#admit(socket);
    }
  }

  /** The listener itself does not fail: whatever was the matter, a later one may do better. */
  async #notAccepted(error: Error & { readonly code?: string }): Promise<undefined> {
    if (this.#isClosing) return;
    // The process has fewer descriptors than it is to have connections: one that waits gives its own.
    const displaced = error.code === "EMFILE" ? leastMissed(this.#connections) : undefined;
    if (displaced !== undefined) this.#cut(displaced, "displaced");
    await this.#options.env.sleep(ACCEPT_PAUSE_MS);
  }

  #admit(socket: Deno.TcpConn): void {
    const { perAddressMax, connectionsMax } = this.#options.bounds;
    const { hostname } = socket.remoteAddr;
    const network = networkOf(hostname);
    const fromThere = this.#fromNetwork.get(network) ?? 0;
    if (this.#isClosing) return socket.close();
    if (fromThere >= perAddressMax) return this.#turnAway(socket, "address");
    if (this.#connections.size >= connectionsMax) {
      const displaced = leastMissed(this.#connections);
      if (displaced === undefined) return this.#turnAway(socket, "room");
      this.#cut(displaced, "displaced");
    }
    this.#serve(socket, new Connection(hostname, network, this.#present));
  }

  #serve(socket: Deno.TcpConn, connection: Connection): void {
    const { serveConnection, handle, onError } = this.#options;
    socket.setNoDelay(true);
    connection.served = serveConnection(socket, (request, info) => {
      const begun = connection.begin(this.#present);
      const ended = () => connection.end(begun, this.#present);
      info.completed.then(ended, ended);
      return handle(request, connection);
    }, onError);
    this.#connections.add(connection);
    this.#fromNetwork.set(
      connection.network,
      (this.#fromNetwork.get(connection.network) ?? 0) + 1,
    );
    this.#served++;
    connection.served.finished.then(() => {
      this.#served--;
      this.#forget(connection);
    });
  }

  #turnAway(socket: Deno.TcpConn, cut: Cut): void {
    this.#count(cut);
    socket.close();
  }

  #cut(connection: Connection, cut: Cut): void {
    this.#count(cut);
    this.#close(connection);
  }

  /** Its place is free at once: a handler that is still at work for it keeps nobody out. */
  #close(connection: Connection): void {
    this.#forget(connection);
    connection.served?.close();
  }

  #forget(connection: Connection): void {
    if (!this.#connections.delete(connection)) return;
    const { network } = connection;
    const left = this.#fromNetwork.get(network)! - 1;
    if (left === 0) this.#fromNetwork.delete(network);
    else this.#fromNetwork.set(network, left);
  }

  async #sweepUntilOver(): Promise<void> {
    while (await pause(this.#options.env, this.#everyMs, this.#over.signal)) {
      this.#sweep();
      this.#report();
    }
  }

  #sweep(): void {
    const { env, bounds } = this.#options;
    const at = env.monotonic();
    this.#clock += Math.min(at - this.#sweptAt, STRIDE * this.#everyMs);
    this.#sweptAt = at;
    for (const connection of this.#connections) {
      const cut = overrun(connection, this.#clock, bounds);
      if (cut !== undefined) this.#cut(connection, cut);
    }
  }

  /** By the clock, and not before: between two sweeps it is not looked at. */
  get #present(): number {
    return this.#clock + this.#everyMs;
  }

  #count(cut: Cut): void {
    this.#cuts.set(cut, (this.#cuts.get(cut) ?? 0) + 1);
  }

  #report(): void {
    const open = this.#connections.size;
    for (const [because, connections] of this.#cuts) {
      this.#options.observe({ type: "connections-cut", because, connections, open });
    }
    this.#cuts.clear();
  }
}

interface Begun {
  readonly at: number;
}

class Connection implements Standing, Peer {
  readonly remoteAddress: string;
  readonly network: string;
  served: ServedConnection | undefined;
  isFresh = true;
  isLeaving = false;
  /** In the order in which they began. */
  readonly #requests = new Set<Begun>();
  /** When it was accepted, or last had an answer. */
  #restingSince: number;

  constructor(remoteAddress: string, network: string, acceptedAt: number) {
    this.remoteAddress = remoteAddress;
    this.network = network;
    this.#restingSince = acceptedAt;
  }

  get inProgress(): number {
    return this.#requests.size;
  }

  get since(): number {
    const [oldest] = this.#requests;
    return oldest?.at ?? this.#restingSince;
  }

  begin(at: number): Begun {
    const begun = { at };
    this.#requests.add(begun);
    this.isFresh = false;
    return begun;
  }

  end(begun: Begun, at: number): void {
    this.#requests.delete(begun);
    this.#restingSince = at;
  }
}
