/** The key-value store in a Redis, on one server or in a cluster. */
import { increment, type KeyValue, type Script } from "../kv/key_value.ts";
import { hashOf, isUnknownScript } from "../kv/script_hash.ts";
import type { RedisClient, RedisConnection } from "./connection.ts";

export class RedisKeyValue implements KeyValue {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async get(key: string): Promise<string | undefined> {
    return await this.#redis.call((client) => client.get(key)) ?? undefined;
  }

  async set(key: string, value: string, ttlMs: number): Promise<void> {
    const expiration = { type: "PX", value: ttlMs } as const;
    await this.#redis.call((client) => client.set(key, value, { expiration }));
  }

  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    const options = { expiration: { type: "PX", value: ttlMs }, condition: "NX" } as const;
    return await this.#redis.call((client) => client.set(key, value, options)) === "OK";
  }

  async delete(key: string): Promise<boolean> {
    return await this.#redis.call((client) => client.del(key)) === 1;
  }

  async increment(key: string, by: number, ttlMs: number): Promise<number> {
    const [sum] = await this.run(increment, [key], [String(by), String(ttlMs)]);
    return sum!;
  }

  async run(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<readonly number[]> {
    const parts = { keys: [...keys], arguments: [...args] };
    return await this.#redis.call((client) => evaluated(client, script, parts)) as number[];
  }

  get isAvailable(): boolean {
    return this.#redis.dependency.isAvailable;
  }
}

async function evaluated(
  client: RedisClient,
  script: Script,
  parts: { readonly keys: string[]; readonly arguments: string[] },
) {
  try {
    return await client.evalSha(hashOf(script), parts);
  } catch (error) {
    // It was never there, or has been forgotten by a restart.
    if (!isUnknownScript(error)) throw error;
    return await client.eval(script.lua, parts);
  }
}
