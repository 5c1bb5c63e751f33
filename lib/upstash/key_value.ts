/** The key-value store in a Redis that is reached by HTTP, as Upstash offers it. */
import { Redis } from "@upstash/redis";
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { increment, type KeyValue, type Script } from "../kv/key_value.ts";
import { hashOf, isUnknownScript } from "../kv/script_hash.ts";
import { Dependency } from "../resilience/dependency.ts";

export interface UpstashOptions {
  readonly env: Env;
  readonly url: string;
  readonly token: string;
  /** How long a call may take; then it counts as failed. */
  readonly callMs?: number;
}

const CALL_MS = 1_000;

export class UpstashKeyValue implements KeyValue, AsyncDisposable {
  /** Whether it is there; while it is not, nothing is asked of it. */
  readonly dependency: Dependency;
  readonly #redis: Redis;

  constructor({ env, url, token, callMs = CALL_MS }: UpstashOptions) {
    this.#redis = new Redis({
      url,
      token,
      // "123" would come back as a number.
      automaticDeserialization: false,
      // As a value, an aborted call would resolve, and with the reason for its result.
      signal: () => AbortSignal.timeout(callMs),
      // The client would repeat increments that may have been made.
      retry: { retries: 0 },
      enableTelemetry: false,
    });
    this.dependency = new Dependency({
      name: "redis",
      env,
      probe: async () => {
        await this.#redis.ping().catch(toFault);
      },
    });
  }

  async get(key: string): Promise<string | undefined> {
    return await this.#call(() => this.#redis.get<string>(key)) ?? undefined;
  }

  async set(key: string, value: string, ttlMs: number): Promise<void> {
    await this.#call(() => this.#redis.set(key, value, { px: ttlMs }));
  }

  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    const options = { px: ttlMs, nx: true } as const;
    return await this.#call(() => this.#redis.set(key, value, options)) === "OK";
  }

  async delete(key: string): Promise<boolean> {
    return await this.#call(() => this.#redis.del(key)) === 1;
  }

  async increment(key: string, by: number, ttlMs: number): Promise<number> {
    const [sum] = await this.run(increment, [key], [String(by), String(ttlMs)]);
    return sum!;
  }

  run(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<readonly number[]> {
    return this.#call(async () => {
      try {
        return await this.#redis.evalsha<string[], number[]>(hashOf(script), [...keys], [...args]);
      } catch (error) {
        if (!isUnknownScript(error)) throw error;
        return await this.#redis.eval<string[], number[]>(script.lua, [...keys], [...args]);
      }
    });
  }

  get isAvailable(): boolean {
    return this.dependency.isAvailable;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dependency[Symbol.asyncDispose]();
  }

  #call<T>(call: () => Promise<T>): Promise<T> {
    return this.dependency.attempt(() => call().catch(toFault));
  }
}

/** What the client says of a refusal repeats the whole command, which is nobody's to read in a log. */
function toFault(error: unknown): never {
  if (error instanceof TransientFault) throw error;
  const message = error instanceof Error ? error.message : String(error);
  const [what] = message.split(", command was: ");
  throw new TransientFault(`Redis failed over HTTP: ${what}`);
}
