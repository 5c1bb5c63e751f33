/** What the lists of live events and registrations are read from. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable("live_event")
    .addColumn("id", sql`text collate "C"`, (column) => column.primaryKey())
    .addColumn("organizer_id", "text", (column) => column.notNull())
    .addColumn("title", "text", (column) => column.notNull())
    .addColumn("description", "text")
    .addColumn("venue", "text")
    .addColumn("starts_at", "timestamptz", (column) => column.notNull())
    .addColumn("ends_at", "timestamptz", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("capacity", "integer", (column) => column.notNull())
    .addColumn("waitlist_capacity", "integer")
    .addColumn("confirmed", "integer", (column) => column.notNull())
    .addColumn("waitlisted", "integer", (column) => column.notNull())
    .addColumn("version", "bigint", (column) => column.notNull())
    // Without a language's rules: titles come in many, and names follow none.
    .addColumn(
      "search",
      sql`tsvector`,
      (column) =>
        column.notNull().generatedAlwaysAs(sql`to_tsvector('simple',
        title || ' ' || coalesce(description, '') || ' ' || coalesce(venue, ''))`).stored(),
    )
    // The counters change with every registration and are in no index, so those updates are HOT.
    .modifyEnd(sql`with (fillfactor = 70)`)
    .execute();
  await db.schema.createIndex("live_event_start_idx").on("live_event")
    .columns(["starts_at", "id"]).execute();
  await db.schema.createIndex("live_event_organizer_idx").on("live_event")
    .columns(["organizer_id", "starts_at", "id"]).execute();
  await db.schema.createIndex("live_event_search_idx").on("live_event")
    .using("gin").column("search").execute();

  await db.schema.createTable("registration")
    .addColumn("event_id", sql`text collate "C"`, (column) => column.notNull())
    // The event's version at the registration: the order in which people came.
    .addColumn("arrival", "bigint", (column) => column.notNull())
    .addColumn("registration_id", "uuid", (column) => column.primaryKey())
    .addColumn("user_id", "text", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("registered_at", "timestamptz", (column) => column.notNull())
    .modifyEnd(sql`with (fillfactor = 85)`)
    .execute();
  await db.schema.createIndex("registration_arrival_idx").on("registration")
    .columns(["event_id", "arrival"]).execute();
  await db.schema.createIndex("registration_user_idx").on("registration")
    .columns(["user_id", "registered_at", "registration_id"]).execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable("registration").execute();
  await db.schema.dropTable("live_event").execute();
}
