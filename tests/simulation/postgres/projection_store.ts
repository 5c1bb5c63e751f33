/**
 * Projections on a simulated Postgres: what they make of events, and how far they are, change together.
 *
 * @module
 */
import { kept } from "../../../lib/memory/copied.ts";
import { addressText } from "../../../lib/runtime/envelope.ts";
import {
  type Advance,
  type Projection,
  type ProjectionStore,
  wantedBy,
} from "../../../lib/runtime/projector.ts";
import type { FeedPage, FeedQuery, NewMessage } from "../../../lib/runtime/store.ts";
import type { SimulatedPostgres } from "./server.ts";
import type { CheckpointRow } from "./server_tables.ts";
import type { Statement } from "./session.ts";
import type { Conversation, SessionPool } from "./session_pool.ts";
import { reading } from "./store.ts";

/** So many transactions of others, and a projection notes that none of them was for it. */
const IDLE_TRANSACTIONS_MAX = 20;

/** Rows as a projection sees and changes them within its transaction. */
export class ReadModel {
  readonly #server: SimulatedPostgres;
  /** By table and key; undefined for what it has deleted. */
  readonly #changes = new Map<string, Map<string, unknown>>();
  readonly #messages: NewMessage[] = [];

  constructor(server: SimulatedPostgres) {
    this.#server = server;
  }

  get(table: string, key: string): unknown {
    const changes = this.#changes.get(table);
    if (changes?.has(key)) return changes.get(key);
    return this.#server.tables.readModel.get(table)?.get(key);
  }

  put(table: string, key: string, row: unknown): void {
    this.#set(table, key, kept(row));
  }

  delete(table: string, key: string): void {
    this.#set(table, key, undefined);
  }

  /** Into the outbox, with whatever else the transaction does. */
  tell(messages: readonly NewMessage[]): void {
    this.#messages.push(...kept(messages));
  }

  #set(table: string, key: string, row: unknown): void {
    const changes = this.#changes.get(table) ?? new Map<string, unknown>();
    this.#changes.set(table, changes.set(key, row));
  }

  land(now: number): void {
    const { tables, statements: { lanes } } = this.#server;
    for (const [name, changes] of this.#changes) {
      const table = tables.readModel.get(name) ?? new Map<string, unknown>();
      tables.readModel.set(name, table);
      for (const [key, row] of changes) {
        if (row === undefined) table.delete(key);
        else table.set(key, row);
      }
    }
    for (const message of this.#messages) {
      // One to a lane that rests is due when it is.
      const restsUntil = tables.lanes.get(addressText(message.to))?.nextAt ?? 0;
      const due = Math.max(now + message.delayMs, restsUntil);
      lanes.add(message, ++tables.drawn.message, now, due);
    }
  }
}

interface Begun {
  readonly checkpoint: CheckpointRow | undefined;
  readonly horizon: number;
}

export class SimulatedProjectionStore implements ProjectionStore<ReadModel> {
  readonly #server: SimulatedPostgres;
  readonly #db: SessionPool;

  constructor(server: SimulatedPostgres, db: SessionPool) {
    this.#server = server;
    this.#db = db;
  }

  async advance(projection: Projection<ReadModel>, limit: number): Promise<Advance | undefined> {
    return await this.#db.transaction("page", async (conversation) => {
      const begun = await conversation.run(this.#begin(projection));
      if (begun === undefined) return undefined;
      const { checkpoint, horizon } = begun;
      if (checkpoint === undefined && projection.start === "now") {
        const through = horizon - 1;
        await this.#move(conversation, projection, endOf(through), new ReadModel(this.#server));
        return { events: 0, through: String(through) };
      }
      return await this.#page(conversation, projection, { checkpoint, limit });
    });
  }

  async #page(
    conversation: Conversation,
    projection: Projection<ReadModel>,
    { checkpoint, limit }: {
      readonly checkpoint: CheckpointRow | undefined;
      readonly limit: number;
    },
  ): Promise<Advance> {
    const model = new ReadModel(this.#server);
    const only = await projection.only?.(model);
    const wanted = only === undefined ? wantedBy(projection) : { kind: only };
    const size = only === undefined ? limit : 1;
    const after = {
      transaction: String(checkpoint?.transaction ?? 0),
      position: String(checkpoint?.position ?? 0),
    };
    const page = await conversation.run(this.#read({ after, limit: size, ...wanted }));
    const { events } = page;
    if (events.length > 0) await projection.apply(model, events);
    const through = Number(page.through);
    const last = events.at(-1)?.cursor;
    const reached = events.length === size && last !== undefined
      ? { transaction: Number(last.transaction), position: Number(last.position), through }
      : later(checkpoint, endOf(through));
    if (events.length > 0 || isBehind(checkpoint) || isFarBehind(checkpoint, through)) {
      await this.#move(conversation, projection, reached, model);
    }
    return { events: events.length, through: page.through };
  }

  async through(projection: string): Promise<string> {
    return await this.#db.run(reading("through", () => {
      return String(this.#server.tables.checkpoints.get(projection)?.through ?? 0);
    }));
  }

  /** Undefined while another reader is at it. */
  #begin({ name }: Projection<ReadModel>): Statement<Begun | undefined> {
    return {
      name: "read checkpoint",
      run: (transaction) => {
        const { locks, tables } = this.#server;
        if (!locks.tryTake(transaction, `projection/${name}`)) return () => undefined;
        const begun = { checkpoint: tables.checkpoints.get(name), horizon: this.#server.horizon() };
        return () => begun;
      },
    };
  }

  #read(query: FeedQuery) {
    return reading("read page", (): FeedPage => {
      return this.#server.statements.streams.readFeed(query, this.#server.horizon());
    });
  }

  async #move(
    { run }: Conversation,
    { name }: Projection<ReadModel>,
    checkpoint: CheckpointRow,
    model: ReadModel,
  ): Promise<void> {
    await run({
      name: "move checkpoint",
      run: (transaction) => {
        transaction.drawId();
        transaction.atCommit(() => {
          model.land(transaction.now);
          this.#server.tables.checkpoints.set(name, checkpoint);
        });
        return () => {};
      },
    });
  }
}

/** Behind all that this transaction, and those before it, have recorded. */
function endOf(through: number): CheckpointRow {
  return { transaction: through, position: Number.MAX_SAFE_INTEGER, through };
}

function later(a: CheckpointRow | undefined, b: CheckpointRow): CheckpointRow {
  return a === undefined || b.transaction >= a.transaction ? b : { ...a, through: b.through };
}

/** The last page ended within a transaction, and what `through` says is older than the cursor. */
function isBehind(checkpoint: CheckpointRow | undefined): boolean {
  return checkpoint !== undefined && checkpoint.through < checkpoint.transaction;
}

/** Every poll reads from the checkpoint on: it must not stay too far behind. */
function isFarBehind(checkpoint: CheckpointRow | undefined, through: number): boolean {
  return through - (checkpoint?.transaction ?? 0) > IDLE_TRANSACTIONS_MAX;
}
