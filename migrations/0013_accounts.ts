/** Users as a table, for the list of them, and what has been revoked in the order of its recording. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable("user_account")
    .addColumn("id", sql`text collate "C"`, (column) => column.primaryKey())
    .addColumn("email", "text", (column) => column.notNull())
    .addColumn("status", sql`text collate "C"`, (column) => column.notNull())
    .addColumn("roles", sql`text[]`, (column) => column.notNull())
    .addColumn("registered_at", "timestamptz", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("user_account_registered_idx").on("user_account")
    .columns(["registered_at", "id"]).execute();

  await sql`create index event_revocation_idx on event (transaction)
    where kind = 'user' and type in ('SessionsEnded', 'KeyRevoked')`.execute(db);
  await sql`create index event_user_feed_idx on event (transaction, position)
    where kind = 'user' and type in ('Registered', 'EmailVerified', 'RolesChanged', 'Disabled',
      'Enabled')`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex("event_user_feed_idx").execute();
  await db.schema.dropIndex("event_revocation_idx").execute();
  await db.schema.dropTable("user_account").execute();
}
