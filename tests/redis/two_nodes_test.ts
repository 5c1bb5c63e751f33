/** Limits of the whole service: two nodes, each with a database of its own, and one Redis. */
import assert from "node:assert/strict";
import { systemEnv } from "../../lib/env.ts";
import { OwnRedis } from "../support/own_redis.ts";
import { ServerProcess, tokenFor } from "../support/server_process.ts";

interface Asked {
  readonly status: number;
  readonly policy: string | null;
  readonly retryAfter: string | null;
}

async function ask(url: string, headers: HeadersInit): Promise<Asked> {
  const response = await fetch(`${url}/api/v1/accounts/me`, { headers });
  await response.body?.cancel();
  return {
    status: response.status,
    policy: response.headers.get("ratelimit-policy"),
    retryAfter: response.headers.get("retry-after"),
  };
}

/** Each node is asked so often, by a few at once. */
async function askedOf(nodes: readonly ServerProcess[], times: number, headers: HeadersInit) {
  const all: Asked[] = [];
  await Promise.all(nodes.flatMap(({ url }) => {
    let left = times;
    return Array.from({ length: 4 }, async () => {
      while (left-- > 0) all.push(await ask(url, headers));
    });
  }));
  return Map.groupBy(all, ({ status }) => status);
}

async function modeOf({ url }: ServerProcess): Promise<string | null> {
  const response = await fetch(`${url}/health/live`);
  await response.body?.cancel();
  return response.headers.get("service-mode");
}

/** A node that has just started may not have heard of the others yet. */
async function knownTo({ url }: ServerProcess): Promise<number> {
  return (await (await fetch(`${url}/health/ready`)).json()).nodes;
}

async function untilEachTells<Told>(
  expected: Told,
  nodes: readonly ServerProcess[],
  asked: (node: ServerProcess) => Promise<Told>,
): Promise<void> {
  const giveUpAt = performance.now() + 20_000;
  for (const node of nodes) {
    for (let told = await asked(node); told !== expected; told = await asked(node)) {
      assert(performance.now() < giveUpAt, `${node.url} tells ${told}, and never ${expected}`);
      await systemEnv.sleep(50);
    }
  }
}

Deno.test("two nodes admit a user's hundred together, and each its half while Redis is away", async () => {
  await using redis = await OwnRedis.start();
  await using directories = new AsyncDisposableStack();
  const start = async () => {
    const directory = await Deno.makeTempDir({ prefix: "troupe-limits-" });
    directories.defer(() => Deno.remove(directory, { recursive: true }));
    return await ServerProcess.start({
      DATA_DIR: directory,
      REDIS_URL: redis.url,
      RATE_LIMITS: "general=100/h",
    });
  };
  await using one = await start();
  await using other = await start();
  const nodes = [one, other];
  await untilEachTells(nodes.length, nodes, knownTo);
  const as = async (name: string) => ({ authorization: `Bearer ${await tokenFor(name)}` });

  const ana = await askedOf(nodes, 80, await as("ana"));
  assert.equal(ana.get(200)?.length, 100);
  assert.equal(ana.get(429)?.length, 60);
  for (const { retryAfter, policy } of ana.get(429)!) {
    assert.match(retryAfter!, /^[1-9][0-9]{0,3}$/);
    assert.equal(policy, '"general";q=100;w=3600');
  }
  const strangers = await askedOf(nodes, 80, {});
  assert.equal(strangers.get(401)?.length, 100);

  await redis.crash();
  await untilEachTells("no-kv", nodes, modeOf);
  const ben = await askedOf(nodes, 80, await as("ben"));
  assert.equal(ben.get(200)?.length, 100, "50 on each");
  assert.deepEqual(
    new Set(ben.get(200)!.map(({ policy }) => policy)),
    new Set(['"general";q=50;w=3600']),
  );
  assert.equal((await askedOf(nodes, 20, await as("ana"))).get(200), undefined);

  await redis.restart();
  await untilEachTells("normal", nodes, modeOf);
  const cho = await askedOf(nodes, 80, await as("cho"));
  assert.equal(cho.get(200)?.length, 100);
  assert.deepEqual(
    new Set(cho.get(200)!.map(({ policy }) => policy)),
    new Set(['"general";q=100;w=3600']),
  );
});
