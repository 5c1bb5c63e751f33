/**
 * A node's view of a simulated Postgres: the ports of the runtime, over connections of its own.
 *
 * @module
 */
import type { Env } from "../../../lib/env.ts";
import type { JobQueue } from "../../../lib/jobs/job_queue.ts";
import type { DeadLetters, Outbox } from "../../../lib/runtime/outbox.ts";
import type { ProjectionStore } from "../../../lib/runtime/projector.ts";
import type { Store } from "../../../lib/runtime/store.ts";
import { DatabaseError } from "./database_error.ts";
import { SimulatedDeadLetters } from "./dead_letters.ts";
import { SimulatedJobQueue } from "./job_queue.ts";
import { SimulatedOutbox } from "./outbox.ts";
import { type ReadModel, SimulatedProjectionStore } from "./projection_store.ts";
import type { SimulatedPostgres } from "./server.ts";
import { SessionPool } from "./session_pool.ts";
import { SimulatedStore } from "./store.ts";

const POOL_MAX = 8;
const COMMITTERS_MAX = 2;
const JOB_SESSIONS_MAX = 3;

export interface ClientOptions {
  /** The same for all incarnations of a node: chance follows it. */
  readonly name: string;
  /** The node's own timers, by which it waits for answers; the server's where it has none. */
  readonly env?: Pick<Env, "monotonic" | "sleep">;
  /**
   * Asked when an answer has come within a transaction: resolves once the node goes on, which may
   * have stopped for a while, or for good.
   */
  readonly resumed?: () => Promise<void>;
}

export class Client {
  readonly name: string;
  readonly store: Store;
  readonly outbox: Outbox;
  readonly deadLetters: DeadLetters;
  readonly jobs: JobQueue;
  readonly projections: ProjectionStore<ReadModel>;
  /** Nothing gets through before, in monotonic milliseconds. */
  holeUntil = -Infinity;
  readonly #server: SimulatedPostgres;
  readonly #options: ClientOptions;
  readonly #pools: readonly SessionPool[];

  constructor(server: SimulatedPostgres, options: ClientOptions) {
    this.name = options.name;
    this.#server = server;
    this.#options = options;
    const pool = (sessionsMax: number) => new SessionPool(server, this, sessionsMax);
    const [db, committer, relay, jobs] = [
      pool(POOL_MAX),
      pool(COMMITTERS_MAX),
      pool(1),
      pool(JOB_SESSIONS_MAX),
    ];
    this.#pools = [db, committer, relay, jobs];
    this.store = new SimulatedStore(server, { db, committer });
    this.outbox = new SimulatedOutbox(server, relay);
    this.deadLetters = new SimulatedDeadLetters(server, db);
    this.jobs = new SimulatedJobQueue(server, jobs);
    this.projections = new SimulatedProjectionStore(server, db);
  }

  monotonic(): number {
    return (this.#options.env ?? this.#server.time).monotonic();
  }

  async sleep(ms: number): Promise<void> {
    await (this.#options.env ?? this.#server.time).sleep(ms);
  }

  async resumed(): Promise<void> {
    await this.#options.resumed?.();
  }

  get isInHole(): boolean {
    return this.holeUntil > this.#server.time.monotonic();
  }

  /** For so long nothing gets through in either direction, and nobody is told. */
  blackHole(ms: number): void {
    this.#server.note("black hole");
    this.holeUntil = Math.max(this.holeUntil, this.#server.time.monotonic() + ms);
  }

  /** All its connections are reset. */
  cut(): void {
    this.#server.note("connection cut");
    const error = new DatabaseError("ECONNRESET", "connection reset by peer", "FATAL");
    for (const session of [...this.#server.sessions]) if (session.isOf(this)) session.cut(error);
  }

  /** The node is gone: the server goes on with what was sent, and answers to nobody. */
  vanish(): void {
    for (const pool of this.#pools) pool.drop("its process has ended");
  }
}
