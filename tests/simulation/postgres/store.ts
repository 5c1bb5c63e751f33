/**
 * The event store on a simulated Postgres.
 *
 * @module
 */
import { TransientFault } from "../../../lib/fault.ts";
import { kept } from "../../../lib/memory/copied.ts";
import { inOrder, inOrderOfLocks } from "../../../lib/memory/streams.ts";
import { type Address, addressText } from "../../../lib/runtime/envelope.ts";
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
} from "../../../lib/runtime/store.ts";
import type { SimulatedPostgres } from "./server.ts";
import type { Statement } from "./session.ts";
import type { SessionPool } from "./session_pool.ts";
import type { Transaction } from "./transaction.ts";

export interface StorePools {
  readonly db: SessionPool;
  readonly committer: SessionPool;
}

export class SimulatedStore implements Store {
  readonly #server: SimulatedPostgres;
  readonly #db: SessionPool;
  readonly #committer: SessionPool;

  constructor(server: SimulatedPostgres, { db, committer }: StorePools) {
    this.#server = server;
    this.#db = db;
    this.#committer = committer;
  }

  load(requests: readonly LoadRequest[]): Promise<readonly Loaded[]> {
    return this.#read("load", () => {
      const { streams } = this.#server.statements;
      return requests.map((request) => streams.load(request));
    });
  }

  async commit(batch: readonly Commit[]): Promise<readonly CommitOutcome[]> {
    return await this.#committer.run(this.#commitStatement(kept(batch)));
  }

  async commitExclusively(
    address: Address,
    afterVersion: number,
    decide: (caughtUp: Loaded) => Commit,
  ): Promise<CommitOutcome> {
    try {
      return await this.#db.transaction("exclusively", async ({ run }) => {
        const caughtUp = await run(this.#lockStatement(address, afterVersion));
        const batch = kept([decide(caughtUp)]);
        const [outcome] = await run(this.#commitStatement(batch));
        if (isOvertaken(outcome!, caughtUp)) {
          this.#server.note("overtaken");
          throw new Overtaken();
        }
        return outcome!;
      });
    } catch (error) {
      if (error instanceof Overtaken) return { is: "conflict" };
      throw error;
    }
  }

  async saveSnapshots(
    snapshots: readonly { readonly address: Address; readonly snapshot: Snapshot }[],
  ): Promise<void> {
    const asked = [...kept(snapshots)].sort((a, b) => inOrder(a.address, b.address));
    await this.#db.run({
      name: "save snapshots",
      content: () => asked,
      run: async (transaction) => {
        for (const { address } of asked) await transaction.lock(snapshotRow(address));
        transaction.atCommit(() => this.#server.statements.streams.saveSnapshots(asked));
        return () => {};
      },
    });
  }

  async forgetReplies(givenBefore: number, limit: number): Promise<number> {
    let forgotten = 0;
    return await this.#db.run({
      name: "forget replies",
      run: (transaction) => {
        transaction.atCommit(() => {
          forgotten = this.#server.statements.streams.forgetReplies(givenBefore, limit);
        });
        return () => forgotten;
      },
    });
  }

  readStream(
    address: Address,
    range: { readonly after?: number; readonly through?: number; readonly limit?: number } = {},
  ): Promise<readonly StoredEvent[]> {
    return this.#read("read stream", () => {
      return this.#server.statements.streams.readStream(address, range);
    });
  }

  readFeed(query: FeedQuery): Promise<FeedPage> {
    return this.#read("read feed", () => {
      return this.#server.statements.streams.readFeed(query, this.#server.horizon());
    });
  }

  async #read<T>(name: string, look: () => T): Promise<T> {
    try {
      return await this.#db.run(reading(name, look));
    } catch (fault) {
      throw asRead(fault);
    }
  }

  /** The queue in front keeps those who wait from drawing their ids before they have the row. */
  #lockStatement(address: Address, afterVersion: number): Statement<Loaded> {
    return {
      name: "lock actor",
      run: async (transaction) => {
        await transaction.lock(`queue of ${addressText(address)}`);
        const { streams } = this.#server.statements;
        if (streams.exists(address)) {
          transaction.drawId();
          await transaction.lock(actorRow(address));
        }
        const caughtUp = streams.load({ address, afterVersion });
        return () => caughtUp;
      },
    };
  }

  #commitStatement(batch: readonly Commit[]): Statement<readonly CommitOutcome[]> {
    return {
      name: "commit",
      content: () => batch,
      run: (transaction) => {
        const order = inOrderOfLocks(batch);
        const locked = this.#lock(transaction, batch, order, 0);
        const judge = () => this.#judged(transaction, batch, order);
        return locked === undefined ? judge() : locked.then(judge);
      },
    };
  }

  /** Rows of actors whose revision fits the statement's snapshot; ids are drawn before any wait. */
  #lock(
    transaction: Transaction,
    batch: readonly Commit[],
    order: readonly number[],
    from: number,
  ): Promise<void> | undefined {
    const { streams } = this.#server.statements;
    const taken = from > 0 ? order : order.filter((n) => streams.takes(batch[n]!));
    for (let place = from; place < taken.length; place++) {
      const { address, revision } = batch[taken[place]!]!;
      transaction.drawId();
      // To make one that is there already fails without waiting.
      if (revision === 0 && streams.exists(address)) continue;
      const wait = transaction.lock(actorRow(address));
      if (wait !== undefined) {
        return wait.then(() => this.#lock(transaction, batch, taken, place + 1));
      }
    }
    return undefined;
  }

  #judged(transaction: Transaction, batch: readonly Commit[], order: readonly number[]) {
    const { streams } = this.#server.statements;
    const id = transaction.id ?? 0;
    const outcomes = batch.map((commit) => streams.judged(commit, id));
    const applied = order.filter((n) => outcomes[n] === undefined);
    const changes = streams.draw(batch, applied, id);
    if (changes.length > 0) {
      transaction.atCommit(() => {
        for (const change of changes) streams.apply(change, transaction.now);
        transaction.changes.push(...changes);
      });
    }
    const transactionText = String(id);
    return () => {
      return outcomes.map((outcome) =>
        outcome ?? { is: "ok", transaction: transactionText } as const
      );
    };
  }
}

export function reading<T>(name: string, look: (transaction: Transaction) => T): Statement<T> {
  return {
    name,
    run: (transaction) => {
      const seen = look(transaction);
      return () => seen;
    },
  };
}

/** A statement that is judged in the moment in which it lands. */
export function writing<T>(
  name: string,
  write: (transaction: Transaction) => T,
  content?: unknown,
): Statement<T> {
  return {
    name,
    content: () => content,
    run: (transaction) => {
      let written: T;
      transaction.atCommit(() => {
        written = write(transaction);
      });
      return () => written;
    },
  };
}

export function actorRow(address: Address): string {
  return `actor ${addressText(address)}`;
}

function snapshotRow(address: Address): string {
  return `snapshot ${addressText(address)}`;
}

/** A read that broke off has changed nothing. */
function asRead(fault: unknown): unknown {
  if (!(fault instanceof TransientFault) || fault.outcome === "not-applied") return fault;
  return new TransientFault(fault.message, { cause: fault, retryAfterMs: fault.retryAfterMs });
}

function isOvertaken(outcome: CommitOutcome, { transaction }: Loaded): boolean {
  return outcome.is === "ok" && Number(outcome.transaction) < Number(transaction);
}

/** Rolls back what feeds would meet before the events that it was decided on. */
class Overtaken extends Error {}
