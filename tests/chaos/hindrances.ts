/** What a machine may lack for some kinds of faults. */
import { ConfigurationError, readConfig } from "../../lib/config.ts";
import { hindrance } from "../support/own_postgres.ts";
import { NodePlace } from "./nodes.ts";
import type { FaultKind } from "./plan.ts";

/** What this machine cannot do, and why. */
export async function hindrances(): Promise<ReadonlyMap<FaultKind, string>> {
  const skipped = new Map<FaultKind, string>();
  const skip = (why: string | undefined, ...kinds: readonly FaultKind[]) => {
    if (why !== undefined) { for (const kind of kinds) skipped.set(kind, why); }
  };
  skip(await hindrance("volumes"), "data-full", "wal-full");
  skip(await hindrance("trip"), "wal-error", "slow-disk");
  skip(await hindranceOfRedis(), "redis-kill", "redis-pause", "redis-flush");
  skip(await NodePlace.hindranceOfClocks(), "clock");
  return skipped;
}

async function hindranceOfRedis(): Promise<string | undefined> {
  try {
    readConfig({ REDIS_URL: "nowhere" });
    return "the service knows of no REDIS_URL";
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
  }
  const version = new Deno.Command("redis-server", { args: ["--version"], stdout: "null" });
  return await version.output().then(() => undefined, () => "no redis-server is installed");
}
