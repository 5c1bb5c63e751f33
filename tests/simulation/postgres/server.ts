/**
 * A Postgres server in virtual time, with the behaviours that are easily forgotten: ids and positions
 * that are drawn before others can see what they stand for, rows that others wait for, commits whose
 * outcome nobody hears of, restarts, and a clock of its own.
 *
 * It keeps what `lib/memory` keeps, by the same rules. What it adds is when: a statement travels,
 * waits for locks, and lands as a whole some time after it was judged.
 *
 * @module
 */
import type { Env } from "../../../lib/env.ts";
import type { Change } from "../../../lib/memory/streams.ts";
import { Statements } from "../../../lib/memory/statements.ts";
import { Client, type ClientOptions } from "./client.ts";
import { DatabaseError } from "./database_error.ts";
import { Draws, hashOf } from "./draws.ts";
import {
  type CommitMishap,
  type FaultPlan,
  noFaults,
  type Occurrence,
  type Pace,
  type StatementError,
  usualPace,
} from "./fault_plan.ts";
import { Locks } from "./locks.ts";
import { emptyServerTables, type ServerTables, setTables } from "./server_tables.ts";
import type { Session } from "./session.ts";
import { Transaction } from "./transaction.ts";

/** The server ends a transaction that nobody has asked anything for so long (25P03). */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
const IDLE_LOOK_MS = 2_500;

export type ServerTime = Pick<Env, "now" | "monotonic" | "sleep">;

/** What has just become visible to everybody. */
export interface Landed {
  /** Undefined for what needs no id, as it is in no feed. */
  readonly transaction: number | undefined;
  readonly client: string;
  readonly statement: string;
  /** Of actors. */
  readonly changes: readonly Change[];
}

export interface ServerOptions {
  /** True time, which nobody can read but the world: `now` and `sleep` of a perfect clock. */
  readonly time: ServerTime;
  readonly seed: number;
  readonly faults?: FaultPlan;
  readonly pace?: Pace;
  /** Of so many commits a failover can lose the last ones. Each costs a copy of all tables. */
  readonly commitsKept?: number;
  /**
   * What befalls the `nth` statement of that name by that client, from 1: for faults that are to strike
   * at one place. Statements that strike a commit do so only if they write something.
   */
  readonly strike?: (
    client: string,
    statement: string,
    nth: number,
  ) => StatementError | CommitMishap | undefined;
  /** Called in the moment in which something has become visible. */
  readonly onCommit?: (landed: Landed) => void;
}

export class SimulatedPostgres {
  readonly time: ServerTime;
  readonly pace: Pace;
  readonly tables: ServerTables = emptyServerTables();
  readonly statements = new Statements(this.tables);
  readonly locks: Locks;
  /** Ids of transactions that have not ended, the lowest first. */
  readonly running = new Set<number>();
  /** All transactions that have not ended. */
  readonly open = new Set<Transaction>();
  readonly sessions = new Set<Session>();
  /** How often each came about. */
  readonly occurred = new Map<Occurrence, number>();
  /** What goes wrong from now on. */
  faults: FaultPlan;
  readonly #options: ServerOptions;
  readonly #counts = new Map<string, { readonly seed: number; count: number }>();
  readonly #kept: ServerTables[] = [];
  #clockOffsetMs = 0;
  #downUntil = -Infinity;
  #highest = 0;
  #isWatching = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.time = options.time;
    this.pace = options.pace ?? usualPace;
    this.faults = options.faults ?? noFaults;
    this.locks = new Locks(options.time, new Draws(hashOf("locks", options.seed)));
  }

  /** Whoever has this has the ports; one for each incarnation of a node. */
  connect(options: ClientOptions): Client {
    return new Client(this, options);
  }

  /** By the clock of the database. */
  now(): number {
    return this.time.now() + this.#clockOffsetMs;
  }

  get isDown(): boolean {
    return this.time.monotonic() < this.#downUntil;
  }

  note(occurrence: Occurrence): void {
    this.occurred.set(occurrence, (this.occurred.get(occurrence) ?? 0) + 1);
  }

  /** The chance of the next statement of that name, and what is planned for it. */
  drawsFor(client: string, statement: string): Draws {
    const name = `${client} ${statement}`;
    let count = this.#counts.get(name);
    if (count === undefined) {
      count = { seed: hashOf(name, this.#options.seed), count: 0 };
      this.#counts.set(name, count);
    }
    return new Draws(
      count.seed + Math.imul(++count.count, 0x9e3779b1),
      this.#options.strike?.(client, statement, count.count),
    );
  }

  begin(client: string): Transaction {
    const transaction = new Transaction(this, client);
    this.open.add(transaction);
    return transaction;
  }

  /** Readers of the feed see what comes before this transaction. */
  horizon(): number {
    const next = this.tables.drawn.transaction + 1;
    for (const oldest of this.running) {
      if (oldest < this.#highest) this.note("horizon held back");
      return oldest;
    }
    return next;
  }

  land(transaction: Transaction, statement: string): void {
    const { commitsKept = 0, onCommit } = this.#options;
    if (commitsKept > 0) {
      this.#kept.push(structuredClone(this.tables));
      if (this.#kept.length > commitsKept) this.#kept.shift();
    }
    const { id, client, changes } = transaction;
    if (id !== undefined && id < this.#highest) this.note("commit out of order");
    this.#highest = Math.max(this.#highest, id ?? 0);
    transaction.land();
    onCommit?.({ transaction: id, client, statement, changes });
  }

  /** The clock of the database jumps; no other does. */
  moveClock(ms: number): void {
    this.note("clock jump");
    this.#clockOffsetMs += ms;
  }

  /** All connections end, nothing that was not committed is left, and for so long nobody gets in. */
  restart(downMs: number): void {
    this.note("restart");
    this.#stop(downMs);
  }

  /** Another server takes over that never heard of the last commits. */
  failOver(
    { commitsLost, downMs }: { readonly commitsLost: number; readonly downMs: number },
  ): void {
    if (commitsLost > this.#kept.length) {
      throw new RangeError(`Cannot lose ${commitsLost} commits: ${this.#kept.length} are kept`);
    }
    this.note("failover");
    this.#stop(downMs);
    if (commitsLost === 0) return;
    setTables(this.tables, this.#kept.at(-commitsLost)!);
    this.#kept.length -= commitsLost;
  }

  #stop(downMs: number): void {
    this.#downUntil = Math.max(this.#downUntil, this.time.monotonic() + downMs);
    for (const transaction of [...this.open]) transaction.abort();
    const error = new DatabaseError(
      "57P01",
      "terminating connection due to administrator command",
      "FATAL",
    );
    for (const session of [...this.sessions]) session.cut(error);
  }

  /** Ends what clients leave open, for as long as there is something. */
  watchIdle(): void {
    if (!this.#isWatching) void this.#watch();
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    for (;;) {
      await this.time.sleep(IDLE_LOOK_MS);
      let left = 0;
      for (const transaction of [...this.open]) {
        if (transaction.idleSince === Infinity) continue;
        const isOld =
          this.time.monotonic() - transaction.idleSince >= IDLE_IN_TRANSACTION_TIMEOUT_MS;
        if (!isOld) left++;
        else {
          this.note("idle transaction ended");
          transaction.abort();
        }
      }
      if (left === 0) break;
    }
    this.#isWatching = false;
  }
}
