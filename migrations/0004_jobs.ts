/**
 * Jobs: messages of the kind `job`, whose key is their queue. They wait in the outbox like all others,
 * but a worker takes them one by one, the most urgent first.
 */
import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("outbox")
    .addColumn("priority", "smallint", (column) => column.notNull().defaultTo(0))
    .addColumn("unique_key", sql`text collate "C"`)
    .addColumn("concurrency_key", sql`text collate "C"`)
    // Who has the job: the claim, and until when it holds.
    .addColumn("token", "bigint")
    .addColumn("lease_until", "timestamptz")
    .addColumn("attempts", "smallint", (column) => column.notNull().defaultTo(0))
    .addColumn("error", "text")
    .addColumn("progress", "jsonb")
    .addColumn("cancelled_by", "text")
    .execute();
  // A claim changes no column that an index has; with room on the page it stays there (HOT).
  await sql`alter table outbox set (fillfactor = 50)`.execute(db);

  // Whoever looks for lanes that are due does not step over the jobs, and the other way round.
  await db.schema.dropIndex("outbox_due_idx").execute();
  await sql`create index outbox_due_idx on outbox (available_at, position) where kind <> 'job'`
    .execute(db);
  // In a form of its own: whoever looks for one job by its position would else be led through all of
  // its queue, as statistics of a table that was empty make both ways look the same.
  await sql`
    create index outbox_job_idx on outbox ((key || ''), priority, available_at, position)
    where kind = 'job'`.execute(db);
  await sql`create unique index outbox_job_id_idx on outbox (message_id) where kind = 'job'`
    .execute(db);
  await sql`
    create unique index outbox_unique_key_idx on outbox (key, unique_key)
    where unique_key is not null`.execute(db);

  await db.schema.alterTable("dead_letter")
    .addColumn("priority", "smallint", (column) => column.notNull().defaultTo(0))
    .addColumn("concurrency_key", sql`text collate "C"`)
    .execute();

  // What runs in queues that bound how much may; the others need no count.
  await ofQueues(db, "running_job")
    .addColumn("position", "bigint", (column) => column.notNull())
    .addColumn("token", "bigint", (column) => column.notNull())
    .addColumn("concurrency_key", sql`text collate "C"`)
    .addColumn("lease_until", "timestamptz", (column) => column.notNull())
    .addPrimaryKeyConstraint("running_job_pkey", ["queue", "position"])
    .execute();

  // How many were started when, for as long as it counts against the rate of their queue.
  await ofQueues(db, "job_start")
    .addColumn("token", "bigint", (column) => column.notNull())
    .addColumn("jobs", "integer", (column) => column.notNull())
    // Until the worker has said when it had them started, they may be starting still.
    .addColumn("counts_until", "timestamptz", (column) => column.notNull())
    .addPrimaryKeyConstraint("job_start_pkey", ["queue", "token"])
    .execute();

  await ofQueues(db, "finished_job")
    .addColumn("position", "bigint", (column) => column.notNull())
    .addColumn("message_id", "uuid", (column) => column.notNull())
    .addColumn("schema", "smallint", (column) => column.notNull())
    .addColumn("command", "jsonb", (column) => column.notNull())
    .addColumn("correlation_id", "uuid", (column) => column.notNull())
    .addColumn("causation_id", "uuid", (column) => column.notNull())
    .addColumn("principal", "jsonb", (column) => column.notNull())
    .addColumn("traceparent", "text")
    .addColumn("at", "timestamptz", (column) => column.notNull())
    .addColumn("priority", "smallint", (column) => column.notNull())
    .addColumn("concurrency_key", sql`text collate "C"`)
    .addColumn("attempts", "smallint", (column) => column.notNull())
    .addColumn("progress", "jsonb")
    .addColumn("cancelled_by", "text")
    .addColumn("result", "jsonb")
    .addColumn("finished_at", "timestamptz", (column) => column.notNull())
    .addColumn("keep_until", "timestamptz", (column) => column.notNull())
    .addPrimaryKeyConstraint("finished_job_pkey", ["queue", "position"])
    .addUniqueConstraint("finished_job_message_id_key", ["message_id"])
    .execute();
  await db.schema.createIndex("finished_job_keep_idx").on("finished_job")
    .columns(["keep_until"]).execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of ["finished_job", "job_start", "running_job"]) {
    await db.schema.dropTable(table).execute();
  }
  await sql`delete from dead_letter where kind = 'job'`.execute(db);
  await db.schema.alterTable("dead_letter")
    .dropColumn("priority").dropColumn("concurrency_key").execute();
  await sql`delete from outbox where kind = 'job'`.execute(db);
  for (const index of ["unique_key", "job_id", "job", "due"]) {
    await db.schema.dropIndex(`outbox_${index}_idx`).execute();
  }
  await db.schema.alterTable("outbox")
    .dropColumn("priority").dropColumn("unique_key").dropColumn("concurrency_key")
    .dropColumn("token").dropColumn("lease_until").dropColumn("attempts").dropColumn("error")
    .dropColumn("progress").dropColumn("cancelled_by").execute();
  await sql`alter table outbox reset (fillfactor)`.execute(db);
  await db.schema.createIndex("outbox_due_idx").on("outbox")
    .columns(["available_at", "position"]).execute();
}

function ofQueues(db: Kysely<unknown>, table: string) {
  return db.schema.createTable(table)
    .addColumn("queue", sql`text collate "C"`, (column) => column.notNull());
}
