/**
 * Writes a history into the tables of the runtime, many rows at a time. What is written together is
 * one transaction, so feeds meet events in the order in which they happened.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../lib/postgres/tables.ts";
import type { Commit } from "../lib/runtime/store.ts";
import type { HistorySink, LeftActor, WaitingMessage } from "./trading_history.ts";

const batchRows = 10_000;

/** The columns of each table that rows are written with, as Postgres reads them out of JSON. */
const columnsOf = {
  event: "kind text, key text, version bigint, type text, schema smallint, data jsonb, " +
    "correlation_id uuid, causation_id uuid, principal text, at timestamptz",
  actor: "kind text, key text, version bigint, revision bigint",
  snapshot: "kind text, key text, version bigint, schema smallint, state jsonb",
  outbox: "kind text, key text, message_id uuid, schema smallint, command jsonb, " +
    "correlation_id uuid, causation_id uuid, principal jsonb, at timestamptz, " +
    "available_at timestamptz",
} as const;
type Table = keyof typeof columnsOf;

type Rows = Record<Table, object[]>;

export class HistoryWriter implements HistorySink {
  readonly #db: Kysely<Tables>;
  #rows: Rows = noRows();
  #waiting = 0;
  #events = 0;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  /** So many wait that it is time to flush. */
  get isFull(): boolean {
    return this.#waiting >= batchRows;
  }

  get events(): number {
    return this.#events;
  }

  recorded({ address, version, at, events }: Commit): void {
    events.forEach(({ type, schema, data, correlationId, causationId, principalId }, n) =>
      this.#add("event", {
        ...address,
        version: version + n + 1,
        type,
        schema,
        data,
        correlation_id: correlationId,
        causation_id: causationId,
        principal: principalId,
        at: new Date(at),
      })
    );
    this.#events += events.length;
  }

  left({ address, version, revision, snapshot }: LeftActor): void {
    this.#add("actor", { ...address, version, revision });
    if (snapshot !== undefined) this.#add("snapshot", { ...address, ...snapshot });
  }

  waiting(message: WaitingMessage): void {
    const { to, messageId, schema, command, principal, at, delayMs } = message;
    this.#add("outbox", {
      ...to,
      message_id: messageId,
      schema,
      command,
      correlation_id: message.correlationId,
      causation_id: message.causationId,
      principal,
      at: new Date(at),
      available_at: new Date(at + delayMs),
    });
  }

  async flush(): Promise<void> {
    const rows = this.#rows;
    this.#rows = noRows();
    this.#waiting = 0;
    await this.#db.transaction().execute(async (transaction) => {
      for (const table of Object.keys(columnsOf) as Table[]) {
        if (rows[table].length > 0) await insert(transaction, table, rows[table]);
      }
    });
  }

  #add(table: Table, row: object): void {
    this.#rows[table].push(row);
    this.#waiting++;
  }
}

function noRows(): Rows {
  return { event: [], actor: [], snapshot: [], outbox: [] };
}

async function insert(db: Kysely<Tables>, table: Table, rows: readonly object[]): Promise<void> {
  const columns = columnsOf[table];
  const names = sql.raw(columns.split(", ").map((column) => column.split(" ")[0]).join(", "));
  // Events draw it by themselves.
  const [transaction, drawn] = table === "actor"
    ? [sql`, transaction`, sql`, pg_current_xact_id()`]
    : [sql``, sql``];
  await sql`
    insert into ${sql.table(table)} (${names}${transaction})
    select ${names}${drawn}
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r(${sql.raw(columns)})`
    .execute(db);
}
