/**
 * Locks of rows and advisory locks, with those who wait for them in virtual time.
 *
 * @module
 */
import { DatabaseError } from "./database_error.ts";
import type { Draws } from "./draws.ts";
import type { ServerTime } from "./server.ts";
import type { Transaction } from "./transaction.ts";

/** Who has waited so long looks for a circle. */
const DEADLOCK_TIMEOUT_MS = 1_000;

/** Made once: the reason that an abort makes by itself costs more than the wait. */
const OVER = new Error("The wait is over");

interface Waiter {
  readonly transaction: Transaction;
  readonly key: string;
  readonly grant: () => void;
  readonly fail: (error: unknown) => void;
}

/** Postgres wakes whoever waits first; another may be quicker. */
const BARGING_SHARE = 0.25;

interface Lock {
  holder: Transaction;
  /** Served in their order, mostly. */
  readonly waiters: Waiter[];
}

export class Locks {
  readonly #time: ServerTime;
  readonly #draws: Draws;
  readonly #locks = new Map<string, Lock>();
  readonly #waiters = new Map<Transaction, Waiter>();

  constructor(time: ServerTime, draws: Draws) {
    this.#time = time;
    this.#draws = draws;
  }

  /** Without waiting; false if another has it. */
  tryTake(transaction: Transaction, key: string): boolean {
    const lock = this.#locks.get(key);
    if (lock !== undefined) return lock.holder === transaction;
    this.#locks.set(key, { holder: transaction, waiters: [] });
    transaction.locks.push(key);
    return true;
  }

  /** @throws {DatabaseError} after that time, or in a circle of those who wait. */
  async wait(
    transaction: Transaction,
    key: string,
    { timeoutMs, error }: { readonly timeoutMs: number; readonly error: DatabaseError },
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { transaction, key, grant: resolve, fail: reject };
    this.#locks.get(key)!.waiters.push(waiter);
    this.#waiters.set(transaction, waiter);
    const over = new AbortController();
    const circle = this.#isInCircle(transaction)
      ? { timeoutMs: DEADLOCK_TIMEOUT_MS, error: new DatabaseError("40P01", "deadlock detected") }
      : { timeoutMs, error };
    this.#time.sleep(Math.min(circle.timeoutMs, timeoutMs), over.signal)
      .then(() => this.#giveUp(waiter, circle.error), () => {});
    try {
      await promise;
    } finally {
      over.abort(OVER);
    }
  }

  /** Gives to the next who waits what the transaction held; what it waits for it never gets. */
  release(transaction: Transaction, why: () => unknown): void {
    const waiting = this.#waiters.get(transaction);
    if (waiting !== undefined) this.#giveUp(waiting, why());
    for (const key of transaction.locks) {
      const lock = this.#locks.get(key)!;
      const next = this.#nextOf(lock);
      if (next === undefined) {
        this.#locks.delete(key);
        continue;
      }
      lock.holder = next.transaction;
      next.transaction.locks.push(key);
      this.#waiters.delete(next.transaction);
      next.grant();
    }
    transaction.locks.length = 0;
  }

  #nextOf({ waiters }: Lock): Waiter | undefined {
    if (waiters.length < 2 || this.#draws.next() >= BARGING_SHARE) return waiters.shift();
    return waiters.splice(Math.floor(this.#draws.next() * waiters.length), 1)[0];
  }

  #giveUp(waiter: Waiter, why: unknown): void {
    if (this.#waiters.get(waiter.transaction) !== waiter) return;
    this.#waiters.delete(waiter.transaction);
    const { waiters } = this.#locks.get(waiter.key)!;
    waiters.splice(waiters.indexOf(waiter), 1);
    waiter.fail(why);
  }

  #isInCircle(transaction: Transaction): boolean {
    const seen = new Set<Transaction>();
    let at: Transaction | undefined = transaction;
    while (at !== undefined && !seen.has(at)) {
      seen.add(at);
      const key: string | undefined = this.#waiters.get(at)?.key;
      at = key === undefined ? undefined : this.#locks.get(key)!.holder;
    }
    return at === transaction;
  }
}
