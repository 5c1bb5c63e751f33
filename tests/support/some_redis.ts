/**
 * A Redis for tests that leave it as it was: the one that answers on this machine, else one of their
 * own. It may be somebody else's: all keys are under a prefix, and only those are ever deleted.
 *
 * @module
 */
import { createClient } from "@redis/client";
import { systemEnv } from "../../lib/env.ts";
import { TransientFault } from "../../lib/fault.ts";
import type { KeyValue } from "../../lib/kv/key_value.ts";
import { OwnRedis } from "./own_redis.ts";

export interface SomeRedis extends AsyncDisposable {
  readonly url: string;
}

const USUAL_PORT = 6379;

export async function anyRedis(): Promise<SomeRedis> {
  try {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: USUAL_PORT });
    connection.close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return await OwnRedis.start();
    throw error;
  }
  return {
    url: `redis://127.0.0.1:${USUAL_PORT}`,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export function newPrefix(): string {
  return `troupe-test:${crypto.randomUUID()}`;
}

export async function deleteKeys(url: string, prefix: string): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  for (const begin of [prefix, `{${prefix}`]) {
    for await (const keys of client.scanIterator({ MATCH: `${begin}*`, COUNT: 1_000 })) {
      if (keys.length > 0) await client.del(keys);
    }
  }
  client.destroy();
}

/** Resolves once calls go through. */
export async function whenReady(store: KeyValue): Promise<void> {
  const giveUpAt = performance.now() + 15_000;
  for (;;) {
    try {
      await store.get("troupe-test:ready");
      return;
    } catch (fault) {
      if (!(fault instanceof TransientFault) || performance.now() > giveUpAt) throw fault;
      await systemEnv.sleep(20);
    }
  }
}
