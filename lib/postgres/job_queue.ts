/**
 * Jobs in Postgres. All times are the database's own, so that clocks of nodes do not matter.
 *
 * The session that runs these statements knows no joins but nested loops over indexes: tables that are
 * empty whenever their statistics are taken would make any other plan look good.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import {
  isLimited,
  type JobClaim,
  type JobEnding,
  type JobHold,
  type JobPage,
  type JobQuery,
  type JobQueue,
  type JobRecord,
  type QueueDepth,
} from "../jobs/job_queue.ts";
import { JOB_KIND } from "../jobs/job.ts";
import type { NewMessage } from "../runtime/store.ts";
import { claimed, claimedWithin, extended, lockQueue } from "./job_claims.ts";
import { settled } from "./job_endings.ts";
import { ENQUEUE_MAX, enqueued, enqueueWithin, insertedAsNew } from "./job_enqueueing.ts";
import { jobOf, jobsOf } from "./job_records.ts";
import { replacingFinished } from "./job_statements.ts";
import { messageRequest } from "./outbox.ts";
import type { Tables } from "./tables.ts";

type Int8 = number | bigint | string;

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
    if (!isLimited(limits)) return { jobs: await claimed(this.#db, claim) };
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
    if (endings.length === 0) return [];
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
    return await jobOf(this.#db, id);
  }

  async list(query: JobQuery): Promise<readonly JobRecord[]> {
    return await jobsOf(this.#db, query);
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
        ${sql.raw(replacingFinished)}
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
