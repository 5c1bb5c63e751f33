/** A feed of its own for kinds of which little happens: who follows them steps over nothing else. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create index event_quiet_feed_idx on event (transaction, position)
    where kind in ('flow', 'schedule')`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex("event_quiet_feed_idx").execute();
}
