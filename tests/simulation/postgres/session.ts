/**
 * A connection to a simulated Postgres. What is sent on it is done in its order.
 *
 * Either end may lose it by itself: the client when it has waited too long, while the server goes on
 * with what it was sent; the server when it stops, while the client does not know how far it came.
 *
 * @module
 */
import { type Stage, toFault } from "../../../lib/postgres/faults.ts";
import type { Client } from "./client.ts";
import { DatabaseError } from "./database_error.ts";
import type { Draws } from "./draws.ts";
import {
  type CommitMishap,
  isCommitMishap,
  isStatementError,
  type Span,
  statementErrors,
} from "./fault_plan.ts";
import type { SimulatedPostgres } from "./server.ts";
import { type Transaction, TransactionOver } from "./transaction.ts";

/** What a client waits for any answer, to a COMMIT too. */
const QUERY_TIMEOUT_MS = 8_000;

export interface Statement<T> {
  readonly name: string;
  /**
   * What it does once it has arrived: takes locks, draws numbers, and notes what lands at the commit.
   * What it gives back is asked after that, or at once within a transaction of several statements.
   */
  run(transaction: Transaction): (() => T) | Promise<() => T>;
  /** What it writes, where the server may have something against it. */
  content?(): unknown;
}

/** A statement on its way, until it is answered. */
interface Exchange {
  readonly statement: Statement<unknown>;
  readonly stage: Stage;
  /** Of several statements; by itself, a statement has its own. */
  readonly within: Transaction | undefined;
  readonly draws: Draws;
  readonly deadline: number;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (fault: unknown) => void;
}

export class Session {
  readonly #server: SimulatedPostgres;
  readonly #client: Client;
  readonly #onEnd: (session: Session) => void;
  readonly #queue: Exchange[] = [];
  /** Not answered yet, the oldest first. */
  readonly #inFlight = new Set<Exchange>();
  #isConnected = false;
  #isServing = false;
  #isWatching = false;
  /** The client is done with it. */
  #hasEnded = false;
  /** The server is. */
  #isCut = false;
  /** Of several statements; it waits for the next. */
  #idle: Transaction | undefined;

  constructor(server: SimulatedPostgres, client: Client, onEnd: (session: Session) => void) {
    this.#server = server;
    this.#client = client;
    this.#onEnd = onEnd;
    server.sessions.add(this);
  }

  get load(): number {
    return this.#inFlight.size;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  isOf(client: Client): boolean {
    return this.#client === client;
  }

  run<T>(statement: Statement<T>, stage: Stage, within?: Transaction): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (this.#hasEnded) {
      reject(toFault(new DatabaseError("CONNECTION_CLOSED", "it was lost before"), "unsent"));
      return promise;
    }
    const exchange: Exchange = {
      statement,
      stage,
      within,
      draws: this.#server.drawsFor(this.#client.name, statement.name),
      deadline: this.#client.monotonic() + QUERY_TIMEOUT_MS,
      resolve: resolve as (answer: unknown) => void,
      reject,
    };
    this.#inFlight.add(exchange);
    this.#queue.push(exchange);
    if (!this.#isServing) void this.#serve();
    if (!this.#isWatching) void this.#watch();
    return promise;
  }

  /** The client ends it: what was sent goes on, and is answered to nobody. */
  drop(reason: string): void {
    this.#end(new DatabaseError("CONNECTION_CLOSED", `The connection has ended: ${reason}`));
    // Through a black hole the server does not hear of it.
    if (!this.#client.isInHole) this.#idle?.abort();
    if (!this.#isServing) this.#leave();
  }

  /** It is lost for both: what has arrived by itself goes on, and is answered to nobody. */
  cut(error: DatabaseError): void {
    this.#isCut = true;
    this.#idle?.abort();
    this.#leave();
    this.#end(error);
  }

  #end(error: DatabaseError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const { stage, reject } of this.#inFlight) {
      reject(toFault(error, this.#isConnected ? stage : "unsent"));
    }
    this.#inFlight.clear();
    this.#onEnd(this);
  }

  #leave(): void {
    this.#server.sessions.delete(this);
  }

  /** One timer looks after all; the oldest is the first to have waited too long. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    for (;;) {
      const [oldest] = this.#inFlight;
      if (oldest === undefined) break;
      const leftMs = oldest.deadline - this.#client.monotonic();
      if (leftMs > 0) await this.#client.sleep(leftMs);
      else {
        this.#server.note("no answer in time");
        this.drop(`no answer within ${QUERY_TIMEOUT_MS} ms`);
      }
    }
    this.#isWatching = false;
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    if (!this.#isConnected) await this.#connect();
    let exchange: Exchange | undefined;
    while (!this.#isCut && (exchange = this.#queue.shift()) !== undefined) {
      await this.#perform(exchange);
    }
    this.#isServing = false;
    if (this.#hasEnded) this.#leave();
  }

  async #connect(): Promise<void> {
    const { pace, faults } = this.#server;
    const draws = this.#server.drawsFor(this.#client.name, "connect");
    await this.#travel(pace.connectMs, draws);
    // Whoever gave up on the connection has sent nothing on it.
    if (this.#hasEnded) {
      this.#queue.length = 0;
      return;
    }
    if (this.#server.isDown) {
      this.#server.note("connection refused");
      const { code, message } = draws.next() < 0.5
        ? { code: "57P03", message: "the database system is starting up" }
        : { code: "ECONNREFUSED", message: "connection refused" };
      this.cut(new DatabaseError(code, message, "FATAL"));
    } else if (draws.next() < faults.tooManyConnections) {
      this.#server.note("too many connections");
      this.cut(new DatabaseError("53300", "sorry, too many clients already", "FATAL"));
    }
    this.#isConnected = true;
  }

  async #perform(exchange: Exchange): Promise<void> {
    const { statement, draws, within } = exchange;
    const { pace } = this.#server;
    const request = this.#travel(pace.requestMs, draws);
    if (request !== undefined) await request;
    if (this.#isCut) return;
    const transaction = within ?? this.#server.begin(this.#client.name);
    this.#idle = undefined;
    try {
      if (transaction.isOver) throw idleTooLong();
      transaction.beginStatement();
      if (this.#server.faults.stalls > 0) await this.#stall(draws);
      if (transaction.isOver) throw new TransactionOver();
      this.#meddle(exchange);
      const ran = statement.run(transaction);
      const answer = ran instanceof Promise ? await ran : ran;
      if (exchange.stage === "committing" && transaction.isWriting) {
        await this.#commit(exchange, transaction);
      } else if (exchange.stage === "committing") transaction.abort();
      if (!this.#isCut) this.#reply(exchange, answer());
    } catch (error) {
      transaction.abort();
      this.#refuse(exchange, error);
    }
    this.#rest(transaction);
  }

  /** Between its statements a transaction waits for its client, which may be gone. */
  #rest(transaction: Transaction): void {
    if (transaction.isOver) return;
    if (this.#hasEnded) return transaction.abort();
    this.#idle = transaction;
    transaction.idleSince = this.#server.time.monotonic();
    this.#server.watchIdle();
  }

  async #stall(draws: Draws): Promise<void> {
    const { stalls, stallMs } = this.#server.faults;
    if (draws.next() >= stalls) return;
    this.#server.note("stall");
    await this.#server.time.sleep(draws.within(stallMs));
  }

  /** @throws {DatabaseError} where the plan has something against the statement. */
  #meddle({ draws, statement }: Exchange): void {
    const { errors, refused } = this.#server.faults;
    const chance = draws.among(errors);
    const error = isStatementError(draws.strike) ? draws.strike : chance;
    if (error !== undefined) {
      this.#server.note(error);
      const severity = error === "terminated" ? "FATAL" : "ERROR";
      throw new DatabaseError(statementErrors[error], error, severity);
    }
    if (refused === undefined) return;
    if (!JSON.stringify(statement.content?.() ?? null).includes(refused)) return;
    this.#server.note("refused content");
    throw new DatabaseError("23514", "new row violates a check constraint");
  }

  /** Resolves once it is there. */
  async #commit({ draws, statement }: Exchange, transaction: Transaction): Promise<void> {
    const { pace, faults, time } = this.#server;
    const chance = draws.among(faults.commits);
    const mishap = isCommitMishap(draws.strike) ? draws.strike : chance;
    const flush = this.#wait(pace.commitMs, draws);
    if (flush !== undefined) await flush;
    if (transaction.isOver) throw new TransactionOver();
    if (mishap !== undefined) this.#server.note(mishap);
    if (mishap?.startsWith("hung")) {
      await time.sleep(QUERY_TIMEOUT_MS + draws.within([0, 2_000]));
      if (transaction.isOver) throw new TransactionOver();
    }
    if (isThere(mishap)) this.#server.land(transaction, statement.name);
    switch (mishap) {
      case "failed commit":
        throw new DatabaseError("58030", "could not write to the log");
      case "hung, then rolled back":
        throw new DatabaseError("58030", "could not write to the log");
      case "lost reply":
        return this.cut(new DatabaseError("ECONNRESET", "connection reset by peer", "FATAL"));
      case "panic, though committed":
      case "panic, rolled back":
        this.cut(new DatabaseError("58030", "could not fsync the log", "PANIC"));
        return this.#server.restart(draws.within(faults.panicMs));
    }
  }

  #reply(exchange: Exchange, answer: unknown): void {
    const travel = this.#travel(this.#server.pace.replyMs, exchange.draws);
    if (travel === undefined) this.#answer(exchange, answer);
    else void travel.then(() => this.#answer(exchange, answer));
  }

  #answer(exchange: Exchange, answer: unknown): void {
    if (this.#inFlight.delete(exchange)) exchange.resolve(answer);
  }

  #refuse(exchange: Exchange, error: unknown): void {
    if (error instanceof TransactionOver) return;
    if (error instanceof DatabaseError && error.severity !== "ERROR") return this.cut(error);
    const travel = this.#travel(this.#server.pace.replyMs, exchange.draws);
    const refuse = () => {
      if (this.#inFlight.delete(exchange)) exchange.reject(toFault(error, exchange.stage));
    };
    if (travel === undefined) refuse();
    else void travel.then(refuse);
  }

  /** Undefined if it takes no time. */
  #travel(span: Span, draws: Draws): Promise<void> | undefined {
    if (this.#client.holeUntil <= this.#server.time.monotonic()) return this.#wait(span, draws);
    return this.#travelThroughHole(span, draws);
  }

  /** What was sent into a black hole is sent again until it gets through. */
  async #travelThroughHole(span: Span, draws: Draws): Promise<void> {
    const { time } = this.#server;
    while (this.#client.holeUntil > time.monotonic()) {
      await time.sleep(this.#client.holeUntil - time.monotonic());
    }
    await this.#wait(span, draws);
  }

  #wait(span: Span, draws: Draws): Promise<void> | undefined {
    const ms = draws.within(span);
    return ms > 0 ? this.#server.time.sleep(ms) : undefined;
  }
}

function isThere(mishap: CommitMishap | undefined): boolean {
  return mishap === undefined || mishap === "lost reply" || mishap === "hung, then committed" ||
    mishap === "panic, though committed";
}

function idleTooLong(): DatabaseError {
  return new DatabaseError(
    "25P03",
    "terminating connection due to idle-in-transaction timeout",
    "FATAL",
  );
}
