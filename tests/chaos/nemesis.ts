/**
 * Does what the plan says to the nodes, the network and the database.
 *
 * @module
 */
import { sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import { TransientFault } from "../../lib/fault.ts";
import type { Database } from "../../lib/postgres/database.ts";
import type { Treat, Weather } from "../support/network_proxy.ts";
import type { OwnPostgres } from "../support/own_postgres.ts";
import type { OwnRedis } from "../support/own_redis.ts";
import { insist } from "../support/stricken_cluster.ts";
import { IdleSessions } from "./idle_sessions.ts";
import type { NodePlace } from "./nodes.ts";
import type { Fault, FaultKind } from "./plan.ts";

/** What became of a fault. */
export interface Strike {
  /** Whether it did what it is for. */
  readonly fired: boolean;
  /** When all that was wrong had been put right, in monotonic milliseconds. */
  readonly endedAt: number;
  readonly note?: string;
}

export interface NemesisOptions {
  readonly nodes: readonly NodePlace[];
  readonly server: OwnPostgres;
  readonly redis: OwnRedis | undefined;
  /** Straight to the server, for looking around and for locks. */
  readonly database: Database;
}

/** However long it was away, a server that starts answers by then. */
const SERVER_MS_MAX = 30_000;

/** Part of every statement that commits what actors decided, and of no other. */
const COMMIT_MARKER = '"revision":';

const weathers: Partial<Record<FaultKind, Weather>> = {
  latency: { latencyMs: 40, jitterMs: 120 },
  narrow: { bytesPerSecond: 60_000 },
  slices: { sliceBytes: 7 },
  held: { held: ["to-server", "to-client"] },
};

const deaths: Partial<Record<FaultKind, Treat>> = {
  "dead": () => "swallow",
  "dead-to-server": (bytes, direction) => direction === "to-server" ? "swallow" : bytes,
  "dead-to-client": (bytes, direction) => direction === "to-client" ? "swallow" : bytes,
};

export class Nemesis {
  readonly #options: NemesisOptions;
  readonly counts = { serverKills: 0, serverPauses: 0, databaseCrashes: 0, databaseRestarts: 0 };

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  async strike(fault: Fault): Promise<Strike> {
    const { kind } = fault;
    switch (kind) {
      case "kill":
        return await this.#kill(fault);
      case "pause":
        return await this.#pause(fault);
      case "clock":
        return await this.#clock(fault);
      case "database-fast":
      case "database-immediate":
      case "postmaster-kill":
      case "backend-kill":
        return await this.#crashDatabase(fault);
      case "wal-error":
      case "slow-disk":
        return await this.#trip(fault);
      case "data-full":
      case "wal-full":
        return await this.#fill(fault);
      case "connections":
        return await this.#exhaust(fault);
      case "lock-storm":
        return await this.#lock(fault);
      case "redis-kill":
      case "redis-pause":
      case "redis-flush":
        return await this.#strikeRedis(fault);
      default:
        return await this.#network(fault);
    }
  }

  async #kill({ nodes, ms }: Fault): Promise<Strike> {
    const places = nodes.map((node) => this.#options.nodes[node]!);
    const killed = await Promise.all(places.map((place) => place.crash()));
    const count = killed.filter((isKilled) => isKilled).length;
    this.counts.serverKills += count;
    await systemEnv.sleep(ms);
    const endedAt = performance.now();
    await Promise.all(places.filter((_, n) => killed[n]).map((place) => place.start()));
    return { fired: count > 0, endedAt, note: `${count} nodes` };
  }

  async #pause({ nodes, ms }: Fault): Promise<Strike> {
    const place = this.#options.nodes[nodes[0]!]!;
    const fired = place.freeze();
    if (fired) this.counts.serverPauses++;
    await systemEnv.sleep(ms);
    place.thaw();
    return { fired, endedAt: performance.now() };
  }

  async #clock({ nodes, seconds, ms }: Fault): Promise<Strike> {
    const place = this.#options.nodes[nodes[0]!]!;
    await place.setClock(seconds);
    await systemEnv.sleep(ms);
    await place.setClock(0);
    return { fired: seconds !== 0, endedAt: performance.now(), note: `${seconds} s` };
  }

  async #crashDatabase({ kind, ms }: Fault): Promise<Strike> {
    const { server } = this.#options;
    if (kind === "backend-kill") return await this.#crashBackend();
    if (kind === "postmaster-kill") await server.kill();
    else await server.stop(kind === "database-fast" ? "fast" : "immediate");
    if (kind === "database-fast") this.counts.databaseRestarts++;
    else this.counts.databaseCrashes++;
    await systemEnv.sleep(ms);
    const endedAt = performance.now();
    await server.resume();
    return { fired: true, endedAt };
  }

  async #crashBackend(): Promise<Strike> {
    const { server, database } = this.#options;
    const one = sql<{ pid: number }>`
      select pid from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()
      order by state = 'active' desc, random() limit 1`;
    for (;;) {
      const [backend] = await insist(database.db, one, SERVER_MS_MAX);
      if (backend === undefined) return { fired: false, endedAt: performance.now() };
      // Whose session was found may have ended since.
      if (!await server.crashBackend(backend.pid)) continue;
      this.counts.databaseCrashes++;
      return { fired: true, endedAt: performance.now() };
    }
  }

  async #trip({ kind, ms }: Fault): Promise<Strike> {
    const { server } = this.#options;
    const isSlow = kind === "slow-disk";
    const calls = await server.tripSyncs(isSlow ? "delay_enter=300000" : "error=EIO:when=1", ms);
    if (!isSlow && calls > 0) this.counts.databaseCrashes++;
    return { fired: calls > 0, endedAt: performance.now(), note: `${calls} calls` };
  }

  async #fill({ kind, ms }: Fault): Promise<Strike> {
    const { server, database } = this.#options;
    const volume = kind === "wal-full" ? "wal" : "pg";
    await server.fill(volume);
    const startedAt = performance.now();
    let failure: string | undefined;
    // What others write would fill it, too, if there were enough of it.
    while (failure === undefined && performance.now() - startedAt < ms) {
      failure = await this.#pour(volume, database);
    }
    await systemEnv.sleep(Math.max(0, ms - (performance.now() - startedAt)));
    const endedAt = performance.now();
    await server.drain(volume);
    if (volume === "pg") {
      return { fired: failure?.includes("53100") ?? false, endedAt, note: failure ?? "it held" };
    }
    const isDown = !await server.answers();
    if (isDown) {
      this.counts.databaseCrashes++;
      await server.resume();
    }
    return { fired: isDown, endedAt, note: isDown ? "down until started" : "it held" };
  }

  /** Writes 1 MB to the log of writes, or to a table; says how it failed. */
  async #pour(volume: "wal" | "pg", { db }: Database): Promise<string | undefined> {
    const statement = volume === "wal"
      ? sql`select pg_logical_emit_message(false, 'chaos', repeat('x', 1000000))`
      : sql`insert into chaos_ballast select repeat(md5(n::text), 30) from generate_series(1, 1000) n`;
    try {
      await statement.execute(db);
      return undefined;
    } catch (fault) {
      if (!(fault instanceof TransientFault)) throw fault;
      return fault.message;
    }
  }

  async #exhaust({ ms }: Fault): Promise<Strike> {
    const { server, database: { db } } = this.#options;
    using sessions = new IdleSessions(server.url);
    const startedAt = performance.now();
    let refusals = 0;
    // Whoever is thrown out comes back, unless somebody else was faster.
    const cut = sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where backend_type = 'client backend' and application_name = 'troupe'
        and pid <> pg_backend_pid()`;
    while (performance.now() - startedAt < ms) {
      await cut.execute(db).catch(() => {});
      while (await sessions.take()) if (performance.now() - startedAt > ms) break;
      refusals++;
      await systemEnv.sleep(200);
    }
    const note = `${sessions.size} sessions taken`;
    sessions[Symbol.dispose]();
    return { fired: refusals > 0, endedAt: performance.now(), note };
  }

  async #lock({ ms }: Fault): Promise<Strike> {
    const { maintenance } = this.#options.database;
    await maintenance.transaction().execute(async (transaction) => {
      await sql`lock table actor in access exclusive mode`.execute(transaction);
      await sql`select pg_sleep(${ms / 1_000}::float8)`.execute(transaction);
    });
    return { fired: true, endedAt: performance.now() };
  }

  async #strikeRedis({ kind, ms }: Fault): Promise<Strike> {
    const redis = this.#options.redis!;
    if (kind === "redis-flush") await redis.command("FLUSHALL");
    else if (kind === "redis-kill") await redis.crash();
    else redis.freeze();
    await systemEnv.sleep(ms);
    const endedAt = performance.now();
    if (kind === "redis-kill") await redis.restart();
    if (kind === "redis-pause") redis.thaw();
    return { fired: true, endedAt };
  }

  async #network({ kind, nodes, edge, ms }: Fault): Promise<Strike> {
    const way = this.#options.nodes[nodes[0]!]!.edges[edge]!;
    if (kind === "reset") {
      const count = way.reset();
      const note = `${count} connections of ${edge}`;
      return { fired: count > 0, endedAt: performance.now(), note };
    }
    if (kind.startsWith("cut-")) {
      const moment = kind.split("-")[1] as "before" | "during" | "after";
      way.cutAt({ marker: COMMIT_MARKER, moment });
      await systemEnv.sleep(ms);
      const fired = way.hasCut;
      way.heal();
      return { fired, endedAt: performance.now() };
    }
    const treat = deaths[kind];
    let passed = 0;
    if (treat === undefined) way.turn(weathers[kind]!);
    way.treat((bytes, direction) => {
      passed++;
      return treat === undefined ? bytes : treat(bytes, direction);
    });
    await systemEnv.sleep(ms);
    way.heal();
    const note = `${passed} sendings of ${edge}`;
    return { fired: passed > 0, endedAt: performance.now(), note };
  }
}
