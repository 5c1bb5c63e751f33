/**
 * The database of the service: a Postgres server, or the embedded one.
 *
 * @module
 */
import { Kysely, sql } from "kysely";
import { type Env, systemEnv } from "../env.ts";
import { TransientFault } from "../fault.ts";
import { Bulkhead } from "../resilience/bulkhead.ts";
import { retryPolicies, retryTransient } from "../resilience/retry.ts";
import { RetryBudget } from "../resilience/retry_budget.ts";
import { type Breakers, dropWhenLost, serverBreaker, writingBreaker } from "./breakers.ts";
import { type Durability, readDurability, unsafeSettings } from "./durability.ts";
import { EmbeddedDatabase, EngineEnded } from "./embedded.ts";
import { asRead } from "./faults.ts";
import { PipeliningDialect, type PipeliningDialectOptions } from "./pipelining_dialect.ts";
import { parseServerUrl, ServerEndpoint, type ServerUrl } from "./server.ts";
import type { Endpoint, SessionOptions } from "./session.ts";
import { SessionPool } from "./session_pool.ts";
import type { Tables } from "./tables.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 8_000;
const STATEMENT_TIMEOUT_MS = 5_000;
const LOCK_TIMEOUT_MS = 3_000;
const TRANSACTION_TIMEOUT_MS = 15_000;
const ACQUIRE_TIMEOUT_MS = 1_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
const MAINTENANCE_TIMEOUT_MS = 3_600_000;
const EMBEDDED_ACQUIRE_TIMEOUT_MS = 5_000;
const POOL_MAX = 8;
const COMMITTERS_MAX = 2;
const JOB_SESSIONS_MAX = 3;
/** One for each list that runs at a time, or one would wait behind another that is slow. */
const QUERY_SESSIONS_MAX = 3;
const QUERIES_WAITING_MAX = 200;
const QUERY_WAIT_MS = 500;
/** Statements in flight on one connection before others are turned away. */
const LOAD_MAX = 10_000;

export interface Limits {
  /** What Postgres itself allows one statement; it is then rolled back, which is certain. */
  readonly statementTimeoutMs?: number;
  /** What the client waits for any answer, to a COMMIT too; then nothing is certain. */
  readonly queryTimeoutMs?: number;
  readonly transactionTimeoutMs?: number;
  /** How long a query waits while transactions hold every connection. */
  readonly acquireTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  /** For the probing of what is lost. */
  readonly env?: Env;
}

export interface ServerOptions extends Limits {
  readonly url: string;
  /** Connections for queries and transactions. */
  readonly poolMax?: number;
  /** Connections for commits alone. */
  readonly committersMax?: number;
  /** Accepts a server that may lose what it has confirmed, such as one with `fsync=off`. */
  readonly allowUnsafe?: boolean;
  /**
   * The URL leads to a pooler that deals out connections by transaction, as PgBouncer may.
   * Statements are not prepared then, and the server's own time limits are those of the role.
   */
  readonly isTransactionPooled?: boolean;
}

export interface EmbeddedOptions extends Limits {
  /** Made where it does not exist; one process at a time may have it open. */
  readonly dataDir: string;
}

export interface MemoryOptions extends Limits {
  readonly memory: true;
}

export type DatabaseOptions = ServerOptions | EmbeddedOptions | MemoryOptions;

export interface Database extends AsyncDisposable {
  /** For queries and transactions. */
  readonly db: Kysely<Tables>;
  /** For the commits of the runtime alone. Embedded, it shares a session with `db`. */
  readonly committer: Kysely<Tables>;
  /** For the relay of the outbox alone. Embedded, as above. */
  readonly relay: Kysely<Tables>;
  /** For the queues of jobs alone. Embedded, as above. */
  readonly jobs: Kysely<Tables>;
  /**
   * For lists and the like, which only read and may be repeated. So many run and wait at a time, and
   * no more: however many are asked for, and however slow they are, they take nothing from others.
   */
  readonly queries: Kysely<Tables>;
  /** One connection without the usual time limits, for migrations and long reads. */
  readonly maintenance: Kysely<Tables>;
  readonly durability: Durability;
  /** All queries pass them. */
  readonly breakers: Breakers;
  readonly bulkheads: readonly Bulkhead[];
  /** Shared by all who try again what this database did not do. */
  readonly retries: RetryBudget;

  /** @throws {TransientFault} unless the database answers. */
  ping(): Promise<void>;
}

/** Nothing here is to be tried again: the database, or the way to it, has to be changed first. */
export class DatabaseUnusable extends Error {
  override readonly name = "DatabaseUnusable";
}

/**
 * Opens the database and reads what it promises to keep. Disposing it waits for what is in flight.
 *
 * @throws {DatabaseUnusable} when the URL, the credentials or the settings of a server are wrong,
 * or what is in the directory is no database.
 * @throws {DataDirectoryInUse} when another process has the directory open.
 * @throws {TransientFault} when a server cannot be reached.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  return "url" in options ? await openServer(options) : await openEmbedded(options);
}

async function openServer(options: ServerOptions): Promise<Database> {
  const url = serverUrl(options.url);
  const endpoint = new ServerEndpoint(url.address);
  await using opening = new AsyncDisposableStack();
  const { env = systemEnv } = options;
  const probing = sessionOptions(endpoint, url, options, {});
  const server = opening.use(serverBreaker({ env, session: probing }));
  const poolOf = (sessionsMax: number, limits: Limits, parameters: Parameters = {}) => {
    const session = { ...sessionOptions(endpoint, url, limits, parameters), server };
    return new SessionPool({ session, sessionsMax, loadMax: LOAD_MAX, server });
  };
  const shared = poolOf(options.poolMax ?? POOL_MAX, options);
  const commits = poolOf(options.committersMax ?? COMMITTERS_MAX, options, commitPlanning);
  const relaying = poolOf(1, options, relayPlanning);
  const working = poolOf(JOB_SESSIONS_MAX, options, jobPlanning);
  const reading = poolOf(QUERY_SESSIONS_MAX, options);
  dropWhenLost(server, [shared, commits, relaying, working, reading]);
  const writing = opening.use(writingBreaker(env, shared));
  const { retries, bulkhead, around } = queryPolicies(env);
  const open = (pool: SessionPool, limits: Limits = options) =>
    kysely({ pool, writing }, limits, opening);
  const openWriter = (pool: SessionPool) =>
    kysely({ pool, writing, writesOnly: true }, options, opening);
  const db = open(shared);
  const committer = openWriter(commits);
  const relay = openWriter(relaying);
  const jobs = openWriter(working);
  const queries = kysely({ pool: reading, writing, around }, options, opening);
  const slow = { ...options, ...unhurried };
  const maintenance = open(poolOf(1, slow), slow);
  const durability = await openingOf(url.name, readDurability(db, "server"));
  const unsafe = unsafeSettings(durability.settings);
  if (unsafe.length > 0 && !options.allowUnsafe) {
    throw new DatabaseUnusable(
      `Cannot use the database at ${url.name}: with ${unsafe.join(", ")} it may lose ` +
        "what it has confirmed",
    );
  }
  return database({
    db,
    committer,
    relay,
    jobs,
    queries,
    maintenance,
    durability,
    breakers: { server, writing },
    bulkheads: [bulkhead],
    retries,
  }, opening.move());
}

type Parameters = Readonly<Record<string, string>>;

/**
 * The commit statement is prepared while its tables are small, when a sequential scan looks
 * cheapest, and Postgres keeps such a plan as the tables grow. Every access that it needs has an
 * index.
 */
const commitPlanning = { enable_seqscan: "off" };

/**
 * A table that is empty whenever its statistics are taken looks as if it always were, and then any
 * plan looks good. To read it in the order of an index is never wrong here.
 */
const relayPlanning = { enable_seqscan: "off", enable_sort: "off" };

/** The same, and what a statement is given in JSON is looked up row by row. */
const jobPlanning = { ...relayPlanning, enable_hashjoin: "off", enable_mergejoin: "off" };

const unhurried = {
  statementTimeoutMs: 0,
  queryTimeoutMs: MAINTENANCE_TIMEOUT_MS,
  transactionTimeoutMs: MAINTENANCE_TIMEOUT_MS,
  acquireTimeoutMs: MAINTENANCE_TIMEOUT_MS,
};

async function openEmbedded(options: EmbeddedOptions | MemoryOptions): Promise<Database> {
  await using opening = new AsyncDisposableStack();
  const { env = systemEnv } = options;
  const embedded = opening.use(await openEngine(options));
  const probing = sessionOptions(embedded, embedded, options, {});
  const revive = () => embedded.revive();
  const server = opening.use(serverBreaker({ env, session: probing, revive }));
  const session = { ...probing, server };
  // One engine runs one statement at a time, and knows of one session.
  const pool = new SessionPool({ session, sessionsMax: 1, loadMax: LOAD_MAX, server });
  dropWhenLost(server, [pool]);
  const writing = opening.use(writingBreaker(env, pool));
  const acquireTimeoutMs = options.acquireTimeoutMs ?? EMBEDDED_ACQUIRE_TIMEOUT_MS;
  const limits = { ...options, acquireTimeoutMs };
  const db = kysely({ pool, writing }, limits, opening);
  const writer = kysely({ pool, writing, writesOnly: true }, limits, opening);
  const { retries, bulkhead, around } = queryPolicies(env);
  const queries = kysely({ pool, writing, around }, limits, opening);
  const maintenance = kysely({ pool, writing }, unhurried, opening);
  const durability = await readDurability(db, "memory" in options ? "memory" : "embedded");
  const writers = { committer: writer, relay: writer, jobs: writer };
  const policies = { breakers: { server, writing }, bulkheads: [bulkhead], retries };
  const parts = { db, ...writers, queries, maintenance, durability, ...policies };
  return database(parts, opening.move());
}

/** What stands around lists: a bulkhead, and within it another attempt. */
function queryPolicies(env: Env) {
  const retries = new RetryBudget(env);
  const bulkhead = new Bulkhead({
    name: "queries",
    env,
    runningMax: QUERY_SESSIONS_MAX,
    waitingMax: QUERIES_WAITING_MAX,
    waitMs: QUERY_WAIT_MS,
  });
  const retry = { ...retryPolicies.query, env, budget: retries, onFailure() {} };
  const around = <Result>(query: () => Promise<Result>) =>
    bulkhead.run(() => retryTransient(() => asRead(query()), retry));
  return { retries, bulkhead, around };
}

async function openEngine(options: EmbeddedOptions | MemoryOptions): Promise<EmbeddedDatabase> {
  try {
    return await EmbeddedDatabase.open(options);
  } catch (error) {
    if (!(error instanceof EngineEnded)) throw error;
    const place = "dataDir" in options ? options.dataDir : "memory";
    throw new DatabaseUnusable(`Cannot use the database in ${place}: ${error.message}`, {
      cause: error,
    });
  }
}

type Credentials = Pick<SessionOptions, "user" | "password" | "database" | "ssl">;

function sessionOptions(
  endpoint: Endpoint,
  { user, password, database, ssl }: Credentials,
  limits: Limits & Pick<ServerOptions, "isTransactionPooled">,
  parameters: Parameters,
): SessionOptions {
  const isTransactionPooled = limits.isTransactionPooled ?? false;
  return {
    endpoint,
    user,
    password,
    database,
    ssl,
    // A pooler refuses parameters that it cannot set anew for each transaction.
    parameters: isTransactionPooled ? named : { ...serverLimits(limits), ...parameters },
    usesPreparedStatements: !isTransactionPooled,
    connectTimeoutMs: limits.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
  };
}

const named = { application_name: "troupe" };

function serverLimits({ statementTimeoutMs = STATEMENT_TIMEOUT_MS }: Limits): Parameters {
  return {
    ...named,
    TimeZone: "UTC",
    // Compiling a plan pays for reports, not for statements of a millisecond.
    jit: "off",
    statement_timeout: String(statementTimeoutMs),
    lock_timeout: String(Math.min(statementTimeoutMs, LOCK_TIMEOUT_MS)),
    idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_TIMEOUT_MS),
    // A server that does not notice a dead client goes on holding the client's locks.
    client_connection_check_interval: "5s",
    tcp_keepalives_idle: "10",
    tcp_keepalives_interval: "5",
    tcp_keepalives_count: "3",
    tcp_user_timeout: "15s",
  };
}

function kysely(
  way: Omit<PipeliningDialectOptions, "limits">,
  limits: Limits,
  resources: AsyncDisposableStack,
): Kysely<Tables> {
  const dialect = new PipeliningDialect({
    ...way,
    limits: {
      queryTimeoutMs: limits.queryTimeoutMs ?? QUERY_TIMEOUT_MS,
      transactionTimeoutMs: limits.transactionTimeoutMs ?? TRANSACTION_TIMEOUT_MS,
      acquireTimeoutMs: limits.acquireTimeoutMs ?? ACQUIRE_TIMEOUT_MS,
    },
  });
  return resources.adopt(new Kysely<Tables>({ dialect }), (db) => db.destroy());
}

function database(
  parts: Omit<Database, "ping" | typeof Symbol.asyncDispose>,
  resources: AsyncDisposableStack,
): Database {
  return {
    ...parts,
    ping: async () => void await sql`select 1`.execute(parts.db),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function serverUrl(url: string): ServerUrl {
  try {
    return parseServerUrl(url);
  } catch (error) {
    throw new DatabaseUnusable(`Cannot use the database: ${(error as Error).message}`);
  }
}

/** Says of a failure at the start where it was, and whether to try again makes sense. */
async function openingOf<T>(name: string, opened: Promise<T>): Promise<T> {
  try {
    return await opened;
  } catch (error) {
    const cause = error instanceof TransientFault ? error.cause : error;
    const message = `Cannot use the database at ${name}: ${(cause as Error).message}`;
    if (error instanceof TransientFault && !isMisconfigured(cause)) {
      throw new TransientFault(message, { cause });
    }
    throw new DatabaseUnusable(message, { cause });
  }
}

/** A running service sits such a change out; at the start it is a mistake in the configuration. */
function isMisconfigured(cause: unknown): boolean {
  const { code } = cause as { readonly code?: string };
  return code === "3D000" || code?.startsWith("28") === true;
}
