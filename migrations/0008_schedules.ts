/** What the list of schedules is read from. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable("schedule")
    .addColumn("id", sql`text collate "C"`, (column) => column.primaryKey())
    .addColumn("cron", "text", (column) => column.notNull())
    .addColumn("time_zone", "text", (column) => column.notNull())
    .addColumn("job_type", "text", (column) => column.notNull())
    .addColumn("queue", "text", (column) => column.notNull())
    .addColumn("missed", "text", (column) => column.notNull())
    .addColumn("jitter_ms", "integer", (column) => column.notNull())
    .addColumn("is_in_code", "boolean", (column) => column.notNull())
    .addColumn("status", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("next_at", "timestamptz")
    .addColumn("last_run_for", "timestamptz")
    .addColumn("last_run_at", "timestamptz")
    .addColumn("version", "bigint", (column) => column.notNull())
    // Every tick moves times that are in no index, so those updates are HOT.
    .modifyEnd(sql`with (fillfactor = 70)`)
    .execute();
  await db.schema.createIndex("schedule_status_idx").on("schedule")
    .columns(["status", "id"]).execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable("schedule").execute();
}
