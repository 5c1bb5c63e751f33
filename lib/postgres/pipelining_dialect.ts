/**
 * Kysely over a pool of sessions, pipelined: a plain query goes to the session with the least in
 * flight, behind what is there already. Only a transaction has a session to itself.
 *
 * The price: outside a transaction nothing pins a session, not even `db.connection()`, and a slow
 * query delays those that happen to be sent behind it.
 *
 * @module
 */
import {
  AbortedTransactionError,
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryCompiler,
  type QueryResult,
  sql,
  type TransactionSettings,
} from "kysely";
import type { Dependency } from "../resilience/dependency.ts";
import { isUnwritable } from "./breakers.ts";
import type { Stage } from "./faults.ts";
import type { Rows, Session } from "./session.ts";
import type { SessionPool } from "./session_pool.ts";

const CLOSE_TIMEOUT_MS = 5_000;

export interface TimeLimits {
  /** A statement without an answer costs its session. */
  readonly queryTimeoutMs: number;
  /** A transaction that takes longer is rolled back by dropping its session. */
  readonly transactionTimeoutMs: number;
  /** How long to wait for a session while transactions hold them all. */
  readonly acquireTimeoutMs: number;
}

export interface PipeliningDialectOptions {
  readonly pool: SessionPool;
  readonly limits: TimeLimits;
  /** Hears that nothing can be written, and refuses transactions while that is so. */
  readonly writing: Pick<Dependency, "refusal" | "failed">;
  /** All that comes this way writes, and is refused as well. */
  readonly writesOnly?: boolean;
  /** Goes around every query outside of a transaction, and may run it again: all of them read. */
  readonly around?: <Result>(query: () => Promise<Result>) => Promise<Result>;
}

export class PipeliningDialect implements Dialect {
  readonly #options: PipeliningDialectOptions;

  constructor(options: PipeliningDialectOptions) {
    this.#options = options;
  }

  createDriver(): Driver {
    return new PipeliningDriver(this.#options);
  }

  createQueryCompiler(): QueryCompiler {
    return new PostgresQueryCompiler();
  }

  createAdapter(): PostgresAdapter {
    return new TransactionLockingAdapter();
  }

  // deno-lint-ignore no-explicit-any -- as Kysely declares it
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new PostgresIntrospector(db);
  }
}

/** The key of Kysely's own migration lock, so that any migrator of Kysely's waits for ours. */
export const migrationLock = 3_853_314_791_062_309_107n;

/**
 * Ties the migration lock to the transaction of the migrations.
 *
 * Kysely's own lock belongs to a session, and here no session outlasts a statement: it would be
 * taken on one and released on another.
 */
class TransactionLockingAdapter extends PostgresAdapter {
  // deno-lint-ignore no-explicit-any -- as Kysely declares it
  override async acquireMigrationLock(db: Kysely<any>): Promise<void> {
    await sql`select pg_advisory_xact_lock(${migrationLock})`.execute(db);
  }

  // The end of the transaction releases it.
  override async releaseMigrationLock(): Promise<void> {}
}

class PipeliningDriver implements Driver {
  readonly #options: PipeliningDialectOptions;

  constructor(options: PipeliningDialectOptions) {
    this.#options = options;
  }

  async init(): Promise<void> {}

  /** A query that may be cancelled gets a session of its own, or its neighbours would suffer. */
  async acquireConnection(options?: { readonly signal?: AbortSignal }): Promise<PooledConnection> {
    const connection = new PooledConnection(this.#options);
    if (options?.signal !== undefined) await connection.reserve();
    return connection;
  }

  async beginTransaction(
    connection: PooledConnection,
    { isolationLevel, accessMode }: TransactionSettings,
  ): Promise<void> {
    const modes = [isolationLevel && `isolation level ${isolationLevel}`, accessMode];
    const settings = modes.filter((mode) => mode !== undefined).join(", ");
    if (accessMode !== "read only") connection.refuseUnwritable();
    await connection.begin(`begin ${settings}`);
  }

  async commitTransaction(connection: PooledConnection): Promise<void> {
    await connection.commit();
  }

  async rollbackTransaction(connection: PooledConnection): Promise<void> {
    await connection.rollback();
  }

  async savepoint(connection: PooledConnection, name: string): Promise<void> {
    await connection.control(`savepoint ${quoted(name)}`, "uncommitted");
  }

  async rollbackToSavepoint(connection: PooledConnection, name: string): Promise<void> {
    await connection.control(`rollback to savepoint ${quoted(name)}`, "uncommitted");
  }

  async releaseSavepoint(connection: PooledConnection, name: string): Promise<void> {
    await connection.control(`release savepoint ${quoted(name)}`, "uncommitted");
  }

  releaseConnection(connection: PooledConnection): Promise<void> {
    connection.release();
    return Promise.resolve();
  }

  async destroy(): Promise<void> {
    await this.#options.pool.close(CLOSE_TIMEOUT_MS);
  }
}

/** What Kysely holds while it runs something: the whole pool, or one session of it. */
class PooledConnection implements DatabaseConnection {
  readonly #pool: SessionPool;
  readonly #limits: TimeLimits;
  readonly #writing: PipeliningDialectOptions["writing"];
  readonly #writesOnly: boolean;
  readonly #around: PipeliningDialectOptions["around"];
  #session: Session | undefined;
  #timeLimit: ReturnType<typeof setTimeout> | undefined;

  constructor({ pool, limits, writing, writesOnly = false, around }: PipeliningDialectOptions) {
    this.#pool = pool;
    this.#limits = limits;
    this.#writing = writing;
    this.#writesOnly = writesOnly;
    this.#around = around;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const around = this.#session === undefined ? this.#around : undefined;
    return await (around?.(() => this.#execute<R>(query)) ?? this.#execute<R>(query));
  }

  async #execute<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { acquireTimeoutMs, queryTimeoutMs: timeoutMs } = this.#limits;
    if (this.#writesOnly) this.refuseUnwritable();
    const session = this.#session ?? this.#pool.shared() ??
      await this.#pool.sharedWithin(acquireTimeoutMs);
    const stage: Stage = this.#timeLimit === undefined ? "committing" : "uncommitted";
    return toQueryResult(await this.#run(session, sql, parameters, { stage, timeoutMs }));
  }

  refuseUnwritable(): void {
    const refusal = this.#writing.refusal();
    if (refusal !== undefined) throw refusal;
  }

  // deno-lint-ignore require-yield -- declared to be a generator
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("Cannot stream a query: read it in pages");
  }

  async reserve(): Promise<Session> {
    this.#session ??= await this.#pool.reserveWithin(this.#limits.acquireTimeoutMs);
    return this.#session;
  }

  async cancelQuery(): Promise<void> {
    await this.#session?.cancel();
  }

  async begin(statement: string): Promise<void> {
    const session = await this.reserve();
    const { transactionTimeoutMs } = this.#limits;
    this.#timeLimit = setTimeout(
      () => session.drop(`its transaction took longer than ${transactionTimeoutMs} ms`),
      transactionTimeoutMs,
    );
    await this.control(statement, "uncommitted");
  }

  async commit(): Promise<void> {
    const { command } = await this.control("commit", "committing");
    this.#clearTimeLimit();
    // Postgres answers so where a statement failed and nobody minded.
    if (command === "ROLLBACK") throw new AbortedTransactionError();
  }

  /** Never fails, or it would hide why the transaction did: a session that cannot is dropped. */
  async rollback(): Promise<void> {
    try {
      await this.control("rollback", "uncommitted");
    } catch {
      this.#session?.drop("it could not roll back");
    }
  }

  /** Sends a statement about the transaction that this connection is in. */
  async control(statement: string, stage: Stage): Promise<Rows> {
    const { queryTimeoutMs: timeoutMs } = this.#limits;
    return await this.#run(this.#session!, statement, [], { stage, timeoutMs });
  }

  async #run(session: Session, ...statement: Parameters<Session["run"]>): Promise<Rows> {
    try {
      return await session.run(...statement);
    } catch (fault) {
      if (isUnwritable(fault)) this.#writing.failed(fault);
      throw fault;
    }
  }

  release(): void {
    this.#clearTimeLimit();
    if (this.#session !== undefined) this.#pool.release(this.#session);
    this.#session = undefined;
  }

  #clearTimeLimit(): void {
    clearTimeout(this.#timeLimit);
    this.#timeLimit = undefined;
  }
}

const changing = new Set(["INSERT", "UPDATE", "DELETE", "MERGE"]);

function toQueryResult<R>(rows: Rows): QueryResult<R> {
  // A plain array, where the driver has one of its own class.
  const result = { rows: Array.from(rows) as R[] };
  if (!changing.has(rows.command)) return result;
  return { ...result, numAffectedRows: BigInt(rows.count ?? 0) };
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
