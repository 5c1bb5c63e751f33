/**
 * A process that asks a limiter as fast as it can, for the test that has started it.
 *
 * What it is to do comes as a line of JSON. It says "ready", waits for another line, and says what
 * became of its requests when its time is over.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";
import { type Counts, Limiter } from "../../lib/limits/limiter.ts";
import { quotasIn } from "../../lib/quotas.ts";
import { RedisConnection } from "../../lib/redis/connection.ts";
import { RedisKeyValue } from "../../lib/redis/key_value.ts";
import { whenReady } from "./some_redis.ts";

export interface Order {
  readonly urls: readonly string[];
  readonly prefix: string;
  readonly rateLimits: string;
  readonly nodes: number;
  readonly counts: Counts;
  /** Requests under way at once. */
  readonly atOnce: number;
  readonly forMs: number;
}

export interface Asked {
  /** When each admitted request was made and answered, by the wall clock that all processes share. */
  readonly admitted: readonly (readonly [askedAt: number, answeredAt: number])[];
  readonly refused: number;
}

async function play(order: Order): Promise<Asked> {
  const { urls, prefix, rateLimits, nodes, counts, atOnce, forMs } = order;
  await using connection = new RedisConnection({ env: systemEnv, urls });
  const store = new RedisKeyValue(connection);
  await whenReady(store);
  const limiter = new Limiter({
    env: systemEnv,
    quotas: quotasIn(rateLimits),
    shared: { store, prefix },
    nodes: () => nodes,
  });
  console.log("ready");
  await nextLine();
  const admitted: [number, number][] = [];
  let refused = 0;
  const until = performance.now() + forMs;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (performance.now() < until) {
      const askedAt = performance.timeOrigin + performance.now();
      const verdict = await limiter.take(counts);
      if (verdict.admitted) {
        admitted.push([askedAt, performance.timeOrigin + performance.now()]);
      } else if (refused++ % 100 === 0) {
        // A refusal that is known costs nothing; others have to come to it as well.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
  }));
  return { admitted, refused };
}

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();

async function nextLine(): Promise<string> {
  const { value } = await lines.next();
  return value ?? "";
}

if (import.meta.main) {
  const asked = await play(JSON.parse(await nextLine()));
  console.log(JSON.stringify(asked));
  Deno.exit(0);
}
