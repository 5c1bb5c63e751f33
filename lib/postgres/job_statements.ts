/**
 * What ends jobs, for many at once.
 *
 * @module
 */
import { replacingLetter } from "./outbox.ts";

/** What the endings of a batch ask for beyond the removal of jobs. */
export interface EndingNeeds {
  /** Some job is to be looked at after its end. */
  readonly keeps: boolean;
  /** Some job becomes a dead letter. */
  readonly buries: boolean;
  /** Some job goes back to its queue. */
  readonly returns: boolean;
  /** Somebody is to hear how a job ended. */
  readonly reports: boolean;
  /** Some job is counted against the limits of its queue. */
  readonly counts: boolean;
}

/**
 * Removes jobs that are still held and of which nothing is to be kept, told or counted.
 *
 * `$1` is the queue, `$2` the positions and `$3` the tokens, in the order of locking; a row comes back
 * with the place in that order of each that was held. Reading JSON would take as long as all else.
 */
export const removeStatement = `
delete from outbox o using (
  select r.token, r.n, found.place
  from (select 'job' as kind offset 0) jobs
  cross join unnest($2::text::bigint[], $3::text::bigint[])
    with ordinality as r(position, token, n)
  cross join lateral (
    select ctid as place from outbox
    where outbox.kind = jobs.kind and outbox.key = $1 and outbox.position = r.position
    limit 1
  ) found
) held
where o.ctid = held.place and o.token = held.token
returning held.n::int - 1 as n`;

/**
 * Records endings of jobs that are still held under their claims.
 *
 * `$1`: `[{ n, kind, queue, position, token, is, result, keep, delay, error, report }]`, in the order of
 * queue and position, which is the order of locking. A row `n` comes back for each that was held.
 *
 * The kind comes as data: were it in the statement, every index of jobs would do to find one, and to
 * statistics of an empty table all are alike. The token is compared again where a row is changed, as
 * it may have been changed since it was found. Everything follows from what the DELETE gives back, so
 * it happens once and together with it.
 */
export function settleStatement(needs: EndingNeeds): string {
  const { keeps, buries, returns, reports, counts } = needs;
  const index = [keeps, buries, returns, reports, counts]
    .reduce((sum, isNeeded) => 2 * sum + Number(isNeeded), 0);
  return settleStatements[index] ??= composed(needs);
}

const settleStatements: (string | undefined)[] = [];

function composed({ keeps, buries, returns, reports, counts }: EndingNeeds): string {
  const when = (needed: boolean, part: string) => needed ? part : "";
  return `
with request as materialized (
  select * from jsonb_to_recordset($1::text::jsonb) as r(
    n int, kind text, queue text, position bigint, token bigint, "is" text, result jsonb, keep float8,
    delay float8, error text, report jsonb)
),
held as materialized (
  select r.*, o.place from request r cross join lateral (
    select ctid as place from outbox
    where outbox.kind = r.kind and outbox.key = r.queue and outbox.position = r.position
    limit 1
  ) o
),
${when(returns, returnedPart)}
${when(counts, freedPart)}
ended as (
  delete from outbox o using held r
  where o.ctid = r.place and o.token = r.token and r."is" in ('completed', 'cancelled', 'failed')
  returning r.n ${
    when(
      keeps || buries || reports,
      `, o.*, r."is" as ending, r.result, r.keep, r.report, r.error as reason`,
    )
  }
)
${when(keeps, keptPart)}
${when(buries, buriedPart)}
${when(reports, toldPart)}
select n from ended ${when(returns, "union all select n from returned")}`;
}

const returnedPart = `
returned as (
  update outbox o set token = null, lease_until = null,
    attempts = o.attempts - case r."is" when 'released' then 1 else 0 end,
    error = coalesce(r.error, o.error),
    available_at = case when r."is" = 'released' then o.available_at
      -- Whoever takes it next has nothing to do but end it.
      when o.cancelled_by is not null then now()
      else now() + r.delay * interval '1 ms' end
  from held r
  where o.ctid = r.place and o.token = r.token and r."is" in ('retried', 'released')
  returning r.n
),`;

const freedPart = `
freed as (
  delete from running_job using (
    select j.place from request r cross join lateral (
      select ctid as place from running_job j
      where j.queue = r.queue and j.position = r.position and j.token = r.token
      limit 1 for update
    ) j
  ) freed
  where running_job.ctid = freed.place
),`;

/** One that is told again under its id, once it has ended, ends again. */
export const replacingFinished = `
  on conflict (message_id) do update
  set queue = excluded.queue, position = excluded.position, schema = excluded.schema,
    command = excluded.command, correlation_id = excluded.correlation_id,
    causation_id = excluded.causation_id, principal = excluded.principal,
    traceparent = excluded.traceparent, at = excluded.at, priority = excluded.priority,
    concurrency_key = excluded.concurrency_key, attempts = excluded.attempts,
    progress = excluded.progress, cancelled_by = excluded.cancelled_by, result = excluded.result,
    finished_at = excluded.finished_at, keep_until = excluded.keep_until`;

const keptPart = `
, kept as (
  insert into finished_job (queue, position, message_id, schema, command, correlation_id,
    causation_id, principal, traceparent, at, priority, concurrency_key, attempts, progress,
    cancelled_by, result, finished_at, keep_until)
  select key, position, message_id, schema, command, correlation_id, causation_id, principal,
    traceparent, at, priority, concurrency_key, attempts, progress,
    case ending when 'cancelled' then coalesce(cancelled_by, '') end, result, now(),
    now() + keep * interval '1 ms'
  from ended where ending in ('completed', 'cancelled') and keep > 0
  ${replacingFinished}
)`;

const buriedPart = `
, buried as (
  insert into dead_letter (kind, key, position, message_id, schema, command, correlation_id,
    causation_id, principal, traceparent, at, attempts, error, buried_at, priority, concurrency_key)
  select kind, key, position, message_id, schema, command, correlation_id, causation_id, principal,
    traceparent, at, attempts, reason, now(), priority, concurrency_key
  from ended where ending = 'failed'
  -- Enqueued again in the moment in which it was buried, it finds its first letter lying there.
  ${replacingLetter}
)`;

const toldPart = `
, told as (
  insert into outbox (kind, key, message_id, schema, command, correlation_id, causation_id,
    principal, traceparent, at, available_at)
  select m.kind, m.key, m.id, m.schema, m.command, m.correlation, m.causation, m.principal, m.trace,
    now(), now()
  from ended cross join lateral jsonb_to_record(ended.report) as m(kind text, key text, id uuid,
    schema smallint, command jsonb, correlation uuid, causation uuid, principal jsonb, trace text)
  where ended.report is not null
  order by ended.n
)`;
