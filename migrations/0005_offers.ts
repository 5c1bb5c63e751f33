/** Seats that are offered for a time, as the lists of live events and registrations show them. */
import type { Kysely } from "kysely";

// None of the columns is in an index, so updates of the counters stay HOT; a constant default is
// filled in without writing the table anew.
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("live_event")
    .addColumn("offer_minutes", "integer")
    .addColumn("offered", "integer", (column) => column.notNull().defaultTo(0))
    .execute();
  await db.schema.alterTable("registration")
    .addColumn("offer_expires_at", "timestamptz")
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("registration").dropColumn("offer_expires_at").execute();
  await db.schema.alterTable("live_event")
    .dropColumn("offered").dropColumn("offer_minutes").execute();
}
