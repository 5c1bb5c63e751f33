/**
 * The connections of one purpose that a node shares among its statements.
 *
 * @module
 */
import { TransientFault } from "../../../lib/fault.ts";
import type { Client } from "./client.ts";
import type { SimulatedPostgres } from "./server.ts";
import { Session, type Statement } from "./session.ts";
import type { Transaction } from "./transaction.ts";

/** How long a statement waits while transactions hold every connection. */
const ACQUIRE_TIMEOUT_MS = 1_000;

/** What goes on within one transaction, statement by statement. */
export interface Conversation {
  run<T>(statement: Statement<T>): Promise<T>;
}

export class SessionPool {
  readonly #server: SimulatedPostgres;
  readonly #client: Client;
  readonly #sessionsMax: number;
  readonly #free = new Set<Session>();
  readonly #reserved = new Set<Session>();
  readonly #waiters = new Set<() => boolean>();

  constructor(server: SimulatedPostgres, client: Client, sessionsMax: number) {
    this.#server = server;
    this.#client = client;
    this.#sessionsMax = sessionsMax;
  }

  /** A statement that commits by itself. */
  async run<T>(statement: Statement<T>): Promise<T> {
    const session = this.#shared() ?? await this.#wait(() => this.#shared());
    return await session.run(statement, "committing");
  }

  /** Rolled back if `converse` throws. */
  async transaction<T>(
    name: string,
    converse: (conversation: Conversation) => Promise<T>,
  ): Promise<T> {
    const session = this.#waiters.size === 0 && this.#reserve() ||
      await this.#wait(() => this.#reserve());
    const transaction = this.#server.begin(this.#client.name);
    try {
      const result = await converse({
        run: async (statement) => {
          const answer = await session.run(statement, "uncommitted", transaction);
          await this.#client.resumed();
          return answer;
        },
      });
      await session.run({ name: `commit ${name}`, run: () => () => {} }, "committing", transaction);
      return result;
    } catch (error) {
      this.#rollBack(session, transaction);
      throw error;
    } finally {
      this.#release(session);
    }
  }

  /** Leaves all of them as they are. */
  drop(reason: string): void {
    for (const session of [...this.#free, ...this.#reserved]) session.drop(reason);
  }

  #rollBack(session: Session, transaction: Transaction): void {
    if (transaction.isOver || session.hasEnded) return;
    if (this.#client.isInHole) session.drop("it could not roll back");
    else transaction.abort();
  }

  #shared(): Session | undefined {
    let least: Session | undefined;
    for (const session of this.#free) {
      if (session.load === 0) return session;
      if (least === undefined || session.load < least.load) least = session;
    }
    return this.#opened() ?? least;
  }

  #reserve(): Session | undefined {
    const session = this.#shared();
    if (session !== undefined) {
      this.#free.delete(session);
      this.#reserved.add(session);
    }
    return session;
  }

  #opened(): Session | undefined {
    if (this.#free.size + this.#reserved.size >= this.#sessionsMax) return undefined;
    const session = new Session(this.#server, this.#client, (ended) => this.#forget(ended));
    this.#free.add(session);
    return session;
  }

  #forget(session: Session): void {
    this.#free.delete(session);
    this.#reserved.delete(session);
    this.#serveWaiters();
  }

  #release(session: Session): void {
    if (!this.#reserved.delete(session)) return;
    this.#free.add(session);
    this.#serveWaiters();
  }

  #serveWaiters(): void {
    for (const isServed of this.#waiters) {
      if (!isServed()) return;
      this.#waiters.delete(isServed);
    }
  }

  #wait(acquire: () => Session | undefined): Promise<Session> {
    const { promise, resolve, reject } = Promise.withResolvers<Session>();
    const isServed = () => {
      const session = acquire();
      if (session !== undefined) resolve(session);
      return session !== undefined;
    };
    this.#waiters.add(isServed);
    void this.#client.sleep(ACQUIRE_TIMEOUT_MS).then(() => {
      if (!this.#waiters.delete(isServed)) return;
      this.#server.note("no connection free");
      reject(new TransientFault("Cannot query: transactions hold every connection"));
    });
    return promise;
  }
}
