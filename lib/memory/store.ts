/**
 * The store without a database: for tests and trials, held to the same contract as the real ones.
 *
 * It answers in a later microtask, and what it hands out is frozen, so that nobody comes to rely on
 * sharing objects with it.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { Address } from "../runtime/envelope.ts";
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
} from "../runtime/store.ts";
import { kept } from "./copied.ts";
import { MemoryOutbox } from "./outbox.ts";
import { Statements } from "./statements.ts";
import { inOrderOfLocks } from "./streams.ts";
import { emptyTables } from "./tables.ts";

export class MemoryStore implements Store {
  readonly #env: Pick<Env, "now">;
  readonly tables = emptyTables();
  readonly #statements = new Statements(this.tables);
  readonly outbox: MemoryOutbox;

  constructor(env: Pick<Env, "now">) {
    this.#env = env;
    this.outbox = new MemoryOutbox(env, this.#statements);
  }

  async load(requests: readonly LoadRequest[]): Promise<readonly Loaded[]> {
    await null;
    return requests.map((request) => this.#statements.streams.load(request));
  }

  async commit(batch: readonly Commit[]): Promise<readonly CommitOutcome[]> {
    await null;
    return this.#commit(batch);
  }

  async commitExclusively(
    address: Address,
    afterVersion: number,
    decide: (caughtUp: Loaded) => Commit,
  ): Promise<CommitOutcome> {
    await null;
    const commit = decide(this.#statements.streams.load({ address, afterVersion }));
    // Whoever has locked a row has an id, even if it then only verifies.
    return this.#commit([commit], this.#statements.streams.exists(address))[0]!;
  }

  async saveSnapshots(
    snapshots: readonly { readonly address: Address; readonly snapshot: Snapshot }[],
  ): Promise<void> {
    await null;
    this.#statements.streams.saveSnapshots(kept(snapshots));
  }

  async forgetReplies(givenBefore: number, limit: number): Promise<number> {
    await null;
    return this.#statements.streams.forgetReplies(givenBefore, limit);
  }

  async readStream(
    address: Address,
    range: { readonly after?: number; readonly through?: number; readonly limit?: number } = {},
  ): Promise<readonly StoredEvent[]> {
    await null;
    return this.#statements.streams.readStream(address, range);
  }

  async readFeed(query: FeedQuery): Promise<FeedPage> {
    await null;
    const { drawn } = this.#statements.tables;
    return this.#statements.streams.readFeed(query, drawn.transaction + 1);
  }

  #commit(batch: readonly Commit[], isLocked = false): readonly CommitOutcome[] {
    const { streams } = this.#statements;
    const asked = kept(batch);
    const draws = isLocked || asked.some((commit) => streams.takes(commit));
    const transaction = draws ? this.#statements.drawTransaction() : 0;
    const outcomes = asked.map((commit) => streams.judged(commit, transaction));
    const applied = inOrderOfLocks(asked).filter((n) => outcomes[n] === undefined);
    const changes = streams.draw(asked, applied, transaction);
    const now = this.#env.now();
    for (const change of changes) streams.apply(change, now);
    return outcomes.map((outcome) => outcome ?? { is: "ok", transaction: String(transaction) });
  }
}
