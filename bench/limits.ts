/**
 * `deno task bench:limits`: what a rate limit costs a request, decided here or where all nodes count.
 *
 *     limits.ts [--rounds=5] [--redis=redis://127.0.0.1:6379]
 *
 * The Redis may be somebody else's: what is written goes under a prefix of its own, and ends by itself
 * within two minutes. Figures are medians of rounds; those of a machine that others use are good for
 * nothing but their ratios.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { systemEnv } from "../lib/env.ts";
import { Limiter } from "../lib/limits/limiter.ts";
import { quotasIn } from "../lib/quotas.ts";
import { RedisConnection } from "../lib/redis/connection.ts";
import { RedisKeyValue } from "../lib/redis/key_value.ts";
import { concludeWith, wholeNumberFrom } from "./verdicts.ts";

const localDecisions = 200_000;
const sharedDecisions = 5_000;
const subjects = Array.from({ length: 1_000 }, (_, index) => `user:${index}`);
const atOnce = 64;

interface Measured {
  readonly what: string;
  /** Of one decision, in µs. */
  readonly micros: number;
  /** Commands that the Redis has carried out for each. */
  readonly commands?: number;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function limiterOf(
  rateLimits: string,
  shared?: ConstructorParameters<typeof Limiter>[0]["shared"],
) {
  return new Limiter({
    env: systemEnv,
    quotas: quotasIn(rateLimits),
    ...(shared && { shared }),
  });
}

/** One decision here, of many subjects in turn. */
function local(rateLimits: string): number {
  const limiter = limiterOf(rateLimits);
  const startedAt = performance.now();
  for (let request = 0; request < localDecisions; request++) {
    limiter.take({ trading: subjects[request % subjects.length]! });
  }
  return (performance.now() - startedAt) * 1_000 / localDecisions;
}

interface Redis {
  readonly store: RedisKeyValue;
  readonly connection: RedisConnection;
}

/** Decisions by the Redis, so many under way at once, and the commands that they took. */
async function shared(
  { store, connection }: Redis,
  rateLimits: string,
  take: (limiter: Limiter, request: number) => unknown,
): Promise<Omit<Measured, "what">> {
  const prefix = `troupe-bench:${crypto.randomUUID()}`;
  const limiter = limiterOf(rateLimits, { store, prefix });
  await take(limiter, 0);
  const before = await scriptCalls(connection);
  const startedAt = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (next < sharedDecisions) await take(limiter, next++);
  }));
  const micros = (performance.now() - startedAt) * 1_000 / sharedDecisions;
  const commands = (await scriptCalls(connection) - before) / sharedDecisions;
  return { micros, commands };
}

async function scriptCalls({ client }: RedisConnection): Promise<number> {
  if (!("info" in client)) throw new Error("A cluster has no counts of its own");
  const info = String(await client.info("commandstats"));
  return [...info.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)]
    .reduce((sum, [, calls]) => sum + Number(calls), 0);
}

async function measured(redis: Redis, rounds: number): Promise<readonly Measured[]> {
  const one = (limiter: Limiter, request: number) =>
    limiter.take({ trading: subjects[request % subjects.length]! });
  const two = (limiter: Limiter, request: number) =>
    limiter.take({ login: `ip:${request % 100}`, "login-account": `account:${request}` });
  const blocked = (limiter: Limiter) => limiter.take({ trading: "user:ana" });
  const wide = "all=1000/min";
  const contests: Readonly<
    Record<string, () => Omit<Measured, "what"> | Promise<Omit<Measured, "what">>>
  > = {
    "here, a window that admits": () => ({ micros: local("all=10000/min") }),
    "here, a window that refuses": () => ({ micros: local("all=1/min") }),
    "here, a bucket that admits": () => ({ micros: local("all=1000000/min/bucket") }),
    "here, a bucket that refuses": () => ({ micros: local("all=1/min/bucket") }),
    "by Redis, nothing but the way": async () => {
      let next = 0;
      const startedAt = performance.now();
      await Promise.all(Array.from({ length: atOnce }, async () => {
        while (next++ < sharedDecisions) await redis.connection.client.get("troupe-bench:none");
      }));
      return { micros: (performance.now() - startedAt) * 1_000 / sharedDecisions };
    },
    "by Redis, a window": () => shared(redis, wide, one),
    "by Redis, a bucket": () => shared(redis, "all=1000/min/bucket", one),
    "by Redis, two subjects at once": () => shared(redis, wide, two),
    "by Redis, once it has refused": () => shared(redis, "trading=1/min", blocked),
  };
  const taken = new Map(
    Object.keys(contests).map((what) => [what, [] as Omit<Measured, "what">[]]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [what, contest] of Object.entries(contests)) taken.get(what)!.push(await contest());
  }
  return [...taken].map(([what, figures]) => {
    const commands = figures[0]!.commands;
    return {
      what,
      micros: median(figures.map(({ micros }) => micros)),
      ...(commands !== undefined && { commands }),
    };
  });
}

async function bench(): Promise<readonly string[]> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      redis: { type: "string", default: "redis://127.0.0.1:6379" },
    },
  });
  await using connection = new RedisConnection({
    env: systemEnv,
    urls: [values.redis],
    callMs: 30_000,
  });
  const store = new RedisKeyValue(connection);
  // It is connecting; a Redis that is not there is told of by the first call.
  for (let attempt = 0; attempt < 20; attempt++) {
    if (await store.get("troupe-bench:none").then(() => true, () => false)) break;
    await systemEnv.sleep(50);
  }
  const figures = await measured({ store, connection }, wholeNumberFrom("rounds", values.rounds));
  const way = figures.find(({ what }) => what.endsWith("the way"))!.micros;
  console.log("a decision                          µs   of the way   commands");
  for (const { what, micros, commands } of figures) {
    const share = what.startsWith("by Redis") ? `${(micros / way).toFixed(2)}x` : "";
    console.log(
      `${what.padEnd(32)}${micros.toFixed(2).padStart(8)}${share.padStart(13)}` +
        `${(commands === undefined ? "" : commands.toFixed(3)).padStart(11)}`,
    );
  }
  return [
    ...figures.filter(({ what, micros }) => what.startsWith("here") && micros >= 5)
      .map(({ what }) => `${what}: 5 µs or more`),
    ...figures.filter(({ commands = 0 }) => commands > 1)
      .map(({ what }) => `${what}: more than one round trip`),
  ];
}

if (import.meta.main) await concludeWith(bench);
