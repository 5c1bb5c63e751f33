/**
 * The sessions to one database that its queries share.
 *
 * @module
 */
import { TransientFault } from "../fault.ts";
import type { Dependency } from "../resilience/dependency.ts";
import { Session, type SessionOptions } from "./session.ts";

/** An older session is replaced when it is idle: backends grow, and addresses change. */
const SESSION_AGE_MAX_MS = 30 * 60_000;

export interface SessionPoolOptions {
  readonly session: SessionOptions;
  readonly sessionsMax: number;
  /** Statements that may be in flight on one session before others are turned away. */
  readonly loadMax: number;
  /** Refuses for all of them while it does not answer. */
  readonly server: Pick<Dependency, "refusal">;
}

interface Waiter {
  readonly isServed: () => boolean;
}

export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #free = new Set<Session>();
  readonly #reserved = new Set<Session>();
  readonly #closing = new Set<Promise<void>>();
  readonly #waiters = new Set<Waiter>();
  #isClosed = false;

  constructor(options: SessionPoolOptions) {
    this.#options = options;
  }

  /**
   * The session for one more statement at once: an idle one, else a new one, else the one with
   * the least in flight. Undefined while transactions hold them all.
   *
   * @throws {TransientFault} when too much is in flight already, or the server does not answer.
   */
  shared(): Session | undefined {
    const refusal = this.#options.server.refusal();
    if (refusal !== undefined) throw refusal;
    const least = this.#leastLoaded();
    if (least?.load === 0) return least;
    const session = this.#opened() ?? least;
    if (session !== undefined && session.load >= this.#options.loadMax) {
      throw new TransientFault(`Cannot query: ${session.load} statements wait already`);
    }
    return session;
  }

  /** Like {@linkcode shared}, but waits for a session to be released. */
  async sharedWithin(timeoutMs: number): Promise<Session> {
    return await this.#wait(() => this.shared(), timeoutMs);
  }

  /** A session for one caller, who has to {@linkcode release} it. */
  async reserveWithin(timeoutMs: number): Promise<Session> {
    const reserve = () => {
      // What others sent on it before is answered first; their statements commit by themselves.
      const session = this.shared();
      if (session !== undefined) {
        this.#free.delete(session);
        this.#reserved.add(session);
      }
      return session;
    };
    return this.#waiters.size === 0 && reserve() || await this.#wait(reserve, timeoutMs);
  }

  release(session: Session): void {
    if (!this.#reserved.delete(session)) return;
    this.#free.add(session);
    this.#serveWaiters();
  }

  /** Gives up what is in flight, and whoever waits for a session. */
  drop(reason: string): void {
    for (const session of [...this.#free, ...this.#reserved]) session.drop(reason);
    this.#serveWaiters();
  }

  /** Waits for what is in flight, though not for transactions that do not end; never hangs. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    this.#serveWaiters();
    for (const session of [...this.#free, ...this.#reserved]) void session.close(timeoutMs);
    await Promise.all(this.#closing);
  }

  #leastLoaded(): Session | undefined {
    let least: Session | undefined;
    for (const session of this.#free) {
      if (session.load === 0 && this.#isOutdated(session)) void session.close(0);
      else if (least === undefined || session.load < least.load) least = session;
    }
    return least;
  }

  #isOutdated({ openedAt }: Session): boolean {
    return performance.now() - openedAt > SESSION_AGE_MAX_MS;
  }

  #opened(): Session | undefined {
    if (this.#isClosed) throw new TransientFault("Cannot query: the database is being closed");
    if (this.#free.size + this.#reserved.size >= this.#options.sessionsMax) return undefined;
    const session = new Session(this.#options.session, (ended) => this.#forget(ended));
    this.#free.add(session);
    return session;
  }

  #forget(session: Session): void {
    this.#free.delete(session);
    this.#reserved.delete(session);
    const closing = session.close(0).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    this.#serveWaiters();
  }

  #serveWaiters(): void {
    for (const waiter of this.#waiters) {
      if (!waiter.isServed()) return;
      this.#waiters.delete(waiter);
    }
  }

  #wait(acquire: () => Session | undefined, timeoutMs: number): Promise<Session> {
    const { promise, resolve, reject } = Promise.withResolvers<Session>();
    const isServed = () => {
      try {
        const session = acquire();
        if (session !== undefined) resolve(session);
        return session !== undefined;
      } catch (fault) {
        reject(fault);
        return true;
      }
    };
    const waiter: Waiter = { isServed };
    this.#waiters.add(waiter);
    const timer = setTimeout(() => {
      this.#waiters.delete(waiter);
      reject(new TransientFault("Cannot query: transactions hold every connection"));
    }, timeoutMs);
    return promise.finally(() => clearTimeout(timer));
  }
}
