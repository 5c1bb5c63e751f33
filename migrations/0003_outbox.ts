/** Told messages on their way, who has their lanes, and what could not be handled. */
import { type CreateTableBuilder, type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await messages(db, "outbox")
    .addColumn("position", "bigint", (column) => column.notNull().generatedByDefaultAsIdentity())
    .addColumn("available_at", "timestamptz", (column) => column.notNull())
    .addPrimaryKeyConstraint("outbox_pkey", ["kind", "key", "position"])
    .execute();
  await db.schema.createIndex("outbox_due_idx").on("outbox")
    .columns(["available_at", "position"]).execute();

  // A lane has a row only while it is claimed, paused or parked.
  await ofActors(db, "lane")
    .addColumn("token", "bigint", (column) => column.notNull())
    .addColumn("lease_until", "timestamptz", (column) => column.notNull())
    .addColumn("next_at", "timestamptz", (column) => column.notNull())
    // Those at the message of that position; any other begins anew.
    .addColumn("attempts", "integer", (column) => column.notNull())
    .addColumn("attempted", "bigint")
    .addColumn("error", "text")
    .addColumn("parked_at", "timestamptz")
    .addPrimaryKeyConstraint("lane_pkey", ["kind", "key"])
    .execute();

  await messages(db, "dead_letter")
    .addColumn("position", "bigint", (column) => column.notNull())
    .addColumn("attempts", "integer", (column) => column.notNull())
    .addColumn("error", "text", (column) => column.notNull())
    .addColumn("buried_at", "timestamptz", (column) => column.notNull())
    .addPrimaryKeyConstraint("dead_letter_pkey", ["kind", "key", "position"])
    .addUniqueConstraint("dead_letter_message_id_key", ["message_id"])
    .execute();
  await db.schema.createIndex("dead_letter_position_idx").on("dead_letter")
    .columns(["position"]).execute();

  await db.schema.createTable("audit")
    .addColumn("id", "bigint", (column) => column.generatedAlwaysAsIdentity().primaryKey())
    .addColumn("at", "timestamptz", (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn("principal", "text", (column) => column.notNull())
    .addColumn("act", "text", (column) => column.notNull())
    .addColumn("subject", "text", (column) => column.notNull())
    .addColumn("detail", "jsonb", (column) => column.notNull())
    .execute();

  // Rows come and go: left to the defaults, vacuum would wait for a fifth of a table that was once
  // large, and every claim would step over the dead ones.
  for (const table of ["outbox", "lane"]) {
    await sql`alter table ${sql.table(table)} set (autovacuum_vacuum_scale_factor = 0,
      autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_scale_factor = 0,
      autovacuum_vacuum_insert_threshold = 10000, autovacuum_vacuum_cost_delay = 0,
      autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000)`.execute(db);
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of ["audit", "dead_letter", "lane", "outbox"]) {
    await db.schema.dropTable(table).execute();
  }
}

function messages(db: Kysely<unknown>, table: string) {
  return ofActors(db, table)
    .addColumn("message_id", "uuid", (column) => column.notNull())
    .addColumn("schema", "smallint", (column) => column.notNull())
    .addColumn("command", "jsonb", (column) => column.notNull())
    .addColumn("correlation_id", "uuid", (column) => column.notNull())
    .addColumn("causation_id", "uuid", (column) => column.notNull())
    .addColumn("principal", "jsonb", (column) => column.notNull())
    .addColumn("traceparent", "text")
    .addColumn("at", "timestamptz", (column) => column.notNull());
}

/** The address of the actor that the message is for comes first, as in every table of actors. */
function ofActors(db: Kysely<unknown>, table: string): CreateTableBuilder<string, "kind" | "key"> {
  return db.schema.createTable(table)
    .addColumn("kind", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("key", sql`text collate "C"`, (column) => column.notNull());
}
