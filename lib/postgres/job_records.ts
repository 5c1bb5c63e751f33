/** Jobs as whoever asks for them sees them, wherever they lie by now. */
import { type Kysely, type RawBuilder, sql } from "kysely";
import { JOB_KIND } from "../jobs/job.ts";
import type { JobQuery, JobRecord, JobStatus } from "../jobs/job_queue.ts";
import { messageOf, type MessageRow } from "./outbox.ts";
import type { Tables } from "./tables.ts";

export async function jobOf(db: Kysely<Tables>, id: string): Promise<JobRecord | undefined> {
  const isIt = sql`message_id = ${id}::uuid`;
  const { rows } = await sql<RecordRow>`
      (${waitingJobs(sql`kind = 'job' and ${isIt}`)}) union all
      (${finishedJobs(isIt)}) union all
      (${deadJobs(sql`kind = 'job' and ${isIt}`)})`.execute(db);
  return rows[0] && recordOf(rows[0]);
}

/** The newest first. */
export async function jobsOf(
  db: Kysely<Tables>,
  { queue, status, before, limit }: JobQuery,
): Promise<readonly JobRecord[]> {
  const isBefore = before === undefined ? sql`true` : sql`position < ${before}::bigint`;
  const last = sql`order by position desc limit ${limit}`;
  const parts: Readonly<Record<string, RawBuilder<unknown>>> = {
    waiting: waitingJobs(sql`kind = 'job' and key = ${queue} and ${isBefore}
        ${status === undefined ? sql`` : sql`and ${statusOfWaiting} = ${status}`} ${last}`),
    finished: finishedJobs(sql`queue = ${queue} and ${isBefore}
        ${status === undefined ? sql`` : sql`and ${statusOfFinished} = ${status}`} ${last}`),
    failed: deadJobs(sql`kind = 'job' and key = ${queue} and ${isBefore} ${last}`),
  };
  const wanted = status === undefined ? Object.keys(parts) : [placeOf[status]];
  const { rows } = await sql<RecordRow>`
      select * from (${
    sql.join(wanted.map((part) => sql`(${parts[part]!})`), sql` union all `)
  }) jobs ${last}`.execute(db);
  return rows.map(recordOf);
}

/** Where jobs of a status are found. */
const placeOf: Readonly<Record<JobStatus, "waiting" | "finished" | "failed">> = {
  waiting: "waiting",
  delayed: "waiting",
  active: "waiting",
  completed: "finished",
  cancelled: "finished",
  failed: "failed",
};

const statusOfWaiting = sql`case when lease_until > now() then 'active'
  when available_at > now() then 'delayed' else 'waiting' end`;
const statusOfFinished = sql`case when cancelled_by is null then 'completed' else 'cancelled' end`;

const recordColumns = sql`message_id, schema, command, correlation_id, causation_id, principal,
  traceparent, at, position, priority`;

function waitingJobs(which: RawBuilder<unknown>) {
  return sql`
    select key as queue, ${recordColumns}, attempts, progress, null::jsonb as result, error,
      cancelled_by, available_at, null::timestamptz as finished_at, ${statusOfWaiting} as status
    from outbox where ${which}`;
}

function finishedJobs(which: RawBuilder<unknown>) {
  return sql`
    select queue, ${recordColumns}, attempts, progress, result, null as error, cancelled_by,
      null::timestamptz as available_at, finished_at, ${statusOfFinished} as status
    from finished_job where keep_until > now() and ${which}`;
}

function deadJobs(which: RawBuilder<unknown>) {
  return sql`
    select key as queue, ${recordColumns}, attempts, null::jsonb as progress,
      null::jsonb as result, error, null as cancelled_by, null::timestamptz as available_at,
      buried_at as finished_at, 'failed' as status
    from dead_letter where ${which}`;
}

interface RecordRow extends Omit<MessageRow, "kind" | "key"> {
  readonly queue: string;
  readonly priority: number;
  readonly attempts: number;
  readonly progress: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly cancelled_by: string | null;
  readonly available_at: Date | null;
  readonly finished_at: Date | null;
  readonly status: JobStatus;
}

function recordOf(row: RecordRow): JobRecord {
  return {
    ...messageOf({ ...row, kind: JOB_KIND, key: row.queue }),
    status: row.status,
    priority: row.priority,
    attempts: row.attempts,
    ...(row.progress !== null && { progress: row.progress }),
    ...(row.status === "completed" && { result: row.result }),
    ...(row.error !== null && { error: row.error }),
    ...(row.cancelled_by !== null && { cancelledBy: row.cancelled_by }),
    ...(row.available_at !== null && { availableAt: row.available_at.getTime() }),
    ...(row.finished_at !== null && { finishedAt: row.finished_at.getTime() }),
  };
}
