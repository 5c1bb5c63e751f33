/**
 * Schedules as a table, for the list that no single one can answer.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import { Event, kind } from "../jobs/schedule.ts";
import type { ListedSchedule, ScheduleList, ScheduleQuery } from "../jobs/schedule_list.ts";
import type { Projection } from "../runtime/projector.ts";
import type { FeedEvent } from "../runtime/store.ts";
import type { Tables } from "./tables.ts";

/** What a page of events changes about one schedule. */
interface Change {
  readonly id: string;
  readonly version: number;
  /** It says everything of a schedule, for what was there before is gone. */
  readonly isNew: boolean;
  readonly isGone: boolean;
  readonly cron?: string;
  readonly timeZone?: string;
  readonly jobType?: string;
  readonly queue?: string;
  readonly missed?: string;
  readonly jitterMs?: number;
  readonly isInCode?: boolean;
  readonly status?: string;
  readonly nextAt?: string;
  readonly lastRunFor?: string;
  readonly lastRunAt?: string;
}

/** Takes pages of any size in three statements, however many schedules they speak of. */
export const scheduleProjection: Projection<QueryExecutorProvider> = {
  name: "schedule_list",
  kind,
  hasIndex: true,
  tables: ["schedule"],
  async apply(transaction, recorded) {
    const changes = changesOf(recorded);
    await removeReplaced(transaction, changes.filter(({ isNew, isGone }) => isNew || isGone));
    await insert(transaction, changes.filter(({ isNew, isGone }) => isNew && !isGone));
    await update(transaction, changes.filter(({ isNew, isGone }) => !isNew && !isGone));
  },
};

function changesOf(recorded: readonly FeedEvent[]): readonly Change[] {
  const changes = new Map<string, Change>();
  for (const { address: { key: id }, version, data } of recorded) {
    const before = changes.get(id) ?? { id, version, isNew: false, isGone: false };
    changes.set(id, { ...changedBy(before, Event.parse(data)), version });
  }
  return [...changes.values()];
}

function changedBy(before: Change, event: Event): Change {
  const { id, version } = before;
  switch (event.type) {
    case "Created": {
      const { type: _, job: { type: jobType, queue }, ...rest } = event;
      return { id, version, isNew: true, isGone: false, status: "active", jobType, queue, ...rest };
    }
    case "Revised": {
      const { type: _, job, ...rest } = event;
      return { ...before, ...rest, ...(job && { jobType: job.type, queue: job.queue }) };
    }
    case "Paused":
      return { ...before, status: "paused" };
    case "Resumed":
      return { ...before, status: "active" };
    case "Ticked": {
      const { through, runs, nextAt } = event;
      const lastRunFor = runs.at(-1);
      return {
        ...before,
        ...(nextAt !== undefined && { nextAt }),
        ...(lastRunFor !== undefined && { lastRunFor, lastRunAt: through }),
      };
    }
    case "Triggered":
      return { ...before, lastRunFor: event.at, lastRunAt: event.at };
    case "Deleted":
      return { id, version, isNew: false, isGone: true };
  }
}

function asRows(changes: readonly Change[]) {
  return sql`jsonb_to_recordset(${JSON.stringify(changes)}::text::jsonb) as r(id text, cron text,
    "timeZone" text, "jobType" text, queue text, missed text, "jitterMs" integer,
    "isInCode" boolean, status text, "nextAt" timestamptz, "lastRunFor" timestamptz,
    "lastRunAt" timestamptz, version bigint)`;
}

async function removeReplaced(transaction: QueryExecutorProvider, changes: readonly Change[]) {
  if (changes.length === 0) return;
  await sql`delete from schedule s using ${asRows(changes)} where s.id = r.id`
    .execute(transaction);
}

async function insert(transaction: QueryExecutorProvider, changes: readonly Change[]) {
  if (changes.length === 0) return;
  await sql`
    insert into schedule (id, cron, time_zone, job_type, queue, missed, jitter_ms, is_in_code, status,
      next_at, last_run_for, last_run_at, version)
    select r.id, r.cron, r."timeZone", r."jobType", r.queue, r.missed, r."jitterMs", r."isInCode",
      r.status, r."nextAt", r."lastRunFor", r."lastRunAt", r.version
    from ${asRows(changes)}`.execute(transaction);
}

async function update(transaction: QueryExecutorProvider, changes: readonly Change[]) {
  if (changes.length === 0) return;
  await sql`
    update schedule s set
      cron = coalesce(r.cron, s.cron),
      time_zone = coalesce(r."timeZone", s.time_zone),
      job_type = coalesce(r."jobType", s.job_type),
      queue = coalesce(r.queue, s.queue),
      missed = coalesce(r.missed, s.missed),
      jitter_ms = coalesce(r."jitterMs", s.jitter_ms),
      status = coalesce(r.status, s.status),
      next_at = coalesce(r."nextAt", s.next_at),
      last_run_for = coalesce(r."lastRunFor", s.last_run_for),
      last_run_at = coalesce(r."lastRunAt", s.last_run_at),
      version = r.version
    from ${asRows(changes)}
    where s.id = r.id`.execute(transaction);
}

export class PostgresScheduleList implements ScheduleList {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async list({ status, after, limit }: ScheduleQuery): Promise<readonly ListedSchedule[]> {
    const rows = await this.#db.selectFrom("schedule").selectAll()
      .$if(status !== undefined, (query) => query.where("status", "=", status!))
      .$if(after !== undefined, (query) => query.where("id", ">", after!))
      .orderBy("id").limit(limit).execute();
    return rows.map((row) => ({
      id: row.id,
      cron: row.cron,
      timeZone: row.time_zone,
      jobType: row.job_type,
      queue: row.queue,
      missed: row.missed,
      jitterMs: row.jitter_ms,
      isInCode: row.is_in_code,
      status: row.status,
      nextAt: row.status === "active" ? row.next_at : null,
      lastRun: row.last_run_for && row.last_run_at &&
        { scheduledFor: row.last_run_for, at: row.last_run_at },
      version: Number(row.version),
    }));
  }
}
