/**
 * When to stop asking a database: it does not answer at all, or it takes no writes.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { Dependency } from "../resilience/dependency.ts";
import { Session, type SessionOptions } from "./session.ts";
import type { SessionPool } from "./session_pool.ts";

export interface Breakers {
  /** Whether it answers. Open, every query is refused at once. */
  readonly server: Dependency;
  /** Whether it takes writes. Open, commits and workers are refused at once, and reads go on. */
  readonly writing: Dependency;
}

export interface ServerBreakerOptions {
  readonly env: Env;
  /** How the probe connects. */
  readonly session: SessionOptions;
  /** What has to be done first to a database that has ended. */
  readonly revive?: () => Promise<void>;
}

/** As patient as anyone should be with a server that has nothing else to do. */
const PROBE_TIMEOUT_MS = 3_000;

/** A breaker that a session of its own probes, so that no dead one of a pool is in its way. */
export function serverBreaker({ env, session, revive }: ServerBreakerOptions): Dependency {
  return new Dependency({
    name: "database",
    env,
    probe: async (cancelled) => {
      await revive?.();
      const probing = new Session(session, () => {});
      const drop = () => probing.drop("the probe took too long");
      cancelled.addEventListener("abort", drop, { once: true });
      try {
        const timeoutMs = PROBE_TIMEOUT_MS;
        await probing.run("select 1", [], { stage: "uncommitted", timeoutMs });
      } finally {
        cancelled.removeEventListener("abort", drop);
        await probing.close(0);
      }
    },
    limits: { probeTimeoutMs: PROBE_TIMEOUT_MS },
  });
}

/** Once it is known that nothing answers, whoever waits for an answer had better know as well. */
export function dropWhenLost(server: Dependency, pools: readonly SessionPool[]): void {
  server.onChange(({ state }) => {
    if (state === "closed") return;
    for (const pool of pools) pool.drop("the server does not answer");
  });
}

/** A standby refuses this as it would a commit, and so does a disk without room for a megabyte. */
const writeSomething = `create temporary table troupe_probe on commit drop as
  select repeat('x', 1000) as filler from generate_series(1, 1000)`;

export function writingBreaker(env: Env, pool: SessionPool): Dependency {
  const probe = async () => {
    const timeoutMs = PROBE_TIMEOUT_MS;
    const session = pool.shared() ?? await pool.sharedWithin(timeoutMs);
    await session.run(writeSomething, [], { stage: "committing", timeoutMs });
  };
  return new Dependency({ name: "database-writing", env, probe });
}

/** The disk is full; the server is a standby. */
const unwritable = new Set(["53100", "25006"]);

/** Whether a fault says that nothing can be written now, whatever it is. */
export function isUnwritable(fault: unknown): boolean {
  if (!(fault instanceof TransientFault)) return false;
  const { code } = (fault.cause ?? {}) as { readonly code?: string };
  return code !== undefined && unwritable.has(code);
}
