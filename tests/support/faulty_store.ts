/**
 * A store as a bad network shows it: it can be made to wait, to fail, and to stay silent about what
 * it did.
 *
 * @module
 */
import { TransientFault } from "../../lib/fault.ts";
import { retryPolicies } from "../../lib/resilience/retry.ts";
import type { Address } from "../../lib/runtime/envelope.ts";
import type {
  Commit,
  CommitOutcome,
  FeedPage,
  FeedQuery,
  Loaded,
  LoadRequest,
  Snapshot,
  Store,
  StoredEvent,
} from "../../lib/runtime/store.ts";

export type Operation =
  | "load"
  | "commit"
  | "commitExclusively"
  | "saveSnapshots"
  | "forgetReplies"
  | "readStream"
  | "readFeed";

export type Mishap =
  | "not-applied"
  /** It was done, and the answer got lost. */
  | "unknown-after-applying"
  /** It was not done, but whoever asked cannot know. */
  | "unknown-before-applying";

export interface Gate {
  /** Calls that stand before it. */
  readonly held: number;
  /** Lets all of them go on, and opens for good. */
  release(): void;
}

export class FaultyStore implements Store {
  readonly calls: Record<Operation, number> = {
    load: 0,
    commit: 0,
    commitExclusively: 0,
    saveSnapshots: 0,
    forgetReplies: 0,
    readStream: 0,
    readFeed: 0,
  };
  /** As they were asked for, in their order. */
  readonly loads: (readonly LoadRequest[])[] = [];
  readonly batches: (readonly Commit[])[] = [];
  /** While it is, every call fails without effect. */
  isDown = false;
  /** Asked at every call, before anything is done: it may wait, and say what is to go wrong. */
  script: ((operation: Operation) => Promise<Mishap | Error | undefined>) | undefined;
  /** Waited for before every answer. */
  delay: ((operation: Operation) => Promise<void>) | undefined;
  readonly #inner: Store;
  readonly #gates = new Map<string, Promise<void>>();
  readonly #mishaps = new Map<Operation, (Mishap | Error)[]>();
  readonly #held = new Map<string, number>();

  constructor(inner: Store) {
    this.#inner = inner;
  }

  /** Has calls wait: before they do anything, or once they have done it. */
  hold(operation: Operation, when: "before" | "after" = "before"): Gate {
    const place = `${when} ${operation}`;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gates.set(place, promise);
    const held = () => this.#held.get(place) ?? 0;
    return {
      get held() {
        return held();
      },
      release: () => {
        if (this.#gates.get(place) === promise) this.#gates.delete(place);
        resolve();
      },
    };
  }

  /** The next calls end so, one after the other. */
  failNext(operation: Operation, ...mishaps: readonly (Mishap | Error)[]): void {
    this.#mishaps.set(operation, [...this.#mishaps.get(operation) ?? [], ...mishaps]);
  }

  /** The next load fails, however often it is tried. */
  failLoading(): void {
    const { attemptsMax } = retryPolicies.load;
    this.failNext("load", ...Array<Mishap>(attemptsMax).fill("not-applied"));
  }

  /** Whatever was to go wrong with it will not. */
  clear(operation: Operation): void {
    this.#mishaps.delete(operation);
  }

  load(requests: readonly LoadRequest[]): Promise<readonly Loaded[]> {
    this.loads.push(requests);
    return this.#meddle("load", () => this.#inner.load(requests));
  }

  commit(batch: readonly Commit[]): Promise<readonly CommitOutcome[]> {
    this.batches.push(batch);
    return this.#meddle("commit", () => this.#inner.commit(batch));
  }

  commitExclusively(
    address: Address,
    afterVersion: number,
    decide: (caughtUp: Loaded) => Commit,
  ): Promise<CommitOutcome> {
    return this.#meddle(
      "commitExclusively",
      () => this.#inner.commitExclusively(address, afterVersion, decide),
      // Such a transaction is lost at its end: the decision was made all the same.
      async (fault) => {
        await this.#inner.commitExclusively(address, afterVersion, (caughtUp) => {
          decide(caughtUp);
          throw fault;
        });
      },
    );
  }

  saveSnapshots(
    snapshots: readonly { readonly address: Address; readonly snapshot: Snapshot }[],
  ): Promise<void> {
    return this.#meddle("saveSnapshots", () => this.#inner.saveSnapshots(snapshots));
  }

  forgetReplies(givenBefore: number, limit: number): Promise<number> {
    return this.#meddle("forgetReplies", () => this.#inner.forgetReplies(givenBefore, limit));
  }

  readStream(
    address: Address,
    range?: { readonly after?: number; readonly through?: number; readonly limit?: number },
  ): Promise<readonly StoredEvent[]> {
    return this.#meddle("readStream", () => this.#inner.readStream(address, range));
  }

  readFeed(query: FeedQuery): Promise<FeedPage> {
    return this.#meddle("readFeed", () => this.#inner.readFeed(query));
  }

  async #meddle<T>(
    operation: Operation,
    run: () => Promise<T>,
    runInVain: (fault: Error) => Promise<void> = () => Promise.resolve(),
  ): Promise<T> {
    this.calls[operation]++;
    await this.#pass(`before ${operation}`);
    const mishap = await this.script?.(operation) ?? this.#mishaps.get(operation)?.shift();
    if (this.isDown || mishap === "not-applied") throw new TransientFault("The store is away");
    if (mishap instanceof Error) throw mishap;
    const silence = new TransientFault("The store fell silent", { outcome: "unknown" });
    if (mishap === "unknown-before-applying") {
      await runInVain(silence);
      throw silence;
    }
    const answer = await run();
    await this.#pass(`after ${operation}`);
    await this.delay?.(operation);
    if (mishap === "unknown-after-applying") throw silence;
    return answer;
  }

  async #pass(place: string): Promise<void> {
    const gate = this.#gates.get(place);
    if (gate === undefined) return;
    this.#held.set(place, (this.#held.get(place) ?? 0) + 1);
    await gate;
    this.#held.set(place, this.#held.get(place)! - 1);
  }
}
