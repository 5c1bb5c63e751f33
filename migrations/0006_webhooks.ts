/** Webhook endpoints and how deliveries to them went. */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable("webhook_endpoint")
    .addColumn("id", sql`text collate "C"`, (column) => column.primaryKey())
    .addColumn("owner_id", "text", (column) => column.notNull())
    .addColumn("url", "text", (column) => column.notNull())
    .addColumn("types", sql`text[]`, (column) => column.notNull())
    .addColumn("description", "text")
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("disabled_because", "text")
    .addColumn("created_at", "timestamptz", (column) => column.notNull())
    .addColumn("version", "bigint", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("webhook_endpoint_owner_idx").on("webhook_endpoint")
    .columns(["owner_id", "id"]).execute();
  // Asked of it before each page of events: whether there is anybody at all.
  await sql`create index webhook_endpoint_enabled_idx on webhook_endpoint (owner_id)
    where status = 'enabled'`.execute(db);

  await db.schema.createTable("webhook_delivery")
    .addColumn("endpoint_id", sql`text collate "C"`, (column) => column.primaryKey())
    .addColumn("last_success_at", "timestamptz")
    .addColumn("last_failure_at", "timestamptz")
    .addColumn("last_failure", "text")
    // Changes with every delivery and is in no index, so those updates are HOT.
    .modifyEnd(sql`with (fillfactor = 50)`)
    .execute();

  // What happened before there could be an endpoint is told to none, and need not be read.
  await sql`
    insert into checkpoint (projection, transaction, position, through)
    select 'webhooks', transaction, position, '0'::xid8 from event
    order by transaction desc, position desc limit 1`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`delete from checkpoint where projection = 'webhooks'`.execute(db);
  for (const table of ["webhook_delivery", "webhook_endpoint"]) {
    await db.schema.dropTable(table).execute();
  }
}
