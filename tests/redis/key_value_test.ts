/** Every way to a Redis, held to one contract; and what becomes of calls when it does not answer. */
import assert from "node:assert/strict";
import { systemEnv } from "../../lib/env.ts";
import { TransientFault } from "../../lib/fault.ts";
import type { KeyValue } from "../../lib/kv/key_value.ts";
import { RedisConnection } from "../../lib/redis/connection.ts";
import { RedisKeyValue } from "../../lib/redis/key_value.ts";
import { UpstashKeyValue } from "../../lib/upstash/key_value.ts";
import { keyValueContract, type WithStore } from "../contracts/key_value_contract.ts";
import { OwnRedis } from "../support/own_redis.ts";
import { RedisCluster } from "../support/redis_cluster.ts";
import { RestGateway } from "../support/rest_gateway.ts";
import { anyRedis, deleteKeys, newPrefix, whenReady } from "../support/some_redis.ts";

const redis = await anyRedis();
const cluster = await RedisCluster.start();
Deno.test.afterAll(async () => {
  await redis[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

function overTcp(urls: readonly string[]): WithStore {
  return (test) => async () => {
    await using connection = new RedisConnection({ env: systemEnv, urls, callMs: 5_000 });
    const store = new RedisKeyValue(connection);
    await whenReady(store);
    const prefix = newPrefix();
    try {
      await test(store, prefix);
    } finally {
      await deleteKeys(redis.url, prefix);
    }
  };
}

const TOKEN = "a token of the gateway";

const overHttp: WithStore = (test) => async () => {
  await using gateway = await RestGateway.start(redis.url, TOKEN);
  const options = { env: systemEnv, url: gateway.url, token: TOKEN, callMs: 5_000 };
  await using store = new UpstashKeyValue(options);
  const prefix = newPrefix();
  try {
    await test(store, prefix);
  } finally {
    await deleteKeys(redis.url, prefix);
  }
};

keyValueContract("over TCP", overTcp([redis.url]));
keyValueContract("in a cluster", overTcp(cluster.urls));
keyValueContract("over HTTP", overHttp);

/** Asks until the store is there again, or is not. */
async function until(store: KeyValue, isAvailable: boolean): Promise<void> {
  const giveUpAt = performance.now() + 15_000;
  while (store.isAvailable !== isAvailable) {
    assert(performance.now() < giveUpAt, `it never was ${isAvailable ? "there" : "away"}`);
    await store.get("a").catch((fault) => assert(fault instanceof TransientFault, String(fault)));
    await systemEnv.sleep(20);
  }
}

async function assertFault(call: Promise<unknown>): Promise<TransientFault> {
  const fault = await call.then(() => undefined, (fault) => fault);
  assert(fault instanceof TransientFault, String(fault));
  return fault;
}

Deno.test("over TCP: a Redis that is silent, dies and comes back costs no more than the time of a call", async () => {
  await using own = await OwnRedis.start();
  await using connection = new RedisConnection({ env: systemEnv, urls: [own.url], callMs: 100 });
  const store = new RedisKeyValue(connection);
  await whenReady(store);
  own.freeze();
  await assertFault(store.set("a", "1", 1_000));
  await until(store, false);
  assert((await assertFault(store.get("a"))).isRefusal, "its breaker is open");
  own.thaw();
  await until(store, true);
  await own.crash();
  await until(store, false);
  await own.restart();
  await until(store, true);
  // It has forgotten the scripts that it was sent.
  assert.equal(await store.increment("sum", 1, 60_000), 1);
  await connection.client.scriptFlush();
  assert.equal(await store.increment("sum", 1, 60_000), 2);
});

Deno.test("over HTTP: a gateway that is silent, refuses or is gone is a fault, and says no word of the command", async () => {
  await using gateway = await RestGateway.start(redis.url, TOKEN);
  const options = { env: systemEnv, url: gateway.url, token: TOKEN, callMs: 100 };
  await using store = new UpstashKeyValue(options);
  await using stranger = new UpstashKeyValue({ ...options, token: "another" });
  const prefix = newPrefix();
  const refused = await assertFault(stranger.set(`${prefix}:secret`, "of mine", 1_000));
  assert.match(refused.message, /WRONGPASS/);
  assert.doesNotMatch(JSON.stringify([refused.message, String(refused.cause)]), /secret|of mine/);
  await store.set(`${prefix}:a`, "1", 60_000);
  gateway.hold();
  await assertFault(store.increment(`${prefix}:a`, 1, 1_000));
  await until(store, false);
  gateway.release();
  await until(store, true);
  assert.equal(await store.get(`${prefix}:a`), "1", "what was given up is not repeated");
  await deleteKeys(redis.url, prefix);
});
