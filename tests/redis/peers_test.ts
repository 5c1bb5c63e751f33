/** News between nodes over a Redis that is killed, frozen and started under them. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { type Env, systemEnv } from "../../lib/env.ts";
import { RedisConnection } from "../../lib/redis/connection.ts";
import { RedisPeers } from "../../lib/redis/peers.ts";
import type { Address } from "../../lib/runtime/envelope.ts";
import type { PeerNews } from "../../lib/runtime/peers.ts";
import { OwnRedis } from "../support/own_redis.ts";

const address: Address = { kind: "live_event", key: "a" };
/** However long Redis was away, a node has noticed that it is back by then. */
const HEARD_MS_MAX = 10_000;

/** A node's ears: what it heard, and how often it was told that it may have missed something. */
class Ears implements PeerNews {
  readonly revisions: number[] = [];
  missedTimes = 0;
  #onNews = () => {};

  heard(_: Address, revision: number): void {
    this.revisions.push(revision);
    this.#onNews();
  }

  missed(): void {
    this.missedTimes++;
    this.#onNews();
  }

  /** Resolves once `holds`, which is looked at whenever something is heard, and now and then. */
  async until(holds: () => boolean, onWait: () => void = () => {}): Promise<void> {
    const until = systemEnv.monotonic() + HEARD_MS_MAX;
    while (!holds()) {
      assert(systemEnv.monotonic() < until, `not within ${HEARD_MS_MAX} ms`);
      const news = new AbortController();
      this.#onNews = () => news.abort(news);
      onWait();
      await systemEnv.sleep(100, news.signal).catch((reason) => assert.equal(reason, news));
    }
  }
}

interface Joined extends AsyncDisposable {
  readonly peers: RedisPeers;
  readonly ears: Ears;
}

function join({ url }: OwnRedis, channel = "test", env = systemEnv): Joined {
  const ears = new Ears();
  const connection = new RedisConnection({ env, urls: [url] });
  const peers = new RedisPeers({ env, observe() {}, connection, channel });
  return {
    peers: peers.listen(ears),
    ears,
    async [Symbol.asyncDispose]() {
      await peers[Symbol.asyncDispose]();
      await connection[Symbol.asyncDispose]();
    },
  };
}

/** Both hear one another by now. */
async function acquainted(one: Joined, other: Joined): Promise<void> {
  await other.ears.until(() => other.ears.revisions.length > 0, () => one.peers.wrote(address, 0));
  await one.ears.until(() => one.ears.revisions.length > 0, () => other.peers.wrote(address, 0));
}

Deno.test("a node hears what another wrote, and not what it wrote itself", async () => {
  await using redis = await OwnRedis.start();
  const [one, other] = [join(redis), join(redis)];
  await using _ = one;
  await using __ = other;
  await acquainted(one, other);
  one.peers.wrote(address, 7);
  await other.ears.until(() => other.ears.revisions.includes(7));
  assert(!one.ears.revisions.includes(7));
});

Deno.test("services on channels of their own do not hear one another", async () => {
  await using redis = await OwnRedis.start();
  const [one, other, stranger] = [join(redis), join(redis), join(redis, "elsewhere")];
  await using _ = one;
  await using __ = other;
  await using ___ = stranger;
  await acquainted(one, other);
  assert.deepEqual(stranger.ears.revisions, []);
});

Deno.test("what could not be said is made good by saying that something is missing", async () => {
  await using redis = await OwnRedis.start();
  const [one, other] = [join(redis), join(redis)];
  await using _ = one;
  await using __ = other;
  await acquainted(one, other);
  const { missedTimes } = other.ears;
  // Whoever may not publish keeps its connections, so nothing else tells the other.
  await redis.command("ACL", "SETUSER", "default", "-publish");
  one.peers.wrote(address, 8);
  await one.ears.until(() => one.peers.health().failure !== undefined);
  await redis.command("ACL", "SETUSER", "default", "+publish");
  await other.ears.until(() => other.ears.missedTimes > missedTimes);
  assert(!other.ears.revisions.includes(8));
});

Deno.test("a node that was cut off from the channel for a moment may have missed something", async () => {
  await using redis = await OwnRedis.start();
  const [one, other] = [join(redis), join(redis)];
  await using _ = one;
  await using __ = other;
  await acquainted(one, other);
  const { ears } = one;
  const { missedTimes } = ears;
  await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
  await ears.until(() => ears.missedTimes > missedTimes);
});

Deno.test("a node that cannot listen is not well, though it can speak, until it can", async () => {
  await using redis = await OwnRedis.start();
  await redis.command("ACL", "SETUSER", "default", "-subscribe");
  await using joined = join(redis);
  const { peers, ears } = joined;
  await ears.until(() => peers.health().failure?.message.includes("NOPERM") === true);
  await redis.command("ACL", "SETUSER", "default", "+subscribe");
  await ears.until(() => peers.health().failure === undefined);
});

Deno.test("whoever was there while Redis died is told that something may be missing", async () => {
  await using redis = await OwnRedis.start();
  const [one, other] = [join(redis), join(redis)];
  await using _ = one;
  await using __ = other;
  await acquainted(one, other);
  const before = [one.ears.missedTimes, other.ears.missedTimes] as const;
  await redis.crash();
  one.peers.wrote(address, 8);
  await systemEnv.sleep(100);
  await redis.restart();
  await other.ears.until(() => other.ears.missedTimes > before[1]);
  await one.ears.until(() => one.ears.missedTimes > before[0]);
  other.peers.wrote(address, 9);
  await one.ears.until(() => one.ears.revisions.includes(9), () => other.peers.wrote(address, 9));
});

Deno.test("a Redis that says nothing is a failure, and its return is noticed", async () => {
  await using redis = await OwnRedis.start();
  const [one, other] = [join(redis), join(redis)];
  await using _ = one;
  await using __ = other;
  await acquainted(one, other);
  redis.freeze();
  await one.ears.until(() => !one.peers.redis.isAvailable);
  redis.thaw();
  const before = other.ears.missedTimes;
  await other.ears.until(() => other.ears.missedTimes > before);
  await one.ears.until(() => one.peers.redis.isAvailable);
});

Deno.test("a node starts without Redis, and joins once it is there", async () => {
  await using redis = await OwnRedis.start();
  await redis.crash();
  const [one, other] = [join(redis), join(redis)];
  await using _ = one;
  await using __ = other;
  one.peers.wrote(address, 1);
  await one.ears.until(() => one.peers.health().failure !== undefined);
  await redis.restart();
  await acquainted(one, other);
});

/** Whose beats never come: it speaks only when it has something to say. */
const unbeating: Env = {
  ...systemEnv,
  sleep: (ms, signal) => systemEnv.sleep(ms < 1_000 ? ms : 3_600_000, signal),
};

Deno.test("a newcomer hears at once of who is there, and not with the next beat", async () => {
  await using redis = await OwnRedis.start();
  const one = join(redis, "test", unbeating);
  await using _ = one;
  while (!isDeepStrictEqual(await redis.command("PUBSUB", "NUMSUB", "test"), ["test", 1])) {
    await systemEnv.sleep(20);
  }
  const other = join(redis, "test", unbeating);
  await using __ = other;
  await other.ears.until(() => other.peers.nodes === 2);
  assert.equal(one.peers.nodes, 2);
});

Deno.test("a node knows how many there are, forgets who is gone, and remembers while Redis is away", async () => {
  await using redis = await OwnRedis.start();
  const [one, other, third] = [join(redis), join(redis), join(redis)];
  await using _ = one;
  await using __ = other;
  await one.ears.until(() => one.peers.nodes === 3);
  await third[Symbol.asyncDispose]();
  await one.ears.until(() => one.peers.nodes === 2);
  await redis.crash();
  await one.ears.until(() => !one.peers.redis.isAvailable);
  assert.equal(one.peers.nodes, 2);
  // A client that is between two attempts to connect has a timer that nothing ends.
  await redis.restart();
  await one.ears.until(() => one.peers.redis.isAvailable);
});
