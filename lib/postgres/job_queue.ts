/**
 * Jobs in Postgres. All times are the database's own, so that clocks of nodes do not matter.
 *
 * The session that runs these statements knows no joins but nested loops over indexes: tables that are
 * empty whenever their statistics are taken would make any other plan look good.
 *
 * @module
 */
import {
  CompiledQuery,
  type Kysely,
  type QueryExecutorProvider,
  type RawBuilder,
  sql,
} from "kysely";
import { PoisonFault, TransientFault } from "../fault.ts";
import { JOB_KIND } from "../jobs/job.ts";
import type {
  ClaimedJob,
  JobClaim,
  JobEnding,
  JobHold,
  JobPage,
  JobQuery,
  JobQueue,
  JobRecord,
  JobStatus,
  QueueDepth,
  QueueLimits,
} from "../jobs/job_queue.ts";
import type { NewMessage } from "../runtime/store.ts";
import { type EndingNeeds, removeStatement, settleStatement } from "./job_statements.ts";
import { messageOf, type MessageRow } from "./outbox.ts";
import type { Tables } from "./tables.ts";

type Int8 = number | bigint | string;

/** Jobs of one statement: it is all or nothing, and a parameter of bounded size. */
const ENQUEUE_MAX = 1_000;
/** A key that is taken whenever it is tried and free whenever it is looked at is asked for so often. */
const ENQUEUE_TRIES = 10;
/** Of a queue with limits, so many that might run are looked at for those that may. */
const LOOK_MAX = 1_000;

export class PostgresJobQueue implements JobQueue {
  readonly #db: Kysely<Tables>;

  constructor({ jobs }: { readonly jobs: Kysely<Tables> }) {
    this.#db = jobs;
  }

  async enqueue(jobs: readonly NewMessage[]): Promise<readonly string[]> {
    if (jobs.length <= ENQUEUE_MAX) {
      // Looking out for jobs that are known already takes a fifth of an insert's time.
      return await insertedAsNew(this.#db, jobs) ?? await enqueued(this.#db, jobs);
    }
    return await this.#db.transaction().execute((transaction) => enqueueWithin(transaction, jobs));
  }

  async claim(claim: JobClaim): Promise<JobPage> {
    const { limits = {} } = claim;
    const isLimited = Object.values(limits).some((limit) => limit !== undefined);
    if (!isLimited) return { jobs: await claimed(this.#db, claim) };
    return await this.#db.transaction().execute(async (transaction) => {
      // One at a time counts what runs, so that two cannot both take what was left.
      await lockQueue(transaction, claim.queue);
      return await claimedWithin(transaction, claim, limits);
    });
  }

  async started(queue: string, token: number, windowMs: number): Promise<void> {
    // Not now(): that is when the statement's transaction began to be, not after the jobs did.
    await sql`
      update job_start set counts_until = clock_timestamp() + ${windowMs} * interval '1 ms'
      where queue = ${queue} and token = ${token}::bigint`.execute(this.#db);
  }

  async nextDueMs(queue: string): Promise<number | undefined> {
    const { rows } = await sql<{ ms: Int8 | null }>`
      select extract(epoch from min(o.available_at) - now()) * 1000 as ms
      from generate_series(0, 9) as level(priority) cross join lateral (
        select available_at from outbox
        where kind = 'job' and key || '' = ${queue} and priority = level.priority and available_at > now()
        order by available_at, position
        limit 1
      ) o`.execute(this.#db);
    const ms = rows[0]?.ms;
    return ms === null || ms === undefined ? undefined : Math.max(0, Number(ms));
  }

  async settle(endings: readonly JobEnding[]): Promise<readonly boolean[]> {
    const held = await settled(this.#db, endings);
    const missed = endings.filter((_, n) => !held.has(n));
    if (missed.length === 0) return endings.map(() => true);
    // One that was prolonged in the same moment has moved, and is found at its new place.
    const found = await settled(this.#db, missed);
    const late = new Set(missed.filter((_, n) => found.has(n)));
    return endings.map((ending, n) => held.has(n) || late.has(ending));
  }

  async extend(holds: readonly JobHold[], leaseMs: number, { isCounted } = { isCounted: false }) {
    const found = isCounted
      ? await this.#db.transaction().execute(async (transaction) => {
        // Not while somebody counts what runs: it would count a place neither as free nor as taken.
        const queues = new Set(holds.map(({ queue }) => queue));
        for (const queue of [...queues].sort()) await lockQueue(transaction, queue);
        return await extended(transaction, holds, leaseMs, isCounted);
      })
      : await extended(this.#db, holds, leaseMs, isCounted);
    const held = new Map(found.map(({ n, is_cancelled }) => [n, is_cancelled]));
    return {
      lost: holds.filter((_, n) => !held.has(n)),
      cancelled: holds.filter((_, n) => held.get(n) === true),
    };
  }

  async note({ queue, position, token }: JobHold, progress: unknown): Promise<boolean> {
    const { rows } = await sql`
      update outbox set progress = ${JSON.stringify(progress)}::text::jsonb
      where kind = ${JOB_KIND} and key = ${queue} and position = ${position}::bigint
        and token = ${token}::bigint
      returning position`.execute(this.#db);
    return rows.length > 0;
  }

  async get(id: string): Promise<JobRecord | undefined> {
    const isIt = sql`message_id = ${id}::uuid`;
    const { rows } = await sql<RecordRow>`
      (${waitingJobs(sql`kind = 'job' and ${isIt}`)}) union all
      (${finishedJobs(isIt)}) union all
      (${deadJobs(sql`kind = 'job' and ${isIt}`)})`.execute(this.#db);
    return rows[0] && recordOf(rows[0]);
  }

  async list({ queue, status, before, limit }: JobQuery): Promise<readonly JobRecord[]> {
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
    }) jobs ${last}`.execute(this.#db);
    return rows.map(recordOf);
  }

  async cancel(
    id: string,
    by: string,
    { keepMs, report }: { readonly keepMs: number; readonly report?: NewMessage },
  ): Promise<"cancelled" | "cancelling" | undefined> {
    const { rows } = await sql<{ is_gone: boolean }>`
      with target as materialized (
        select ctid as place, coalesce(lease_until > now(), false) as runs from outbox
        where kind = 'job' and message_id = ${id}::uuid for update
      ),
      flagged as (
        update outbox set cancelled_by = ${by} from target
        where outbox.ctid = target.place and target.runs
        returning false as is_gone
      ),
      gone as (
        delete from outbox using target where outbox.ctid = target.place and not target.runs
        returning outbox.*
      ),
      kept as (
        insert into finished_job (queue, position, message_id, schema, command, correlation_id,
          causation_id, principal, traceparent, at, priority, concurrency_key, attempts, progress,
          cancelled_by, finished_at, keep_until)
        select key, position, message_id, schema, command, correlation_id, causation_id, principal,
          traceparent, at, priority, concurrency_key, attempts, progress, ${by}, now(),
          now() + ${keepMs} * interval '1 ms'
        from gone where ${keepMs}::float8 > 0
      ),
      told as (
        insert into outbox (kind, key, message_id, schema, command, correlation_id, causation_id,
          principal, traceparent, at, available_at)
        select m.kind, m.key, m.id, m.schema, m.command, m.correlation, m.causation, m.principal,
          m.trace, now(), now()
        from gone cross join jsonb_to_record(${
      JSON.stringify(report === undefined ? {} : messageRequest(report))
    }::text::jsonb) as m(kind text, key text, id uuid, schema smallint, command jsonb,
          correlation uuid, causation uuid, principal jsonb, trace text)
        where m.id is not null
      )
      select true as is_gone from gone union all select is_gone from flagged`.execute(this.#db);
    const [row] = rows;
    return row && (row.is_gone ? "cancelled" : "cancelling");
  }

  async depth(queues: readonly string[], countMax: number): Promise<readonly QueueDepth[]> {
    const { rows } = await sql<
      { queue: string; waiting: Int8; active: Int8; oldest_ms: Int8 | null }
    >`
      select q.queue, counted.* from unnest(${queues}::text[]) as q(queue) cross join lateral (
        select count(*) filter (where not runs) as waiting, count(*) filter (where runs) as active,
          extract(epoch from now() - min(available_at) filter (where not runs)) * 1000 as oldest_ms
        from (
          select o.* from generate_series(0, 9) as level(priority) cross join lateral (
            select coalesce(lease_until > now(), false) as runs, available_at from outbox
            where kind = 'job' and key || '' = q.queue and priority = level.priority
              and available_at <= now()
            order by available_at, position
          ) o limit ${countMax}
        ) due
      ) counted`.execute(this.#db);
    return rows.map(({ queue, waiting, active, oldest_ms }) => ({
      queue,
      waiting: Number(waiting),
      active: Number(active),
      oldestMs: Number(oldest_ms ?? 0),
    }));
  }

  async forget(limit: number): Promise<number> {
    const result = await sql`
      delete from finished_job where ctid = any(array(
        select ctid from finished_job where keep_until <= now()
        order by keep_until limit ${limit} for update skip locked
      ))`.execute(this.#db);
    return Number(result.numAffectedRows);
  }
}

/** A limit is kept by one at a time. */
async function lockQueue(transaction: QueryExecutorProvider, queue: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`queue/${queue}`}, 0))`
    .execute(transaction);
}

async function extended(
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

/** Enqueues with whatever else `transaction` does; otherwise as {@linkcode JobQueue.enqueue} says. */
export async function enqueueWithin(
  transaction: QueryExecutorProvider,
  jobs: readonly NewMessage[],
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let from = 0; from < jobs.length; from += ENQUEUE_MAX) {
    ids.push(...await enqueued(transaction, jobs.slice(from, from + ENQUEUE_MAX)));
  }
  return ids;
}

/** Undefined, and nothing is inserted, if some of them are known already. */
async function insertedAsNew(
  db: Kysely<Tables>,
  jobs: readonly NewMessage[],
): Promise<readonly string[] | undefined> {
  try {
    await insertion(jobs, sql``).execute(db);
    // Those that have ended were passed over, and are known by their ids all the same.
    return jobs.map(({ messageId }) => messageId);
  } catch (error) {
    if (error instanceof PoisonFault) return undefined;
    throw error;
  }
}

function insertion(jobs: readonly NewMessage[], onConflict: RawBuilder<unknown>) {
  const { alike, own } = partedRows(jobs.map((job) => messageRequest(job)));
  return sql<{ message_id: string }>`
    insert into outbox (kind, key, message_id, schema, command, correlation_id, causation_id,
      principal, traceparent, at, available_at, priority, unique_key, concurrency_key)
    select coalesce(m.kind, a.kind), coalesce(m.key, a.key), m.id, coalesce(m.schema, a.schema),
      m.command, m.correlation, m.causation, coalesce(m.principal, a.principal), m.trace, now(),
      now() + coalesce(m.delay, a.delay) * interval '1 ms', coalesce(m.priority, a.priority), m.once,
      m.share
    from jsonb_to_record(${JSON.stringify(alike)}::text::jsonb) as a(kind text, key text,
      schema smallint, principal jsonb, delay bigint, priority smallint)
    cross join rows from (jsonb_to_recordset(${JSON.stringify(own)}::text::jsonb) as (
      kind text, key text, id uuid, schema smallint, command jsonb, correlation uuid, causation uuid,
      principal jsonb, trace text, delay bigint, priority smallint, once text, share text
    )) with ordinality as m(kind, key, id, schema, command, correlation, causation, principal, trace,
      delay, priority, once, share, place)
    where not exists (select from finished_job f where f.message_id = m.id)
      and not exists (select from dead_letter d where d.message_id = m.id)
    order by m.place
    ${onConflict}`;
}

const oftenAlike = ["kind", "key", "schema", "principal", "delay", "priority"] as const;

/** What all rows have alike is sent once: to read JSON is a third of what enqueueing costs. */
function partedRows(rows: readonly MessageRequest[]) {
  const [first] = rows;
  const names = oftenAlike.filter((name) => rows.every((row) => row[name] === first![name]));
  const alike = Object.fromEntries(names.map((name) => [name, first![name]]));
  const none = Object.fromEntries(names.map((name) => [name, undefined]));
  return { alike, own: rows.map((row) => ({ ...row, ...none })) };
}

type MessageRequest = ReturnType<typeof messageRequest>;

async function enqueued(
  db: QueryExecutorProvider,
  jobs: readonly NewMessage[],
  triesLeft = ENQUEUE_TRIES,
): Promise<readonly string[]> {
  const added = await inserted(db, jobs);
  if (added.length === jobs.length) return jobs.map(({ messageId }) => messageId);
  const ids = new Map(added.map((id) => [id, id]));
  const others = jobs.filter(({ messageId }) => !ids.has(messageId));
  const missed: NewMessage[] = [];
  await Promise.all(others.map(async (job) => {
    const id = await standInFor(db, job);
    if (id === undefined) missed.push(job);
    else ids.set(job.messageId, id);
  }));
  if (missed.length > 0) {
    // Whoever had the key has ended since, and is not kept: it is free.
    if (triesLeft === 1) throw new TransientFault("Cannot enqueue: a unique key changes hands");
    const again = await enqueued(db, missed, triesLeft - 1);
    missed.forEach(({ messageId }, n) => ids.set(messageId, again[n]!));
  }
  return jobs.map(({ messageId }) => ids.get(messageId)!);
}

async function inserted(
  db: QueryExecutorProvider,
  jobs: readonly NewMessage[],
): Promise<readonly string[]> {
  const { rows } = await insertion(jobs, sql`on conflict do nothing returning message_id`)
    .execute(db);
  return rows.map(({ message_id }) => message_id);
}

/** The job itself, if it is known; else who has its unique key, if anyone still does. */
async function standInFor(
  db: QueryExecutorProvider,
  { messageId, to, job }: NewMessage,
): Promise<string | undefined> {
  const { rows } = await sql<{ id: string | null }>`
    select coalesce(
      (select message_id from outbox where kind = 'job' and message_id = ${messageId}::uuid),
      (select message_id from finished_job where message_id = ${messageId}::uuid),
      (select message_id from dead_letter where message_id = ${messageId}::uuid),
      (select message_id from outbox where key = ${to.key}
        and unique_key = ${job?.uniqueKey ?? null} and unique_key is not null)) as id`
    .execute(db);
  return rows[0]?.id ?? undefined;
}

function messageRequest(message: NewMessage) {
  return {
    kind: message.to.kind,
    key: message.to.key,
    id: message.messageId,
    schema: message.schema,
    command: message.command,
    correlation: message.correlationId,
    causation: message.causationId,
    principal: message.principal,
    trace: message.traceparent,
    delay: message.delayMs,
    priority: message.job?.priority ?? 0,
    once: message.job?.uniqueKey,
    share: message.job?.concurrencyKey,
  };
}

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

async function claimed(db: Kysely<Tables>, claim: JobClaim): Promise<readonly ClaimedJob[]> {
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
async function claimedWithin(
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

/** All who touch several jobs do it in this order, so that they cannot wait in a circle. */
function inOrder(
  a: { readonly queue: string; readonly position: number },
  b: { readonly queue: string; readonly position: number },
): number {
  if (a.queue !== b.queue) return a.queue < b.queue ? -1 : 1;
  return a.position - b.position;
}

/** Which of the endings are recorded, by their places in the list. */
async function settled(
  db: Kysely<Tables>,
  endings: readonly JobEnding[],
): Promise<ReadonlySet<number>> {
  const ordered = endings.map((ending, n) => ({ n, ending }))
    .sort((a, b) => inOrder(a.ending, b.ending));
  const { rows } = await db.executeQuery<{ n: number }>(
    isMereRemoval(endings)
      ? CompiledQuery.raw(removeStatement, [
        endings[0]!.queue,
        ordered.map(({ ending }) => ending.position),
        ordered.map(({ ending }) => ending.token),
      ])
      : CompiledQuery.raw(settleStatement(needsOf(endings)), [
        JSON.stringify(ordered.map(({ ending }, place) => endingRequest(place, ending))),
      ]),
  );
  return new Set(rows.map(({ n }) => ordered[n]!.n));
}

/** Nothing is left of these jobs, and all are of one queue. */
function isMereRemoval(endings: readonly JobEnding[]): boolean {
  const [first] = endings;
  return !Object.values(needsOf(endings)).includes(true) &&
    endings.every(({ queue }) => queue === first!.queue);
}

function needsOf(endings: readonly JobEnding[]): EndingNeeds {
  return {
    keeps: endings.some((ending) => "keepMs" in ending && ending.keepMs > 0),
    buries: endings.some(({ is }) => is === "failed"),
    returns: endings.some(({ is }) => is === "retried" || is === "released"),
    reports: endings.some(({ report }) => report !== undefined),
    counts: endings.some(({ isCounted }) => isCounted),
  };
}

function holdRequest(n: number, { queue, position, token }: JobHold) {
  return { n, kind: JOB_KIND, queue, position, token };
}

function endingRequest(n: number, ending: JobEnding) {
  const { is, report } = ending;
  return {
    ...holdRequest(n, ending),
    is,
    ...(is === "completed" && { result: ending.result ?? null }),
    ...("keepMs" in ending && { keep: ending.keepMs }),
    ...(is === "retried" && { delay: ending.delayMs }),
    ...("error" in ending && { error: ending.error }),
    ...(report !== undefined && { report: messageRequest(report) }),
  };
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
