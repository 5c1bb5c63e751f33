/** How workers take jobs out of their queues, and hold them. */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import type { ClaimedJob, JobClaim, JobHold, JobPage, QueueLimits } from "../jobs/job_queue.ts";
import { holdRequest, inOrder } from "./job_endings.ts";
import { messageOf, type MessageRow } from "./outbox.ts";
import type { Tables } from "./tables.ts";

type Int8 = number | bigint | string;

/** Of a queue with limits, so many that might run are looked at for those that may. */
const LOOK_MAX = 1_000;

interface ClaimRow extends MessageRow {
  readonly attempts: number;
  readonly priority: number;
  readonly available_at: Date;
  readonly is_cancelled: boolean;
}

const claimedColumns = sql`o.kind, o.key, o.position, o.message_id, o.schema, o.command,
  o.correlation_id, o.causation_id, o.principal, o.traceparent, o.at, o.attempts, o.priority,
  o.available_at, o.cancelled_by is not null as is_cancelled`;

/** Due, and nobody has it; or this very claim does. */
function isFree(token: number) {
  return sql`available_at <= now()
    and (lease_until is null or lease_until <= now() or token = ${token}::bigint)`;
}

function take({ token, leaseMs }: JobClaim) {
  return sql`
    update outbox o set token = ${token}::bigint,
      lease_until = now() + ${leaseMs} * interval '1 ms',
      attempts = attempts + case when token = ${token}::bigint then 0 else 1 end`;
}

export async function claimed(db: Kysely<Tables>, claim: JobClaim): Promise<readonly ClaimedJob[]> {
  const { queue, token, limit } = claim;
  const { rows } = await sql<ClaimRow>`
    with next as materialized (
      select o.place from generate_series(0, 9) as level(priority) cross join lateral (
        select ctid as place from outbox
        where kind = 'job' and key || '' = ${queue} and priority = level.priority and ${
    isFree(token)
  }
        order by available_at, position
        limit ${limit}
        for update skip locked
      ) o
      limit ${limit}
    )
    ${take(claim)} from next where o.ctid = next.place
    returning ${claimedColumns}`.execute(db);
  return rows.sort(asQueued).map((row) => claimedJob(row, claim));
}

/** Whoever calls this has the lock of the queue: what is counted stays so to the end. */
export async function claimedWithin(
  db: Kysely<Tables>,
  claim: JobClaim,
  { runningMax, runningPerKeyMax, rate }: QueueLimits,
): Promise<JobPage> {
  const { queue, token, leaseMs, limit } = claim;
  const rateMax = rate?.max ?? null;
  const { rows } = await sql<ClaimRow & { again_ms: Int8 | null }>`
    with passed as (
      delete from running_job where queue = ${queue} and lease_until <= now()
    ),
    faded as (
      delete from job_start where queue = ${queue} and counts_until <= now()
    ),
    running as materialized (
      select concurrency_key, count(*) as jobs from running_job
      where queue = ${queue} and lease_until > now() and token <> ${token}::bigint
      group by concurrency_key
    ),
    recent as materialized (
      select coalesce(sum(jobs), 0) as jobs,
        extract(epoch from min(counts_until) - now()) * 1000 as again_ms
      from job_start
      where queue = ${queue} and counts_until > now() and token <> ${token}::bigint
    ),
    room as materialized (
      select greatest(0, least(${limit}::bigint,
        ${runningMax ?? null}::bigint - (select coalesce(sum(jobs), 0) from running),
        ${rateMax}::bigint - (select jobs from recent))) as jobs
    ),
    candidate as (
      select o.*, row_number() over (
        partition by o.concurrency_key order by o.priority, o.available_at, o.position) as nth
      from (
        select due.* from generate_series(0, 9) as level(priority) cross join lateral (
          select ctid as place, position, outbox.priority, available_at, concurrency_key,
            coalesce((select jobs from running r
              where r.concurrency_key = outbox.concurrency_key), 0) as beside
          from outbox
          where kind = 'job' and key || '' = ${queue} and outbox.priority = level.priority
            and ${isFree(token)}
            and (concurrency_key is null or ${runningPerKeyMax ?? null}::bigint is null
              or coalesce((select jobs from running r
                where r.concurrency_key = outbox.concurrency_key), 0)
                < ${runningPerKeyMax ?? null}::bigint)
          order by available_at, position
          limit ${LOOK_MAX}
        ) due
        limit ${LOOK_MAX}
      ) o
    ),
    chosen as materialized (
      select place from candidate
      where concurrency_key is null or ${runningPerKeyMax ?? null}::bigint is null
        or nth + beside <= ${runningPerKeyMax ?? null}::bigint
      order by priority, available_at, position
      limit (select jobs from room)
    ),
    taken as (
      ${take(claim)} from chosen where o.ctid = chosen.place
      returning ${claimedColumns}, o.concurrency_key
    ),
    counted as (
      insert into running_job (queue, position, token, concurrency_key, lease_until)
      select ${queue}, position, ${token}::bigint, concurrency_key,
        now() + ${leaseMs} * interval '1 ms'
      from taken
      on conflict (queue, position) do update
      set token = excluded.token, lease_until = excluded.lease_until
    ),
    noted as (
      insert into job_start (queue, token, jobs, counts_until)
      select ${queue}, ${token}::bigint, count(*),
        now() + ${leaseMs + (rate?.windowMs ?? 0)} * interval '1 ms'
      from taken where ${rateMax}::bigint is not null having count(*) > 0
      -- The first answer got lost, or this one will: whichever it was, they start within its lease.
      on conflict (queue, token) do update set
        jobs = greatest(job_start.jobs, excluded.jobs),
        counts_until = greatest(job_start.counts_until, excluded.counts_until)
    )
    select t.*, case when room.jobs = 0 and recent.jobs >= ${rateMax}::bigint
      then recent.again_ms end as again_ms
    from room cross join recent left join taken t on true`.execute(db);
  const jobs = rows.filter(({ position }) => position !== null).sort(asQueued);
  const againMs = rows[0]?.again_ms;
  return {
    jobs: jobs.map((row) => claimedJob(row, claim)),
    ...(againMs !== null && againMs !== undefined && { againMs: Math.ceil(Number(againMs)) }),
  };
}

/** What an update returns comes in no order. */
function asQueued(a: ClaimRow, b: ClaimRow): number {
  return a.priority - b.priority || a.available_at.getTime() - b.available_at.getTime() ||
    Number(a.position) - Number(b.position);
}

function claimedJob(row: ClaimRow, { queue, token }: JobClaim): ClaimedJob {
  return {
    ...messageOf(row),
    queue,
    token,
    attempt: row.attempts,
    ...(row.is_cancelled && { isCancelled: true }),
  };
}

/** A limit is kept by one at a time. */
export async function lockQueue(transaction: QueryExecutorProvider, queue: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`queue/${queue}`}, 0))`
    .execute(transaction);
}

export async function extended(
  db: QueryExecutorProvider,
  holds: readonly JobHold[],
  leaseMs: number,
  isCounted: boolean,
) {
  const asked = holds.map((hold, n) => holdRequest(n, hold)).sort(inOrder);
  const { rows } = await sql<{ n: number; is_cancelled: boolean }>`
    with request as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(asked)}::text::jsonb) as r(
        n int, kind text, queue text, position bigint, token bigint)
    ),
    held as materialized (
      select r.*, o.place from request r cross join lateral (
        select ctid as place from outbox
        where outbox.kind = r.kind and outbox.key = r.queue and outbox.position = r.position
          and outbox.token = r.token
          and (not ${isCounted}::boolean or exists (
            select from running_job j
            where j.queue = r.queue and j.position = r.position and j.token = r.token))
        limit 1 for update
      ) o
    ),
    counted as (
      update running_job set lease_until = now() + ${leaseMs} * interval '1 ms'
      from (
        select j.place from held r cross join lateral (
          select ctid as place from running_job j
          where j.queue = r.queue and j.position = r.position and j.token = r.token
          limit 1 for update
        ) j
      ) running
      where running_job.ctid = running.place
    )
    update outbox o set lease_until = now() + ${leaseMs} * interval '1 ms'
    from held r where o.ctid = r.place
    returning r.n, o.cancelled_by is not null as is_cancelled`.execute(db);
  return rows;
}
