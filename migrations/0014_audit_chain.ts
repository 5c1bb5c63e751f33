/** The audit says how an act ended and where it came from; it only grows, and seals chain its rows. */
import { type Kysely, sql } from "kysely";

const kept = ["audit", "audit_seal"];

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("audit")
    // What was recorded before said only what had been done.
    .addColumn("outcome", "text", (column) => column.notNull().defaultTo("done"))
    .addColumn("came_from", "text")
    .addColumn("correlation_id", "uuid")
    .execute();
  await sql`alter table audit add constraint audit_outcome_check
    check (outcome in ('done', 'refused', 'failed'))`.execute(db);
  for (const column of ["principal", "act", "subject", "at"]) {
    await db.schema.createIndex(`audit_${column}_idx`).on("audit").columns([column, "id"])
      .execute();
  }

  // Beside the rows, so that they need never be written to again.
  await db.schema.createTable("audit_seal")
    .addColumn("number", "bigint", (column) => column.primaryKey())
    .addColumn("audit_id", "bigint", (column) => column.notNull().unique().references("audit.id"))
    .addColumn("key_id", "text", (column) => column.notNull())
    .addColumn("mac", "bytea", (column) => column.notNull())
    .execute();

  await sql`
    create function refuse_rewriting() returns trigger language plpgsql as $$
    begin
      raise exception '% is only ever added to', tg_table_name
        using errcode = 'insufficient_privilege';
    end $$`.execute(db);
  for (const table of kept) {
    await sql`
      create trigger ${sql.raw(`${table}_is_kept`)}
      before update or delete or truncate on ${sql.table(table)}
      for each statement execute function refuse_rewriting()`.execute(db);
    // Where others are switched off as well, as for a replica.
    await sql`alter table ${sql.table(table)} enable always trigger ${sql.raw(`${table}_is_kept`)}`
      .execute(db);
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of kept) {
    await sql`drop trigger ${sql.raw(`${table}_is_kept`)} on ${sql.table(table)}`.execute(db);
  }
  await sql`drop function refuse_rewriting`.execute(db);
  await db.schema.dropTable("audit_seal").execute();
  for (const column of ["principal", "act", "subject", "at"]) {
    await db.schema.dropIndex(`audit_${column}_idx`).execute();
  }
  await db.schema.alterTable("audit").dropConstraint("audit_outcome_check").execute();
  await db.schema.alterTable("audit").dropColumn("outcome").dropColumn("came_from")
    .dropColumn("correlation_id").execute();
}
