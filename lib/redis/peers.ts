/**
 * News between nodes by way of Redis: publish and subscribe on one channel.
 *
 * A node hears what it says itself, so every message is also a test of the whole way: what does not
 * come back in time counts as lost, and the next that does says that something may have been missed.
 *
 * @module
 */
import { z } from "zod";
import { TransientFault } from "../fault.ts";
import type { Dependency } from "../resilience/dependency.ts";
import { withinDeadline } from "../resilience/deadline.ts";
import { type Address, addressText } from "../runtime/envelope.ts";
import type { PeerNews, Peers } from "../runtime/peers.ts";
import { Worker, type WorkerOptions } from "../runtime/worker.ts";
import { type RedisClient, type RedisConnection, toFault } from "./connection.ts";

export interface RedisPeersOptions extends Pick<WorkerOptions, "env" | "observe"> {
  readonly connection: RedisConnection;
  /** Services that share a Redis each have a channel of their own. */
  readonly channel: string;
}

/** A node that has nothing to say says so, this often. */
const BEAT_MS = 1_000;
/** News is gathered for so long, so that a rush costs a few messages and not thousands. */
const GATHER_MS = 20;
/** What this node said has come back by then, or counts as lost. */
const ECHO_MS = 1_000;
/** A node of which nothing was heard for so long, while others were, is gone. */
const GONE_MS = 5_000;
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
  #subscriber: RedisClient | undefined;
  #listener: PeerNews | undefined;
  #waiting = new Map<string, News["wrote"][number]>();
  #isSubscribed = false;
  /** When each was heard last. */
  readonly #others = new Map<string, number>();
  /** Something could not be said, and the others have not been told so. */
  #hasMissed = false;
  #number = 0;
  #onEcho: ((number: number) => void) | undefined;

  constructor(options: RedisPeersOptions) {
    const { env, observe } = options;
    super({ name: "peers", env, observe, drainMs: DRAIN_MS });
    this.#options = options;
    this.#node = options.env.uuid();
    this.redis = options.connection.dependency;
  }

  /**
   * How many nodes there are, this one included, as far as this one has heard. While Redis is away
   * it is what it was before.
   */
  get nodes(): number {
    return 1 + this.#others.size;
  }

  /** Starts it. */
  listen(listener: PeerNews): this {
    this.#listener = listener;
    this.#subscriber = this.#options.connection.another({
      // It tries again by itself until it is closed; what it fails by is in its health.
      onError: (error) => this.note(error),
      // Whoever subscribed does so anew by itself; what was said before that is lost.
      onReady: () => {
        this.#listener?.missed();
        this.wake();
      },
    });
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

  protected override finish(): Promise<void> {
    if (this.#subscriber !== undefined) this.#options.connection.release(this.#subscriber);
    return Promise.resolve();
  }

  async #subscribe(): Promise<void> {
    await this.#subscriber?.subscribe(this.#options.channel, (text) => this.#hear(text));
    this.#isSubscribed = true;
  }

  #hear(text: string): void {
    const news = newsIn(text);
    if (news === undefined) return;
    if (news.from === this.#node) return this.#echoed(news.number);
    // It may be new and know of nobody, and should not have to wait for the next beat.
    if (!this.#others.has(news.from)) this.wake();
    this.#others.set(news.from, this.env.monotonic());
    if (news.missed) this.#listener?.missed();
    for (const [kind, key, revision] of news.wrote) this.#listener?.heard({ kind, key }, revision);
  }

  /** Who beats less often than this node is gone: a node that hears itself would hear others too. */
  #echoed(number: number): void {
    const gone = this.env.monotonic() - GONE_MS;
    for (const [node, heardAt] of this.#others) {
      if (heardAt < gone) this.#others.delete(node);
    }
    this.#onEcho?.(number);
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
      await this.#options.connection.client.publish(this.#options.channel, JSON.stringify(news));
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

function newsIn(text: string): News | undefined {
  try {
    return News.parse(JSON.parse(text));
  } catch {
    // Whoever else speaks on the channel is not one of us.
    return undefined;
  }
}
