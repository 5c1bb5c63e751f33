/** The newest rebuild of each projection: how far it is, or how it ended. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable("projection_rebuild")
    .addColumn("projection", sql`text collate "C"`, (column) => column.primaryKey())
    // Tells the process that is at it from one that was; a lease in the past means it was lost.
    .addColumn("token", "bigint", (column) => column.notNull())
    .addColumn("lease_until", "timestamptz", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("principal", "text", (column) => column.notNull())
    .addColumn("started_at", "timestamptz", (column) => column.notNull())
    .addColumn("ended_at", "timestamptz")
    // The checkpoint of the tables that are being made.
    .addColumn("transaction", sql`xid8`, (column) => column.notNull())
    .addColumn("position", "bigint", (column) => column.notNull())
    .addColumn("through", sql`xid8`, (column) => column.notNull())
    .addColumn("events", "bigint", (column) => column.notNull())
    .addColumn("error", "text")
    // Of the tables when it began: what a migration has changed since must not be changed back.
    .addColumn("structure", "text", (column) => column.notNull())
    // A row is written with every page.
    .modifyEnd(sql`with (fillfactor = 50)`)
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable("projection_rebuild").execute();
}
