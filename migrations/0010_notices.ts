/** What people were told of their registrations. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable("notice")
    .addColumn("user_id", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("at", "timestamptz", (column) => column.notNull())
    .addColumn("event_id", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("type", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("expires_at", "timestamptz")
    .addColumn("correlation_id", "uuid", (column) => column.notNull())
    .addPrimaryKeyConstraint("notice_pkey", ["user_id", "at", "event_id", "type"])
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable("notice").execute();
}
