/**
 * Six small Redis servers that are one cluster: three that hold keys, and a replica of each.
 *
 * @module
 */
import { createClient } from "@redis/client";
import { systemEnv } from "../../lib/env.ts";
import { OwnRedis, type OwnRedisOptions } from "./own_redis.ts";

const MASTERS = 3;
const SERVERS = 6;
const SLOTS = 16_384;
const READY_MS_MAX = 30_000;

export class RedisCluster implements AsyncDisposable {
  readonly servers: readonly OwnRedis[];

  private constructor(servers: readonly OwnRedis[]) {
    this.servers = servers;
  }

  /** Where a key that has this in its braces lies, until that one is lost. */
  async masterOf(tag: string): Promise<OwnRedis> {
    const alive = this.servers[SERVERS - 1]!;
    const slot = Number(await alive.command("CLUSTER", "KEYSLOT", tag));
    return this.servers[Math.floor(slot * MASTERS / SLOTS)]!;
  }

  /** What takes the place of a master that is lost. */
  replicaOf(master: OwnRedis): OwnRedis {
    return this.servers[this.servers.indexOf(master) + MASTERS]!;
  }

  get urls(): readonly string[] {
    return this.servers.slice(0, MASTERS).map(({ url }) => url);
  }

  /** Resolves once every slot is served, and by a replica as well. */
  static async start(
    options: Pick<OwnRedisOptions, "nodeTimeoutMs"> = {},
  ): Promise<RedisCluster> {
    const servers = await Promise.all(
      Array.from({ length: SERVERS }, () => OwnRedis.start({ ...options, isClustered: true })),
    );
    const cluster = new RedisCluster(servers);
    await cluster.#join();
    return cluster;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }

  async #join(): Promise<void> {
    const clients = await Promise.all(this.servers.map(({ url }) => connected(url)));
    const [first, ...others] = clients;
    for (const [index, client] of clients.slice(0, MASTERS).entries()) {
      const start = Math.ceil(SLOTS * index / MASTERS);
      const end = Math.ceil(SLOTS * (index + 1) / MASTERS) - 1;
      await client.sendCommand(["CLUSTER", "ADDSLOTSRANGE", String(start), String(end)]);
      await client.sendCommand(["CLUSTER", "SET-CONFIG-EPOCH", String(index + 1)]);
    }
    const { url, busPort } = this.servers[0]!;
    const { hostname, port } = new URL(url);
    for (const client of others) {
      await client.sendCommand(["CLUSTER", "MEET", hostname, port, String(busPort)]);
    }
    const ids = await Promise.all(
      clients.map((client) => client.sendCommand<string>(["CLUSTER", "MYID"])),
    );
    await until(async () => (await knownTo(first!)) === SERVERS);
    for (const [index, client] of clients.slice(MASTERS).entries()) {
      // It has to have heard of its master before it can follow it.
      await until(() =>
        client.sendCommand(["CLUSTER", "REPLICATE", ids[index]!]).then(() => true, () => false)
      );
    }
    for (const client of clients) {
      await until(async () => {
        const info = await client.sendCommand<string>(["CLUSTER", "INFO"]);
        return info.includes("cluster_state:ok") && await knownTo(client) === SERVERS;
      });
    }
    // One that has never had what its master has does not take its place.
    for (const client of clients.slice(MASTERS)) {
      await until(async () => {
        const [, , , link] = await client.sendCommand<readonly string[]>(["ROLE"]);
        return link === "connected";
      });
    }
    for (const client of clients) client.destroy();
  }
}

type Client = Awaited<ReturnType<typeof connected>>;

async function connected(url: string) {
  const client = createClient({ url, socket: { connectTimeout: READY_MS_MAX } });
  await client.connect();
  return client;
}

async function knownTo(client: Client): Promise<number> {
  const info = await client.sendCommand<string>(["CLUSTER", "INFO"]);
  return Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1]);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + READY_MS_MAX;
  while (!await holds()) {
    if (performance.now() > giveUpAt) throw new Error("The cluster never came together");
    await systemEnv.sleep(50);
  }
}
