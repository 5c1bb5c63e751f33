/**
 * One connection to Postgres, over which the statements of many callers are pipelined.
 *
 * A session never reconnects. When it is lost, or does not answer in time, it ends with all that
 * was in flight on it, and its pool opens another.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import postgres from "postgres";
import { TransientFault } from "../fault.ts";
import type { Dependency } from "../resilience/dependency.ts";
import { type Stage, toFault } from "./faults.ts";
import { parsers, toParameter } from "./values.ts";

/** Statements on their way to the server at once; the others wait on this side. */
const PIPELINE_MAX = 100;

/** Where sessions lead to: a server, or the embedded database. */
export interface Endpoint {
  /** A socket that may still be connecting. */
  connect(): Duplex;
  /** Asks for the end of what a backend is running, if it still is; never fails. */
  cancel(backend: Backend): Promise<void>;
}

export interface Backend {
  readonly pid: number;
  readonly secret: number;
}

export interface SessionOptions {
  readonly endpoint: Endpoint;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl: false | "prefer" | "require" | "verify-full";
  /** Run-time parameters of Postgres, sent at connection. */
  readonly parameters: Readonly<Record<string, string>>;
  /** False behind a pooler that deals out connections by transaction. */
  readonly usesPreparedStatements: boolean;
  readonly connectTimeoutMs: number;
  /**
   * Hears of every answer; and, once for a session, that none could be had: it was never opened, or
   * has fallen silent. A session that is cut says nothing of the server.
   */
  readonly server?: Pick<Dependency, "succeeded" | "failed">;
}

/** The rows of a result, and what Postgres says it did. */
export interface Rows extends Array<Record<string, unknown>> {
  readonly command: string;
  readonly count: number | null;
}

interface InFlight {
  readonly query: SentQuery;
  readonly stage: Stage;
  readonly timeoutMs: number;
  readonly deadline: number;
  readonly reject: (fault: unknown) => void;
  /** Committed here, but perhaps not on the standby that was to confirm it. */
  isInDoubt: boolean;
}

/** What the driver's query knows beyond its declared type: its backend, once it is sent. */
type SentQuery = postgres.PendingQuery<postgres.Row[]> & { readonly state: Backend | null };

export class Session {
  readonly #options: SessionOptions;
  readonly #onEnd: (session: Session) => void;
  readonly #sql: postgres.Sql;
  readonly #inFlight = new Set<InFlight>();
  readonly openedAt = performance.now();
  #socket: Duplex | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #finished: Promise<void> | undefined;
  #hasAnswered = false;
  /** Why it could not be opened, as far as the driver has said. */
  #refusal: unknown;

  /** `onEnd` is called once, when the session can take no more statements. */
  constructor(options: SessionOptions, onEnd: (session: Session) => void) {
    this.#options = options;
    this.#onEnd = onEnd;
    this.#sql = postgres(this.#driverOptions());
  }

  /** How many statements are in flight. */
  get load(): number {
    return this.#inFlight.size;
  }

  get hasEnded(): boolean {
    return this.#finished !== undefined;
  }

  /**
   * Sends a statement behind those in flight. `stage` is what it will be once sent; after
   * `timeoutMs` without an answer the whole session is dropped, and a COMMIT is no exception.
   *
   * @throws {TransientFault | PoisonFault} as `faults.ts` says.
   */
  async run(
    text: string,
    parameters: readonly unknown[],
    { stage, timeoutMs }: { readonly stage: Stage; readonly timeoutMs: number },
  ): Promise<Rows> {
    if (this.hasEnded) throw toFault(new SessionEnded("it was lost before"), "unsent");
    const query = this.#sql.unsafe(text, parameters.map(toParameter) as string[], {
      prepare: this.#options.usesPreparedStatements,
      // The simple protocol would take several statements at once; PGlite and a prepared
      // statement would not, so nobody may.
      simple: false,
    } as postgres.UnsafeQueryOptions) as SentQuery;
    return await this.#answer(query, stage, timeoutMs);
  }

  #answer(query: SentQuery, stage: Stage, timeoutMs: number): Promise<Rows> {
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + timeoutMs;
      const sent: InFlight = { query, stage, timeoutMs, deadline, reject, isInDoubt: false };
      this.#inFlight.add(sent);
      if (deadline < this.#timerAt) this.#watch(deadline);
      query.then((rows) => {
        this.#inFlight.delete(sent);
        this.#answered();
        if (sent.isInDoubt) reject(notReplicated());
        else resolve(rows as unknown as Rows);
      }, (error) => {
        this.#inFlight.delete(sent);
        const fault = toFault(error, stageOf(sent));
        if (isAnswer(error, sent)) this.#answered();
        else this.#refusal = fault;
        reject(fault);
      });
    });
  }

  #answered(): void {
    this.#hasAnswered = true;
    this.#options.server?.succeeded();
  }

  /** Stops what is running. Whoever uses this has the session to itself. */
  async cancel(): Promise<void> {
    const [sent] = this.#inFlight;
    if (sent === undefined) return;
    if (sent.query.state === null) this.drop("cancelled while connecting");
    else await this.#options.endpoint.cancel(sent.query.state);
  }

  /** Ends the session at once. What was sent and not answered may or may not have happened. */
  drop(reason: string): void {
    if (this.hasEnded) return;
    this.#end(0, { isWanted: true });
    this.#giveUp(reason);
  }

  /** Takes nothing more, waits for what is in flight, then disconnects; never hangs. */
  async close(timeoutMs: number): Promise<void> {
    if (!this.hasEnded) this.#end(timeoutMs, { isWanted: true });
    await this.#finished;
  }

  #end(timeoutMs: number, end: { readonly isWanted: boolean }): void {
    this.#finished = this.#disconnect(timeoutMs, end);
    this.#onEnd(this);
  }

  async #disconnect(
    timeoutMs: number,
    { isWanted }: { readonly isWanted: boolean },
  ): Promise<void> {
    if (timeoutMs === 0) this.#socket?.destroy();
    await this.#sql.end({ timeout: timeoutMs / 1_000 });
    // The driver forgets about statements that it had not sent yet.
    this.#giveUp("it was lost");
    if (!isWanted && !this.#hasAnswered) {
      const error = this.#refusal ?? new SessionEnded("it was never open");
      this.#options.server?.failed(error, performance.now() - this.openedAt);
    }
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket === undefined || socket.closed) return;
    await new Promise((resolve) => socket.once("close", resolve).destroy());
  }

  #giveUp(reason: string): void {
    const error = new SessionEnded(reason);
    for (const sent of this.#inFlight) sent.reject(toFault(error, stageOf(sent)));
    this.#inFlight.clear();
  }

  // A timer per statement would cost more than the rest of its way through here. One timer for
  // all of them is set to the earliest deadline, and looks again when that statement is long done.
  #watch(deadline: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    this.#timer = setTimeout(() => this.#expire(), Math.max(0, deadline - performance.now()))
      .unref();
  }

  #expire(): void {
    this.#timerAt = Infinity;
    let earliest: InFlight | undefined;
    for (const sent of this.#inFlight) {
      if (earliest === undefined || sent.deadline < earliest.deadline) earliest = sent;
    }
    if (earliest === undefined) return;
    if (earliest.deadline > performance.now()) return this.#watch(earliest.deadline);
    const reason = `no answer within ${earliest.timeoutMs} ms`;
    this.#options.server?.failed(new SessionEnded(reason), earliest.timeoutMs);
    this.drop(reason);
  }

  // Everything is said explicitly, so that no PG… variable of the environment changes it.
  #driverOptions(): postgres.Options<Record<string, postgres.PostgresType>> {
    const { user, password, database, ssl, parameters } = this.#options;
    return {
      // The socket leads elsewhere; these two only stop the driver from looking for defaults.
      host: "endpoint",
      port: 5432,
      user,
      pass: () => password,
      database,
      ssl,
      // More than one would be pooled by the driver, which cannot drop just one of them.
      max: 1,
      socket: () => this.#connectOnce(),
      sslnegotiation: null,
      target_session_attrs: null,
      publications: "",
      connect_timeout: this.#options.connectTimeoutMs / 1_000,
      connection: parameters,
      types: driverTypes,
      fetch_types: false,
      idle_timeout: null,
      max_lifetime: null,
      prepare: true,
      max_pipeline: PIPELINE_MAX,
      keep_alive: 0,
      backoff: false,
      debug: false,
      onclose: () => this.hasEnded || this.#end(0, { isWanted: false }),
      onnotice: (notice: postgres.Notice) => this.#hear(notice),
    } as unknown as postgres.Options<Record<string, postgres.PostgresType>>;
  }

  #connectOnce(): Duplex {
    if (this.#socket === undefined && !this.hasEnded) {
      try {
        return this.#socket = this.#options.endpoint.connect();
      } catch (error) {
        // The driver would keep what is asked of it next, and never connect again.
        this.#end(0, { isWanted: false });
        throw error;
      }
    }
    // A connection that is lost before it is ready is lost without `onclose`: the driver just
    // connects anew.
    if (!this.hasEnded) this.#end(0, { isWanted: false });
    throw new SessionEnded("it was lost");
  }

  /** Notices are not printed. One of them says that a commit is less safe than it was to be. */
  #hear({ routine }: postgres.Notice): void {
    if (routine !== "SyncRepWaitForLSN") return;
    for (const sent of this.#inFlight) sent.isInDoubt = true;
  }
}

class SessionEnded extends Error {
  override readonly name = "SessionEnded";
  readonly code = "CONNECTION_CLOSED";

  constructor(why: string) {
    super(`The connection has ended: ${why}`);
  }
}

/** Whether the server itself has said no to a statement, and goes on. */
function isAnswer(error: { readonly severity?: string }, { query }: InFlight): boolean {
  return query.state !== null && error.severity === "ERROR";
}

function stageOf({ query, stage }: InFlight): Stage {
  return query.state === null ? "unsent" : stage;
}

function notReplicated(): TransientFault {
  return new TransientFault("Committed, but no standby has confirmed it", { outcome: "unknown" });
}

const asIs = (text: string) => text;

/** Both without a time zone, so neither is an instant, which the driver would take them for. */
const dateAndTimestamp = [1082, 1114];

/** `values.ts` has turned parameters into text already; the driver must leave them alone. */
const driverTypes: Record<string, postgres.PostgresType> = Object.fromEntries(
  [...dateAndTimestamp, ...Object.keys(parsers).map(Number)].map((oid) => [
    `type${oid}`,
    { to: oid, from: [oid], serialize: asIs, parse: parsers[oid] ?? asIs },
  ]),
);
