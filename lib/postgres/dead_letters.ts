/**
 * Dead letters in Postgres. Whatever is done to them is written into the audit by the same statement.
 *
 * @module
 */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type {
  DeadLetter,
  DeadLetterQuery,
  DeadLetters,
  Operator,
  RedriveQuery,
} from "../runtime/outbox.ts";
import { auditColumns, audited } from "./audit.ts";
import { messageOf, type MessageRow } from "./outbox.ts";
import type { Tables } from "./tables.ts";

interface DeadLetterRow extends MessageRow {
  readonly attempts: number;
  readonly error: string;
  readonly buried_at: Date;
}

export class PostgresDeadLetters implements DeadLetters {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async list({ kind, key, after = 0, limit }: DeadLetterQuery): Promise<readonly DeadLetter[]> {
    const rows = this.#db.selectFrom("dead_letter").selectAll()
      .where("position", ">", after)
      .$if(kind !== undefined, (query) => query.where("kind", "=", kind!))
      .$if(key !== undefined, (query) => query.where("key", "=", key!))
      .orderBy("position").limit(limit).execute();
    return (await rows).map(deadLetterOf);
  }

  async get(messageId: string): Promise<DeadLetter | undefined> {
    const row = await this.#db.selectFrom("dead_letter").selectAll()
      .where("message_id", "=", messageId).executeTakeFirst();
    return row && deadLetterOf(row);
  }

  async edit(
    messageId: string,
    { schema, command }: { readonly schema: number; readonly command: unknown },
    operator: Operator,
  ): Promise<DeadLetter | undefined> {
    const { rows } = await sql<DeadLetterRow>`
      with before as materialized (
        select * from dead_letter where message_id = ${messageId}::uuid for update
      ),
      changed as (
        update dead_letter d
        set schema = ${schema}::smallint, command = ${JSON.stringify(command)}::text::jsonb
        from before where d.message_id = before.message_id
        returning d.*
      ),
      ${recorded("edit", operator, "before")}
      select * from changed`.execute(this.#db);
    return rows[0] && deadLetterOf(rows[0]);
  }

  async redrive(
    which: RedriveQuery,
    operator: Operator,
  ): Promise<readonly DeadLetter[]> {
    const chosen = "messageId" in which
      ? sql`where message_id = ${which.messageId}::uuid`
      : sql`where kind = ${which.kind} ${
        which.key === undefined ? sql`` : sql`and key = ${which.key}`
      } order by position limit ${which.limit}`;
    const { rows } = await sql<DeadLetterRow>`
      with chosen as materialized (select message_id from dead_letter ${chosen} for update),
      raised as (
        delete from dead_letter d using chosen where d.message_id = chosen.message_id returning d.*
      ),
      told as (
        insert into outbox (kind, key, position, message_id, schema, command, correlation_id,
          causation_id, principal, traceparent, at, available_at, priority, concurrency_key)
        select kind, key, position, message_id, schema, command, correlation_id, causation_id,
          principal, traceparent, at, now(), priority, concurrency_key
        from raised
        -- A job that was enqueued again meanwhile waits already.
        on conflict (message_id) where kind = 'job' do nothing
      ),
      ${recorded("redrive", operator, "raised")}
      select * from raised order by position`.execute(this.#db);
    return rows.map(deadLetterOf);
  }

  async discard(messageId: string, operator: Operator): Promise<boolean> {
    const { rows } = await sql`
      with dropped as (
        delete from dead_letter where message_id = ${messageId}::uuid returning *
      ),
      ${recorded("discard", operator, "dropped")}
      select message_id from dropped`.execute(this.#db);
    return rows.length > 0;
  }
}

/** What letters say may be about people, and is told by its digest only. */
function recorded(act: string, operator: Operator, letters: string): RawBuilder<unknown> {
  return sql`audited as (
    insert into audit (${auditColumns}, act, subject, detail)
    select ${audited(operator)}, ${`dead-letter ${act}`}, 'dead_letter/' || s.message_id,
      jsonb_build_object('actor', s.kind || '/' || s.key, 'attempts', s.attempts,
        'commandSha256', encode(sha256(convert_to(s.command::text, 'UTF8')), 'hex'))
    from ${sql.id(letters)} s
  )`;
}

function deadLetterOf(row: DeadLetterRow): DeadLetter {
  return {
    ...messageOf(row),
    attempts: row.attempts,
    error: row.error,
    buriedAt: row.buried_at.getTime(),
  };
}
