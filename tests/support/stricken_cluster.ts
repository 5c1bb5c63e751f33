/**
 * Nodes as processes on a database server of their own, and all that can go wrong with either:
 * planned by a seed, which decides what, where and when, but not who is doing what just then.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Kysely, type RawBuilder, sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import type { Database } from "../../lib/postgres/database.ts";
import { PostgresOutbox } from "../../lib/postgres/outbox.ts";
import type { Tables } from "../../lib/postgres/tables.ts";
import { retryPolicies, retryTransient } from "../../lib/resilience/retry.ts";
import { OwnPostgres, type StopMode } from "./own_postgres.ts";
import { RingProcess, type RingVariables } from "./ring_process.ts";
import { VirtualEnv } from "./virtual_env.ts";

export type NodeFault =
  | { readonly is: "crash" | "replacement"; readonly node: number }
  | { readonly is: "freeze"; readonly node: number; readonly ms: number };

/** "cut": the server ends the sessions of all nodes; "backend": one of its processes is killed. */
export type ServerFault =
  | { readonly is: "cut" | "backend" }
  | { readonly is: "restart"; readonly mode: StopMode; readonly downMs: number };

export type Fault = NodeFault | ServerFault;

export interface PlannedFault {
  /** How far it all is by then. */
  readonly after: number;
  readonly fault: Fault;
}

export interface FaultPlan {
  readonly seed: number;
  readonly faults: number;
  /** How far it goes: they are spread over the way before. */
  readonly upTo: number;
  readonly nodes: number;
  readonly leaseMs: number;
}

export function plannedFaults(plan: FaultPlan): readonly PlannedFault[] {
  const { nodes, leaseMs } = plan;
  const chance = new VirtualEnv(plan.seed);
  const upTo = (limit: number) => Math.floor(chance.random() * limit);
  const moments = Array.from({ length: plan.faults }, () => upTo(plan.upTo));
  return moments.sort((a, b) => a - b).map((after) => {
    const node = upTo(nodes);
    // Some leases have run out when it wakes, and some of those have been taken by others.
    const freeze: Fault = { is: "freeze", node, ms: leaseMs + upTo(leaseMs) };
    // Some outages are over before a lease is, and some are not.
    const downMs = upTo(1.5 * leaseMs);
    const faults: readonly Fault[] = [
      { is: "crash", node },
      // Nothing else lets a node act on a claim that another has taken from it.
      freeze,
      freeze,
      { is: "cut" },
      { is: "replacement", node },
      { is: "backend" },
      { is: "restart", mode: "immediate", downMs },
      { is: "restart", mode: "fast", downMs },
    ];
    return { after, fault: faults[upTo(faults.length)]! };
  });
}

/** Asks again while the server is away, though not for longer than `giveUpMs`. */
export async function insist<Row>(
  db: Kysely<Tables>,
  query: RawBuilder<Row>,
  giveUpMs: number,
): Promise<readonly Row[]> {
  const { rows } = await retryTransient(() => query.execute(db), {
    ...retryPolicies.start,
    env: systemEnv,
    giveUpMs,
    onFailure() {},
  });
  return rows;
}

/** What nodes that were killed had claimed lies there until its lease is over and somebody tidies. */
export async function assertNothingIsLeft(database: Database, leaseMs: number): Promise<void> {
  await systemEnv.sleep(leaseMs);
  await new PostgresOutbox(database).tidy();
  const { rows } = await sql<Record<"messages" | "letters" | "lanes", number>>`
    select (select count(*) from outbox) as messages, (select count(*) from dead_letter) as letters,
      (select count(*) from lane) as lanes`.execute(database.db);
  assert.deepEqual({ ...rows[0] }, { messages: 0, letters: 0, lanes: 0 });
}

export interface ClusterOptions {
  readonly server: OwnPostgres;
  /** Of the test itself. */
  readonly db: Kysely<Tables>;
  readonly program: string;
  readonly nodes: number;
  readonly leaseMs: number;
  readonly pollMs: number;
}

/** However long it was away, a server that starts answers by then. */
const SERVER_MS_MAX = 15_000;

/** The nodes by their places. At each place one thing goes wrong at a time, and so at the server. */
export class StrickenCluster implements AsyncDisposable {
  readonly #options: ClusterOptions;
  readonly #nodes: RingProcess[] = [];
  /** The places that something goes wrong at, until they are whole again. */
  readonly #struck = new Map<number, Promise<void>>();
  /** When each fault was over, by the wall clock. */
  readonly calmAt: number[] = [];

  private constructor(options: ClusterOptions) {
    this.#options = options;
  }

  static async start(options: ClusterOptions): Promise<StrickenCluster> {
    const cluster = new StrickenCluster(options);
    const starting = Array.from({ length: options.nodes }, () => cluster.#started());
    cluster.#nodes.push(...await Promise.all(starting));
    return cluster;
  }

  /**
   * Resolves once it has begun at a node, or is over at the server. Of places in trouble it spares
   * the one meant, and takes the next.
   */
  async strike(fault: Fault): Promise<void> {
    if (!("node" in fault)) {
      await this.#strikeServer(fault);
      this.calmAt.push(systemEnv.now());
      return;
    }
    while (this.#struck.size === this.#options.nodes) await Promise.race(this.#struck.values());
    let place = fault.node;
    while (this.#struck.has(place)) place = (place + 1) % this.#options.nodes;
    const recovery = this.#recovery(place, fault).then(() => {
      this.calmAt.push(systemEnv.now());
      this.#struck.delete(place);
    });
    // Whoever waits for the place hears of it; until then it is nobody's.
    recovery.catch(() => {});
    this.#struck.set(place, recovery);
  }

  async recovered(): Promise<void> {
    await Promise.all(this.#struck.values());
  }

  async end(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.end()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#struck.values());
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
  }

  async #strikeServer(fault: ServerFault): Promise<void> {
    const { server, db } = this.#options;
    if (fault.is === "restart") return await server.restart(fault.mode, fault.downMs);
    const others = sql`backend_type = 'client backend' and pid <> pg_backend_pid()`;
    if (fault.is === "cut") {
      const cut = sql`select pg_terminate_backend(pid) from pg_stat_activity where ${others}`;
      return void await insist(db, cut, SERVER_MS_MAX);
    }
    const one = sql<{ pid: number }>`
      select pid from pg_stat_activity where ${others}
      order by state = 'active' desc, pid limit 1`;
    for (;;) {
      const [backend] = await insist(db, one, SERVER_MS_MAX);
      // Whose session was found may have died since.
      if (backend === undefined || await server.crashBackend(backend.pid)) return;
    }
  }

  async #recovery(place: number, fault: NodeFault): Promise<void> {
    const node = this.#nodes[place]!;
    if (fault.is === "freeze") {
      node.freeze();
      await systemEnv.sleep(fault.ms);
      return node.thaw();
    }
    await (fault.is === "crash" ? node.crash() : node.end());
    this.#nodes[place] = await this.#started();
  }

  async #started(): Promise<RingProcess> {
    const { server, leaseMs, pollMs, program } = this.#options;
    const variables: RingVariables = {
      DATABASE_URL: server.url,
      RELAY_LEASE_MS: String(leaseMs),
      RELAY_POLL_MS: String(pollMs),
    };
    return await RingProcess.start(variables, program);
  }
}
