/** Limits over four processes that ask as fast as they can, and over a Redis that comes and goes. */
import assert from "node:assert/strict";
import { TextLineStream } from "../../bench/text_lines.ts";
import { systemEnv } from "../../lib/env.ts";
import { Limiter } from "../../lib/limits/limiter.ts";
import { quotasIn } from "../../lib/quotas.ts";
import { RedisConnection } from "../../lib/redis/connection.ts";
import { RedisKeyValue } from "../../lib/redis/key_value.ts";
import { UpstashKeyValue } from "../../lib/upstash/key_value.ts";
import type { Asked, Order } from "../support/limiter_process.ts";
import { OwnRedis } from "../support/own_redis.ts";
import { RedisCluster } from "../support/redis_cluster.ts";
import { RestGateway } from "../support/rest_gateway.ts";
import { anyRedis, deleteKeys, newPrefix, whenReady } from "../support/some_redis.ts";

const redis = await anyRedis();
Deno.test.afterAll(async () => await redis[Symbol.asyncDispose]());

const PROCESSES = 4;

const alive = new Set<Deno.ChildProcess>();
// A test that is cut short disposes of nothing.
globalThis.addEventListener("unload", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** A process that asks as it is ordered; disposing it kills what still runs. */
class Asker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<Deno.CommandStatus>;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stdout: ReadableStreamDefaultReader<string>;

  constructor() {
    const script = new URL("../support/limiter_process.ts", import.meta.url).pathname;
    const permissions = ["--allow-env", "--allow-net=127.0.0.1"];
    this.#child = new Deno.Command("deno", {
      args: ["run", "--quiet", "--frozen", "--no-prompt", ...permissions, script],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    alive.add(this.#child);
    this.#ended = this.#child.status.finally(() => alive.delete(this.#child));
    this.#stdin = this.#child.stdin.getWriter();
    this.#stdout = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
  }

  /** Resolves once it could begin. */
  async prepare(order: Order): Promise<void> {
    await this.#say(JSON.stringify(order));
    assert.equal((await this.#stdout.read()).value, "ready");
  }

  async play(): Promise<Asked> {
    await this.#say("go");
    const { value } = await this.#stdout.read();
    assert(value !== undefined, "it ended before it was done");
    return JSON.parse(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (alive.has(this.#child)) this.#child.kill("SIGKILL");
    await this.#stdin.close().catch(() => {/* the pipe went with the process */});
    await this.#ended;
    await this.#stdout.cancel();
  }

  async #say(line: string): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(`${line}\n`));
  }
}

async function playedByAll(order: Order): Promise<readonly Asked[]> {
  await using askers = new AsyncDisposableStack();
  const all = Array.from({ length: PROCESSES }, () => askers.use(new Asker()));
  await Promise.all(all.map((asker) => asker.prepare(order)));
  return await Promise.all(all.map((asker) => asker.play()));
}

function orderOf(order: Pick<Order, "prefix" | "rateLimits" | "forMs">): Order {
  return {
    urls: [redis.url],
    // Were it for them alone, each would admit the whole limit.
    nodes: 1,
    counts: { trading: "user:ana" },
    atOnce: 16,
    ...order,
  };
}

for (const algorithm of ["window", "bucket"]) {
  Deno.test(`four processes under full load admit together exactly the limit: a ${algorithm}`, async () => {
    const prefix = newPrefix();
    const rateLimits = `trading=1000/day/${algorithm}`;
    const played = await playedByAll(orderOf({ prefix, rateLimits, forMs: 2_000 }));
    await deleteKeys(redis.url, prefix);
    const admitted = played.map(({ admitted }) => admitted.length);
    assert.equal(admitted.reduce((sum, each) => sum + each), 1_000, String(admitted));
    // Whoever comes late on a busy machine finds nothing left.
    assert(admitted.filter((each) => each > 0).length > 1, `they vied for it: ${admitted}`);
    assert(played.every(({ refused }) => refused > 0), "all of them asked for more");
  });
}

Deno.test("four processes under full load admit never more than the limit within any stretch of its time", async () => {
  const prefix = newPrefix();
  const [limit, windowMs] = [300, 2_000];
  const rateLimits = `trading=${limit}/2s/window`;
  const played = await playedByAll(orderOf({ prefix, rateLimits, forMs: 7_500 }));
  await deleteKeys(redis.url, prefix);
  // One was admitted at some moment between its question and its answer.
  const admitted = played.flatMap(({ admitted }) => admitted).toSorted(([a], [b]) => a - b);
  for (let first = 0; first < admitted.length; first++) {
    const from = admitted[first]![0];
    let within = 0;
    for (let at = first; at < admitted.length && admitted[at]![0] < from + windowMs; at++) {
      if (admitted[at]![1] <= from + windowMs) within++;
    }
    assert(within <= limit, `${within} within ${windowMs} ms`);
  }
  assert(admitted.length >= 3 * limit, `the limit is used: ${admitted.length}`);
  assert(admitted.length <= 4 * limit, `within four times at most: ${admitted.length}`);
});

/** Nodes in this process, each with a connection of its own. */
async function nodesOn(
  connections: AsyncDisposableStack,
  { urls, count, rateLimits, prefix, callMs = 5_000 }: {
    readonly urls: readonly string[];
    readonly count: number;
    readonly rateLimits: string;
    readonly prefix: string;
    readonly callMs?: number;
  },
) {
  const nodes = [];
  for (let node = 0; node < count; node++) {
    const connection = connections.use(new RedisConnection({ env: systemEnv, urls, callMs }));
    const store = new RedisKeyValue(connection);
    await whenReady(store);
    const limiter = new Limiter({
      env: systemEnv,
      quotas: quotasIn(rateLimits),
      shared: { store, prefix },
      nodes: () => count,
    });
    nodes.push({ limiter, store });
  }
  return nodes;
}

type Nodes = Awaited<ReturnType<typeof nodesOn>>;

const login = ({ limiter }: Nodes[number], account = "ana") =>
  limiter.take({ login: "ip:192.0.2.1", "login-account": `account:${account}` });

/** How many are admitted when each node is asked so often, all at once. */
async function admittedBy(nodes: Nodes, times: number, take: (node: Nodes[number]) => unknown) {
  const taken = nodes.flatMap((node) => Array.from({ length: times }, () => take(node)));
  const verdicts = await Promise.all(taken) as { readonly admitted: boolean }[];
  return verdicts.filter(({ admitted }) => admitted).length;
}

Deno.test("nodes on a cluster admit together exactly the limit, whichever server counts a subject", async () => {
  await using cluster = await RedisCluster.start();
  await using connections = new AsyncDisposableStack();
  const rateLimits = "general=10/day login=7/day";
  const options = { urls: cluster.urls, count: 3, rateLimits, prefix: "limits" };
  const nodes = await nodesOn(connections, options);
  for (let person = 0; person < 20; person++) {
    const take = ({ limiter }: Nodes[number]) => limiter.take({ general: `user:{${person}` });
    assert.equal(await admittedBy(nodes, 8, take), 10);
  }
  assert.equal(await admittedBy(nodes, 8, login), 7, "two subjects at once lie together");
  let key = 0;
  const byKeys = ({ limiter }: Nodes[number]) =>
    limiter.take({ general: "user:}{ana", "api-key": `key:${key++}` });
  assert.equal(await admittedBy(nodes, 8, byKeys), 10, "as do a user and any key");
});

Deno.test("a request costs one round trip at most, with two subjects too, and none once it is refused", async () => {
  const token = "a token of the gateway";
  await using gateway = await RestGateway.start(redis.url, token);
  const options = { env: systemEnv, url: gateway.url, token, callMs: 5_000 };
  await using store = new UpstashKeyValue(options);
  const prefix = newPrefix();
  const limiter = new Limiter({
    env: systemEnv,
    quotas: quotasIn("login=20/day"),
    shared: { store, prefix },
  });
  const node = { limiter, store } as unknown as Nodes[number];
  assert.equal((await login(node)).admitted, true, "the Redis knows the script from now on");
  const requests = gateway.requests;
  for (let time = 0; time < 19; time++) assert.equal((await login(node)).admitted, true);
  assert.equal(gateway.requests, requests + 19);
  assert.equal((await login(node)).admitted, false);
  assert.equal(gateway.requests, requests + 20);
  assert.equal(await admittedBy([node], 1_000, login), 0);
  assert.equal((await login(node, "ben")).admitted, false, "from the same address");
  assert.equal(gateway.requests, requests + 20);
  await deleteKeys(redis.url, prefix);
});

Deno.test("while a Redis dies and comes back, nodes keep to their parts, and login is never opened", async () => {
  await using own = await OwnRedis.start();
  await using connections = new AsyncDisposableStack();
  const rateLimits = "general=40/day login=6/day";
  const nodes = await nodesOn(connections, {
    urls: [own.url],
    count: 2,
    rateLimits,
    prefix: "limits",
    callMs: 250,
  });
  const general = (person: string) => ({ limiter }: Nodes[number]) =>
    limiter.take({ general: `user:${person}` });
  assert.equal(await admittedBy(nodes, 50, general("ana")), 40);
  assert.equal(await admittedBy(nodes, 50, (node) => login(node)), 6);

  await own.crash();
  assert.equal(await admittedBy(nodes, 500, general("ana")), 0, "what was refused stays refused");
  assert.equal(await admittedBy(nodes, 500, (node) => login(node)), 0);
  assert.equal(await admittedBy(nodes, 500, general("ben")), 40, "20 on each of two");
  let accounts = 0;
  const guessing = (node: Nodes[number]) => login(node, `account-${accounts++}`);
  assert.equal(await admittedBy(nodes, 500, guessing), 0, "from the address that was refused");
  const elsewhere = ({ limiter }: Nodes[number]) =>
    limiter.take({ login: "ip:b", "login-account": "account:b" });
  assert.equal(await admittedBy(nodes, 500, elsewhere), 6, "3 on each of two");
  await until(() => nodes.every(({ store }) => !store.isAvailable), general("cho"), nodes);
  assert.equal(await admittedBy(nodes, 500, elsewhere), 0, "nor once it is known to be away");

  await own.restart();
  await until(() => nodes.every(({ store }) => store.isAvailable), general("cho"), nodes);
  assert.equal(await admittedBy(nodes, 100, general("dan")), 40, "all count together again");
  const thirdly = ({ limiter }: Nodes[number]) =>
    limiter.take({ login: "ip:c", "login-account": "account:c" });
  assert.equal(await admittedBy(nodes, 100, thirdly), 6);
});

Deno.test("a Redis that is silent is waited for no longer than a call may take, and then not at all", async () => {
  await using own = await OwnRedis.start();
  await using connections = new AsyncDisposableStack();
  const nodes = await nodesOn(connections, {
    urls: [own.url],
    count: 2,
    rateLimits: "general=10/day",
    prefix: "limits",
    callMs: 200,
  });
  const take = ({ limiter }: Nodes[number]) => limiter.take({ general: "user:ana" });
  own.freeze();
  assert.equal(await admittedBy(nodes, 20, take), 10, "5 on each of two");
  const other = ({ limiter }: Nodes[number]) => limiter.take({ general: "user:ben" });
  await until(() => nodes.every(({ store }) => !store.isAvailable), other, nodes);
  for (const node of nodes) assert(!(take(node) instanceof Promise), "nothing is waited for");
  own.thaw();
  await until(() => nodes.every(({ store }) => store.isAvailable), other, nodes);
});

// Clients of a server that is lost wait to try again for a second, even when they are destroyed.
const afterLoss = { sanitizeResources: false, sanitizeOps: false } as const;

Deno.test(
  "of a cluster of which a server is lost the others count on, and its replica in its place",
  afterLoss,
  async () => {
    await using cluster = await RedisCluster.start({ nodeTimeoutMs: 10_000 });
    await using connections = new AsyncDisposableStack();
    const rateLimits = "general=10/day";
    const options = { urls: cluster.urls, count: 2, rateLimits, prefix: "limits" };
    const [node] = await nodesOn(connections, options);
    const lost = cluster.servers[0]!;
    let people = 0;
    const somebodyNew = async (isOfLost: boolean) => {
      for (;;) {
        const user = `user:${people++}`;
        if ((await cluster.masterOf(user) === lost) !== isOfLost) continue;
        return ({ limiter }: Nodes[number]) => limiter.take({ general: user });
      }
    };
    // One of two nodes is admitted the whole limit where both count, and else its part.
    const isCountedThere = async (isOfLost: boolean) =>
      await admittedBy([node!], 20, await somebodyNew(isOfLost)) === 10;
    assert(await isCountedThere(true));

    await lost.crash();
    const unlucky = await somebodyNew(true);
    await until(() => !node!.store.isAvailable, unlucky, [node!]);
    await until(() => node!.store.isAvailable, () => {}, [node!]);
    assert(await isCountedThere(false), "the others count on");
    const [role] = await cluster.replicaOf(lost).command("ROLE") as readonly string[];
    assert.equal(role, "slave", "before anything has taken its place");

    const giveUpAt = performance.now() + 60_000;
    while (!await isCountedThere(true)) {
      assert(performance.now() < giveUpAt, "its replica never counted");
      await systemEnv.sleep(200);
    }
  },
);

/** Asks until that is so. */
async function until(
  isSo: () => boolean,
  take: (node: Nodes[number]) => unknown,
  nodes: Nodes,
): Promise<void> {
  const giveUpAt = performance.now() + 20_000;
  while (!isSo()) {
    assert(performance.now() < giveUpAt, "it never came to be so");
    await Promise.all(nodes.map(take));
    await systemEnv.sleep(20);
  }
}
