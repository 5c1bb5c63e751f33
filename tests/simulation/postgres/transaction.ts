/**
 * One transaction of a simulated Postgres: what it holds, and what it will have written.
 *
 * Nobody sees anything of it until it lands, all of it at one moment. What it changes it must have
 * locked before, or look at again in that moment.
 *
 * @module
 */
import type { Change } from "../../../lib/memory/streams.ts";
import { DatabaseError } from "./database_error.ts";
import type { SimulatedPostgres } from "./server.ts";

const LOCK_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 5_000;

export class Transaction {
  readonly #server: SimulatedPostgres;
  readonly client: string;
  /** What `now()` says in all its statements, by the clock of the database. */
  readonly now: number;
  /** Keys of the locks it holds. */
  readonly locks: string[] = [];
  readonly #landings: (() => void)[] = [];
  /** The changes of actors in it, for whoever checks them. */
  readonly changes: Change[] = [];
  #id: number | undefined;
  #statementEndsAt = Infinity;
  /** Since when nobody has asked it anything, in monotonic milliseconds. */
  idleSince = Infinity;
  isOver = false;

  constructor(server: SimulatedPostgres, client: string) {
    this.#server = server;
    this.client = client;
    this.now = server.now();
  }

  get id(): number | undefined {
    return this.#id;
  }

  get isWriting(): boolean {
    return this.#landings.length > 0;
  }

  /** Drawn when it first takes a row or writes one; readers of the feed wait for its end. */
  drawId(): number {
    if (this.#id === undefined) {
      this.#id = this.#server.statements.drawTransaction();
      this.#server.running.add(this.#id);
    }
    return this.#id;
  }

  beginStatement(): void {
    this.idleSince = Infinity;
    this.#statementEndsAt = this.#server.time.monotonic() + STATEMENT_TIMEOUT_MS;
  }

  /** Undefined where nobody has to wait for it. */
  lock(key: string): Promise<void> | undefined {
    if (this.#server.locks.tryTake(this, key)) return undefined;
    return this.#wait(key);
  }

  async #wait(key: string): Promise<void> {
    this.#server.note("lock wait");
    const leftMs = this.#statementEndsAt - this.#server.time.monotonic();
    const isLast = leftMs < LOCK_TIMEOUT_MS;
    const error = isLast
      ? new DatabaseError("57014", "canceling statement due to statement timeout")
      : new DatabaseError("55P03", "canceling statement due to lock timeout");
    const timeoutMs = Math.max(0, Math.min(leftMs, LOCK_TIMEOUT_MS));
    try {
      await this.#server.locks.wait(this, key, { timeoutMs, error });
    } catch (failure) {
      if (failure === error) this.#server.note("lock timeout");
      else if ((failure as DatabaseError).code === "40P01") this.#server.note("lock circle");
      throw failure;
    }
    if (this.isOver) throw new TransactionOver();
  }

  /** What it has written will be there from its commit on. */
  atCommit(landing: () => void): void {
    this.#landings.push(landing);
  }

  land(): void {
    for (const landing of this.#landings) landing();
    this.#end();
  }

  abort(): void {
    if (!this.isOver) this.#end();
  }

  #end(): void {
    this.isOver = true;
    if (this.#id !== undefined) this.#server.running.delete(this.#id);
    this.#server.locks.release(this, () => new TransactionOver());
    this.#server.open.delete(this);
  }
}

/** Its session has ended meanwhile: whoever still works on it need not go on. */
export class TransactionOver extends Error {
  override readonly name = "TransactionOver";
}
