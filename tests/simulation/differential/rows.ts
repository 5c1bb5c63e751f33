/**
 * All that is in the tables of a store, in words that are the same for every store.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Tables as MemoryTables } from "../../../lib/memory/tables.ts";
import type { Tables } from "../../../lib/postgres/tables.ts";
import { JOB_KIND } from "../../../lib/jobs/job.ts";
import { canonical, momentOf, type Namer } from "./saying.ts";

export type Rows = Readonly<Record<string, readonly unknown[]>>;

/** Of each table, in its order. */
export function rowsInMemory(tables: MemoryTables, now: number, namer: Namer): Rows {
  const { actors, snapshots, feed, outbox, jobs, lanes, letters } = tables;
  const ofActors = [...actors.values()];
  const messages = [...outbox.values()].flat();
  return {
    actors: sorted(ofActors.map(({ address, revision, events }) => ({
      ...address,
      revision,
      version: events.length,
    }))),
    events: feed.map(({ event: { address, version, type, data } }) => ({
      ...address,
      version,
      type,
      data,
    })),
    snapshots: sorted([...snapshots].map(([actor, { version, state }]) => {
      return { actor, version, state };
    })),
    replies: sorted(
      ofActors.flatMap(({ address, replies }) =>
        [...replies.values()].map(({ reply: { principalId, key, outcome }, at }) => {
          return { ...address, principal: principalId, idempotencyKey: key, outcome, at };
        })
      ),
    ),
    messages: sorted(messages.map(({ message: { to, messageId, command }, availableAt }) => {
      return { ...to, id: messageId, command, due: momentOf(availableAt) };
    })),
    jobs: sorted([...jobs.values()].map((job) => ({
      ...job.message.to,
      id: job.message.messageId,
      command: job.message.command,
      due: momentOf(job.availableAt),
      priority: job.traits.priority,
      uniqueKey: job.traits.uniqueKey ?? null,
      concurrencyKey: job.traits.concurrencyKey ?? null,
      token: job.token ?? null,
      isHeld: job.leaseUntil > now,
      attempts: job.attempts,
      error: job.error ?? null,
      progress: job.progress ?? null,
      cancelledBy: job.cancelledBy ?? null,
    }))),
    lanes: sorted([...lanes.values()].map((lane) => ({
      ...lane.address,
      token: lane.token,
      isHeld: lane.leaseUntil > now,
      isPaused: lane.nextAt > now,
      isParked: lane.isParked,
      attempts: lane.attempts,
      attempted: lane.attempted === undefined ? null : namer.nameOf(lane.attempted),
    }))),
    letters: [...letters.values()].sort((a, b) => a.letter.position - b.letter.position)
      .map(({ letter, traits }) => ({
        ...letter.to,
        id: letter.messageId,
        command: letter.command,
        attempts: letter.attempts,
        error: letter.error,
        priority: traits.priority,
        concurrencyKey: traits.concurrencyKey ?? null,
      })),
    finished: sorted([...tables.finished.values()].map(({ job, result }) => ({
      queue: job.message.to.key,
      id: job.message.messageId,
      attempts: job.attempts,
      cancelledBy: job.cancelledBy ?? null,
      result: job.cancelledBy === undefined ? result : null,
    }))),
    running: sorted(
      [...tables.running].filter(([, { leaseUntil }]) => leaseUntil > now)
        .map(([position, { queue, token }]) => ({ queue, token, id: namer.nameOf(position) })),
    ),
    starts: sorted(
      tables.starts.filter(({ countsUntil }) => countsUntil > now)
        .map(({ queue, token, jobs }) => ({ queue, token, jobs })),
    ),
    audit: tables.audit.map(({ principal, act, messageId }) => ({ principal, act, messageId })),
  };
}

export async function rowsInPostgres(db: Kysely<Tables>, namer: Namer): Promise<Rows> {
  const { rows: actors } = await sql<Row>`select kind, key, revision, version from actor`
    .execute(db);
  const { rows: events } = await sql<Row>`
    select kind, key, version, type, data from event order by transaction, position`.execute(db);
  const { rows: snapshots } = await sql<Row>`
    select kind || '/' || key as actor, version, state from snapshot`.execute(db);
  const { rows: replies } = await sql<Row>`
    select kind, key, principal, idempotency_key as "idempotencyKey", outcome, at from reply`
    .execute(db);
  const { rows: outbox } = await sql<Row>`
    select kind, key, message_id as id, command, available_at as due, priority,
      unique_key as "uniqueKey", concurrency_key as "concurrencyKey", token,
      coalesce(lease_until > now(), false) as "isHeld", attempts, error, progress,
      cancelled_by as "cancelledBy"
    from outbox`.execute(db);
  const { rows: lanes } = await sql<Row>`
    select kind, key, token, lease_until > now() as "isHeld", next_at > now() as "isPaused",
      parked_at is not null as "isParked", attempts, attempted from lane`.execute(db);
  const { rows: letters } = await sql<Row>`
    select kind, key, message_id as id, command, attempts, error, priority,
      concurrency_key as "concurrencyKey" from dead_letter order by position`.execute(db);
  const { rows: finished } = await sql<Row>`
    select queue, message_id as id, attempts, cancelled_by as "cancelledBy", result
    from finished_job`.execute(db);
  const { rows: running } = await sql<Row>`
    select queue, token, position from running_job where lease_until > now()`.execute(db);
  const { rows: starts } = await sql<Row>`
    select queue, token, jobs from job_start where counts_until > now()`.execute(db);
  const { rows: audit } = await sql<Row>`
    select principal, act, substr(subject, 13) as "messageId" from audit order by id`.execute(db);
  const waiting = outbox.map(({ due, ...row }) => {
    return { ...row, due: momentOf((due as Date).getTime()) };
  });
  const isJob = ({ kind }: Row) => kind === JOB_KIND;
  return {
    actors: sorted(actors),
    events,
    snapshots: sorted(snapshots),
    replies: sorted(replies.map((row) => ({ ...row, at: (row.at as Date).getTime() }))),
    messages: sorted(
      waiting.filter((row) => !isJob(row)).map(({ kind, key, id, command, due }: Row) => {
        return { kind, key, id, command, due };
      }),
    ),
    jobs: sorted(waiting.filter(isJob)),
    lanes: sorted(lanes.map(({ attempted, ...lane }) => ({
      ...lane,
      attempted: attempted === null ? null : namer.nameOf(Number(attempted)),
    }))),
    letters,
    finished: sorted(finished),
    running: sorted(running.map(({ position, ...row }) => ({
      ...row,
      id: namer.nameOf(Number(position)),
    }))),
    starts: sorted(starts),
    audit,
  };
}

type Row = Record<string, unknown>;

function sorted(rows: readonly object[]): readonly unknown[] {
  return rows.map((row) => ({ row, text: canonical(row) }))
    .sort((a, b) => a.text < b.text ? -1 : 1).map(({ row }) => row);
}
