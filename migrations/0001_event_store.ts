/** Actors and what is recorded of them: events, snapshots, remembered replies, checkpoints. */
import { type CreateTableBuilder, type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await ofActors(db, "actor")
    .addColumn("version", "bigint", (column) => column.notNull())
    // The fence: of two writers at one revision, one loses.
    .addColumn("revision", "bigint", (column) => column.notNull())
    .addColumn("transaction", sql`xid8`, (column) => column.notNull())
    .addPrimaryKeyConstraint("actor_pkey", ["kind", "key"])
    // No indexed column ever changes, so with room on the page updates stay on it (HOT).
    .modifyEnd(sql`with (fillfactor = 70)`)
    .execute();

  await ofActors(db, "event")
    .addColumn("version", "bigint", (column) => column.notNull())
    .addColumn("type", "text", (column) => column.notNull())
    .addColumn("schema", "smallint", (column) => column.notNull())
    .addColumn("data", "jsonb", (column) => column.notNull())
    .addColumn("correlation_id", "uuid", (column) => column.notNull())
    .addColumn("causation_id", "uuid", (column) => column.notNull())
    .addColumn("principal", "text", (column) => column.notNull())
    .addColumn("at", "timestamptz", (column) => column.notNull())
    // A feed ordered by position alone would skip what commits late: transactions do not
    // end in the order in which they drew their positions.
    .addColumn(
      "transaction",
      sql`xid8`,
      (column) => column.notNull().defaultTo(sql`pg_current_xact_id()`),
    )
    .addColumn("position", "bigint", (column) => column.notNull().generatedAlwaysAsIdentity())
    // The last line of defence, should the fence ever have a hole.
    .addPrimaryKeyConstraint("event_pkey", ["kind", "key", "version"])
    .execute();
  await db.schema.createIndex("event_feed_idx").on("event")
    .columns(["transaction", "position"]).execute();
  // Events lie on disk in the order of their time, which is all that a BRIN index needs.
  await db.schema.createIndex("event_at_idx").on("event").using("brin").column("at").execute();

  await ofActors(db, "snapshot")
    .addColumn("version", "bigint", (column) => column.notNull())
    .addColumn("schema", "smallint", (column) => column.notNull())
    .addColumn("state", "jsonb", (column) => column.notNull())
    .addPrimaryKeyConstraint("snapshot_pkey", ["kind", "key"])
    .execute();

  await ofActors(db, "reply")
    .addColumn("principal", "text", (column) => column.notNull())
    .addColumn("idempotency_key", "text", (column) => column.notNull())
    .addColumn("request_hash", "text", (column) => column.notNull())
    .addColumn("outcome", "jsonb", (column) => column.notNull())
    .addColumn("at", "timestamptz", (column) => column.notNull())
    .addPrimaryKeyConstraint("reply_pkey", ["kind", "key", "principal", "idempotency_key"])
    .execute();
  await db.schema.createIndex("reply_at_idx").on("reply").using("brin").column("at").execute();

  await db.schema.createTable("checkpoint")
    .addColumn("projection", "text", (column) => column.primaryKey())
    .addColumn("transaction", sql`xid8`, (column) => column.notNull())
    .addColumn("position", "bigint", (column) => column.notNull())
    .addColumn("through", sql`xid8`, (column) => column.notNull())
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of ["checkpoint", "reply", "snapshot", "event", "actor"]) {
    await db.schema.dropTable(table).execute();
  }
}

/**
 * A table that belongs to actors begins with their address, so that it can be spread over servers by
 * it. Byte order is cheaper to compare than any language's, and the same everywhere.
 */
function ofActors(db: Kysely<unknown>, table: string): CreateTableBuilder<string, "kind" | "key"> {
  return db.schema.createTable(table)
    .addColumn("kind", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("key", sql`text collate "C"`, (column) => column.notNull());
}
