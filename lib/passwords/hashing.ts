/**
 * Passwords into hashes and back to a yes or no, beside the thread that serves requests.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { Bulkhead, type BulkheadStanding } from "../resilience/bulkhead.ts";
import type { HashingCost, HashingReply, HashingRequest } from "./hashing_worker.ts";

/** OWASP's least for Argon2id with one lane; what a hash took is written in it. */
export const presentCost: HashingCost = { memoryKiB: 19_456, passes: 2 };

const WAITING_MAX = 64;
const WAIT_MS = 5_000;

export interface HashingOptions {
  readonly env: Pick<Env, "monotonic">;
  readonly cost?: HashingCost;
  /** Hashes at a time, each on a thread of its own; one core at least is left to requests. */
  readonly threadsMax?: number;
  /** Hashes that may wait for a thread. */
  readonly waitingMax?: number;
}

export interface Verdict {
  readonly isRight: boolean;
  /** The hash is cheaper to break than one that would be made now. */
  readonly isOutdated: boolean;
}

/** Threads start when the first password comes, and end when it is disposed. */
export class PasswordHashing implements Disposable {
  readonly #cost: HashingCost;
  readonly #bulkhead: Bulkhead;
  readonly #threads = new Set<Thread>();
  #isDisposed = false;
  /** Of a password that nobody has. */
  readonly #decoy: string;

  constructor({ env, cost = presentCost, ...bounds }: HashingOptions) {
    const { threadsMax = threadsByDefault(), waitingMax = WAITING_MAX } = bounds;
    this.#cost = cost;
    this.#decoy = decoyOf(cost);
    this.#bulkhead = new Bulkhead({
      name: "passwords",
      env,
      runningMax: threadsMax,
      waitingMax,
      waitMs: WAIT_MS,
    });
  }

  /**
   * A hash in the form of the PHC string format, with its cost and salt in it.
   *
   * @throws {TransientFault} when too many wait already; so does all else here.
   */
  async hash(password: string): Promise<string> {
    const reply = await this.#ask({ do: "hash", password: normal(password), cost: this.#cost });
    return reply.is === "hash" ? reply.hash : unexpected(reply);
  }

  /** Takes as long without a hash, so that nobody learns from the time whether there is one. */
  async verify(password: string, hash: string | undefined): Promise<Verdict> {
    const isRight = await this.#verdict({
      do: "verify",
      password: normal(password),
      hash: hash ?? this.#decoy,
    });
    if (hash === undefined) return { isRight: false, isOutdated: false };
    return { isRight, isOutdated: isCheaper(costOf(hash), this.#cost) };
  }

  /** Whether it is one of those that are tried first. */
  async isCommon(password: string): Promise<boolean> {
    return await this.#verdict({ do: "look-up", password: normal(password) });
  }

  standing(): BulkheadStanding {
    return this.#bulkhead.standing();
  }

  onRefused(listener: () => void): void {
    this.#bulkhead.onRefused(listener);
  }

  /** Whatever is in hand fails. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const thread of this.#threads) thread.end(new Error("Passwords are hashed no more"));
    this.#threads.clear();
  }

  async #verdict(request: HashingRequest): Promise<boolean> {
    const reply = await this.#ask(request);
    return reply.is === "verdict" ? reply.isSo : unexpected(reply);
  }

  #ask(request: HashingRequest): Promise<HashingReply> {
    return this.#bulkhead.run(() => this.#freeThread().ask(request));
  }

  /** There is one, or room for one: as many run at a time as there may be threads. */
  #freeThread(): Thread {
    if (this.#isDisposed) throw new Error("Passwords are hashed no more");
    for (const thread of this.#threads) if (thread.isFree) return thread;
    const thread = new Thread((ended) => this.#threads.delete(ended));
    this.#threads.add(thread);
    return thread;
  }
}

/** One worker, which does one thing at a time. */
class Thread {
  readonly #worker: Worker;
  readonly #onEnded: (thread: Thread) => void;
  #asked: PromiseWithResolvers<HashingReply> | undefined;

  constructor(onEnded: (thread: Thread) => void) {
    this.#onEnded = onEnded;
    this.#worker = new Worker(new URL("./hashing_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<HashingReply>) => {
      const asked = this.#asked;
      this.#asked = undefined;
      asked?.resolve(data);
    };
    this.#worker.onerror = (event) => {
      // Otherwise the failure of the worker would be the failure of this thread.
      event.preventDefault();
      this.end(new Error(`The thread that hashes passwords has ended: ${event.message}`));
    };
  }

  get isFree(): boolean {
    return this.#asked === undefined;
  }

  ask(request: HashingRequest): Promise<HashingReply> {
    this.#asked = Promise.withResolvers();
    this.#worker.postMessage(request);
    return this.#asked.promise;
  }

  end(error: Error): void {
    this.#worker.terminate();
    this.#asked?.reject(error);
    this.#onEnded(this);
  }
}

const THREADS_MAX = 2;

function threadsByDefault(): number {
  return Math.max(1, Math.min(THREADS_MAX, navigator.hardwareConcurrency - 1));
}

/** NIST SP 800-63B: the same password, whichever way a keyboard composes it. */
function normal(password: string): string {
  return password.normalize("NFKC");
}

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$/;

/** What a hash took to make, as it says itself; undefined for one of another kind. */
export function costOf(hash: string): HashingCost | undefined {
  const [, memoryKiB, passes] = PHC.exec(hash) ?? [];
  return memoryKiB === undefined
    ? undefined
    : { memoryKiB: Number(memoryKiB), passes: Number(passes) };
}

/** No hash of anything: bytes at random, in the place of one that would take as long to verify. */
function decoyOf({ memoryKiB, passes }: HashingCost): string {
  const bytes = (length: number) =>
    crypto.getRandomValues(new Uint8Array(length)).toBase64({ omitPadding: true });
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=1$${bytes(16)}$${bytes(32)}`;
}

function isCheaper(cost: HashingCost | undefined, wanted: HashingCost): boolean {
  return cost === undefined || cost.memoryKiB < wanted.memoryKiB || cost.passes < wanted.passes;
}

function unexpected(reply: HashingReply): never {
  const why = reply.is === "failed" ? reply.message : `it answered with a ${reply.is}`;
  throw new Error(`Cannot see to a password: ${why}`);
}
