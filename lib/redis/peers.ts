/**
 * News between nodes by way of Redis: publish and subscribe on one channel.
 *
 * A node hears what it says itself, so every message is also a test of the whole way: what does not
 * come back in time counts as lost, and the next that does says that something may have been missed.
 *
 * @module
 */
import { createClient } from "@redis/client";
import { z } from "zod";
import { TransientFault } from "../fault.ts";
import { Dependency } from "../resilience/dependency.ts";
import { withinDeadline } from "../resilience/deadline.ts";
import { type Address, addressText } from "../runtime/envelope.ts";
import type { PeerNews, Peers } from "../runtime/peers.ts";
import { Worker, type WorkerOptions } from "../runtime/worker.ts";

export interface RedisPeersOptions extends Pick<WorkerOptions, "env" | "observe"> {
  /** `redis://user:password@host:port/db`, or `rediss://`. */
  readonly url: string;
  /** Services that share a Redis each have a channel of their own. */
  readonly channel: string;
}

/** A node that has nothing to say says so, this often. */
const BEAT_MS = 1_000;
/** News is gathered for so long, so that a rush costs a few messages and not thousands. */
const GATHER_MS = 20;
/** What this node said has come back by then, or counts as lost. */
const ECHO_MS = 1_000;
const CONNECT_MS = 1_000;
/** A connection on which nothing comes for so long, not even what this node says, is dead. */
const SILENCE_MS = 5_000;
const RECONNECT_MOST_MS = 1_000;
const DRAIN_MS = 2_000;
/** Actors of one message. */
const NEWS_MAX = 1_000;
/** Actors that wait to be told; beyond that the others hear that they have missed something. */
const WAITING_MAX = 20_000;

const News = z.object({
  from: z.string(),
  number: z.int(),
  /** The sender could not say everything. */
  missed: z.boolean(),
  wrote: z.array(z.tuple([z.string(), z.string(), z.int()])).max(NEWS_MAX),
});
type News = z.infer<typeof News>;

/** Runs once it is listened to: see {@linkcode RedisPeers.listen}. */
export class RedisPeers extends Worker implements Peers {
  /** Whether Redis is there; while it is not, nothing is said. */
  readonly redis: Dependency;
  readonly #options: RedisPeersOptions;
  readonly #node: string;
  readonly #publisher: Client;
  readonly #subscriber: Client;
  #listener: PeerNews | undefined;
  #waiting = new Map<string, News["wrote"][number]>();
  #isSubscribed = false;
  /** Something could not be said, and the others have not been told so. */
  #hasMissed = false;
  #number = 0;
  #onEcho: ((number: number) => void) | undefined;

  constructor(options: RedisPeersOptions) {
    const { env, observe } = options;
    super({ name: "peers", env, observe, drainMs: DRAIN_MS });
    this.#options = options;
    this.#node = options.env.uuid();
    this.#publisher = this.#client();
    this.#subscriber = this.#client();
    this.redis = new Dependency({ name: "redis", env, probe: () => this.#ping() });
  }

  /** Starts it. */
  listen(listener: PeerNews): this {
    this.#listener = listener;
    // Whoever subscribed does so anew by itself; what was said before that is lost.
    this.#subscriber.on("ready", () => {
      this.#listener?.missed();
      this.wake();
    });
    // Both try again by themselves until they are closed; what they fail by is in their health.
    for (const client of [this.#publisher, this.#subscriber]) {
      client.connect().catch((error) => this.note(error));
    }
    return this.start();
  }

  wrote(address: Address, revision: number): void {
    if (this.#waiting.size >= WAITING_MAX) {
      this.#waiting.clear();
      this.#hasMissed = true;
    }
    this.#waiting.set(addressText(address), [address.kind, address.key, revision]);
    if (this.#waiting.size === 1) this.wake();
  }

  protected override async run(): Promise<void> {
    while (!this.isDraining) {
      await this.rest(BEAT_MS);
      await this.pause(GATHER_MS);
      if (!this.isDraining) await this.#say();
    }
  }

  protected override async finish(): Promise<void> {
    await this.redis[Symbol.asyncDispose]();
    this.#publisher.destroy();
    this.#subscriber.destroy();
  }

  async #ping(): Promise<void> {
    await this.#publisher.ping().catch(toFault);
  }

  #client(): Client {
    const client = clientOf(this.#options.url);
    client.on("error", (error) => this.note(error));
    return client;
  }

  async #subscribe(): Promise<void> {
    await this.#subscriber.subscribe(this.#options.channel, (text) => this.#hear(text));
    this.#isSubscribed = true;
  }

  #hear(text: string): void {
    const news = newsIn(text);
    if (news === undefined) return;
    if (news.from === this.#node) return this.#onEcho?.(news.number);
    if (news.missed) this.#listener?.missed();
    for (const [kind, key, revision] of news.wrote) this.#listener?.heard({ kind, key }, revision);
  }

  /** Never throws: what could not be said is made good by the next message that can. */
  async #say(): Promise<void> {
    const wrote = [...this.#waiting.values().take(NEWS_MAX)];
    for (const [kind, key] of wrote) this.#waiting.delete(addressText({ kind, key }));
    const news = { from: this.#node, number: ++this.#number, missed: this.#hasMissed, wrote };
    try {
      await this.redis.attempt(() => this.#published(news));
      this.note();
      this.#hasMissed = false;
    } catch (error) {
      if (!(error instanceof TransientFault)) throw error;
      this.note(error);
      this.#hasMissed = true;
      this.#waiting.clear();
    }
    if (this.#waiting.size > 0) this.wake();
  }

  /** Resolves once this node has heard it itself. */
  async #published(news: News): Promise<void> {
    const heard = Promise.withResolvers<void>();
    this.#onEcho = (number) => number === news.number && heard.resolve();
    const say = async () => {
      if (!this.#isSubscribed) await this.#subscribe();
      await this.#publisher.publish(this.#options.channel, JSON.stringify(news));
      await heard.promise;
    };
    await withinDeadline(say, {
      env: this.env,
      ms: ECHO_MS,
      cancelled: this.draining,
      late: () => new TransientFault(`Redis did not bring back within ${ECHO_MS} ms what was said`),
    }).catch(toFault);
  }
}

type Client = ReturnType<typeof clientOf>;

/** It connects again by itself, and refuses what it is told meanwhile. */
function clientOf(url: string) {
  return createClient({
    url,
    disableOfflineQueue: true,
    socket: {
      connectTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      reconnectStrategy: (retries: number) => Math.min(100 * 2 ** retries, RECONNECT_MOST_MS),
    },
  });
}

function newsIn(text: string): News | undefined {
  try {
    return News.parse(JSON.parse(text));
  } catch {
    // Whoever else speaks on the channel is not one of us.
    return undefined;
  }
}

function toFault(error: unknown): never {
  if (error instanceof TransientFault) throw error;
  const message = error instanceof Error ? error.message : String(error);
  throw new TransientFault(`Redis failed: ${message}`, { cause: error });
}
