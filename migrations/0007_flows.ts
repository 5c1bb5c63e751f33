/** What the list of flows is read from. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable("flow")
    .addColumn("id", sql`text collate "C"`, (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("nodes", "integer", (column) => column.notNull())
    .addColumn("completed", "integer", (column) => column.notNull())
    .addColumn("failed", "integer", (column) => column.notNull())
    .addColumn("started_by", "text", (column) => column.notNull())
    .addColumn("correlation_id", "uuid", (column) => column.notNull())
    .addColumn("started_at", "timestamptz", (column) => column.notNull())
    .addColumn("ended_at", "timestamptz")
    .addColumn("version", "bigint", (column) => column.notNull())
    // Counters change with every job that ends, and are in no index: those updates are HOT.
    .modifyEnd(sql`with (fillfactor = 70)`)
    .execute();
  await db.schema.createIndex("flow_start_idx").on("flow")
    .columns(["started_at", "id"]).execute();
  await db.schema.createIndex("flow_status_idx").on("flow")
    .columns(["status", "started_at", "id"]).execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable("flow").execute();
}
