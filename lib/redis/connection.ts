/**
 * The way to a Redis, on one server or in a cluster, and whether it is there.
 *
 * @module
 */
import { createClient, createCluster } from "@redis/client";
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { CallDeadlines } from "../resilience/call_deadlines.ts";
import { Dependency } from "../resilience/dependency.ts";
import { pause } from "../resilience/pause.ts";

export interface RedisConnectionOptions {
  readonly env: Env;
  /** `redis://user:password@host:port/db`, or `rediss://`; several are nodes of one cluster. */
  readonly urls: readonly string[];
  /** How long a call may take; then it counts as failed. */
  readonly callMs?: number;
}

const CALL_MS = 250;
const CONNECT_MS = 1_000;
/** A connection on which nothing comes for so long is dead… */
const SILENCE_MS = 5_000;
/** …so something is asked when there is nothing to say. */
const PING_MS = 1_500;
const RECONNECT_MOST_MS = 1_000;

/** Connects in the background as soon as it is made, and again whenever it has to. */
export class RedisConnection implements AsyncDisposable {
  /** Whether Redis is there; while it is not, nothing is asked of it. */
  readonly dependency: Dependency;
  readonly client: RedisClient;
  readonly #options: RedisConnectionOptions;
  readonly #deadlines: CallDeadlines;
  readonly #stopped = new AbortController();
  readonly #clients = new Set<RedisClient>();
  readonly #connecting: Promise<void>[] = [];

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    const { env, callMs: ms = CALL_MS } = options;
    const late = () => new TransientFault(`No answer from Redis within ${ms} ms`);
    this.#deadlines = new CallDeadlines({ env, ms, late });
    this.client = this.#opened({});
    this.dependency = new Dependency({
      name: "redis",
      env,
      probe: async () => {
        await answered(this.client).catch(toFault);
      },
    });
  }

  /** One more client, for what needs a connection of its own, until it is released. */
  another(listener: ClientListener): RedisClient {
    return this.#opened(listener);
  }

  /** Once; what still is there at the end of this is released by then. */
  release(client: RedisClient): void {
    if (this.#clients.delete(client)) client.destroy();
  }

  /**
   * What the call gives, within the time that one may take.
   *
   * @throws {TransientFault} for whatever else becomes of it. It may have taken effect all the same.
   */
  async call<T>(call: (client: RedisClient) => Promise<T>): Promise<T> {
    return await this.dependency.attempt(() =>
      this.#deadlines.run(() => call(this.client)).catch(toFault)
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#deadlines[Symbol.asyncDispose]();
    await this.dependency[Symbol.asyncDispose]();
    for (const client of this.#clients) this.release(client);
    await Promise.all(this.#connecting);
  }

  #opened(listener: ClientListener): RedisClient {
    const client = clientOf(this.#options.urls, listener);
    this.#clients.add(client);
    this.#connecting.push(this.#connect(client, listener));
    return client;
  }

  /** A client of one server tries by itself until it is destroyed; that of a cluster gives up. */
  async #connect(client: RedisClient, { onError }: ClientListener): Promise<void> {
    const { signal } = this.#stopped;
    do {
      try {
        await client.connect();
        return;
      } catch (error) {
        if (!this.#clients.has(client)) return;
        onError?.(error);
      }
    } while (await pause(this.#options.env, RECONNECT_MOST_MS, signal));
  }
}

/** In a cluster any server will do: each is asked in its turn, and what one counts needs no other. */
async function answered(client: RedisClient): Promise<void> {
  const server = "nodeClient" in client ? await client.nodeClient(client.getRandomNode()) : client;
  await server.ping();
}

export interface ClientListener {
  readonly onError?: (error: unknown) => void;
  /** It has just connected, for the first time or again. */
  readonly onReady?: () => void;
}

export type RedisClient = ReturnType<typeof clientOfServer> | ReturnType<typeof clientOfCluster>;

function clientOf(urls: readonly string[], listener: ClientListener): RedisClient {
  const { onError = () => {}, onReady = () => {} } = listener;
  const [first, ...others] = urls;
  return others.length === 0
    ? clientOfServer(first!).on("error", onError).on("ready", onReady)
    : clientOfCluster(urls).on("error", onError).on("node-error", onError)
      .on("node-ready", onReady);
}

/** It connects again by itself, and refuses what it is told meanwhile. */
const bounds = {
  disableOfflineQueue: true,
  pingInterval: PING_MS,
  socket: {
    connectTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    reconnectStrategy: (retries: number) => Math.min(100 * 2 ** retries, RECONNECT_MOST_MS),
  },
  // Calls have a bound of their own, and one here would be a timer for each.
  commandOptions: { timeout: 0 },
};

function clientOfServer(url: string) {
  return createClient({ url, ...bounds });
}

function clientOfCluster(urls: readonly string[]) {
  // What the URLs say beside the place is for all nodes, those included that are yet to be found.
  const { username, password, protocol } = new URL(urls[0]!);
  return createCluster({
    rootNodes: urls.map((url) => ({ url })),
    commandOptions: bounds.commandOptions,
    defaults: {
      ...bounds,
      ...(username !== "" && { username: decodeURIComponent(username) }),
      ...(password !== "" && { password: decodeURIComponent(password) }),
      ...(protocol === "rediss:" && { socket: { ...bounds.socket, tls: true as const } }),
    },
  });
}

export function toFault(error: unknown): never {
  if (error instanceof TransientFault) throw error;
  const message = error instanceof Error ? error.message : String(error);
  throw new TransientFault(`Redis failed: ${message}`, { cause: error });
}
