/**
 * The two statements that the runtime lives on, each for many actors at once.
 *
 * Both take one JSON parameter: it costs Postgres no more than arrays do, and means the same to
 * every driver. Each look-up stands in a lateral subquery of its own with a LIMIT or a lock, which
 * keeps the planner from ever preferring a scan of a whole table: the statements are prepared while
 * the tables are small, and stay planned when they no longer are.
 *
 * @module
 */

/** What the commits of a batch ask for beyond events of actors that were written before. */
export interface BatchNeeds {
  /** Some commit is the first of its actor. */
  readonly creates: boolean;
  /** Some commit has replies to remember. */
  readonly remembers: boolean;
  /** Some commit writes nothing: it asks whether its actor still stands where it stood. */
  readonly verifies: boolean;
  /** Some commit tells something. */
  readonly tells: boolean;
  /** Some commit has handled messages out of the outbox. */
  readonly consumes: boolean;
  /** Some commit tells a job that is not enqueued where its like waits already. */
  readonly tellsOnce: boolean;
}

/**
 * Applies the commits of a batch, or says of each why not.
 *
 * `$1`: `[{ n, kind, key, revision, version, at, events, replies, messages, consumed }]`, in the order
 * of kind and key, which is the order of locking. One row comes back per commit: `n, outcome, replies,
 * gone, transaction`.
 *
 * How it is correct in READ COMMITTED, where the statement sees one snapshot but locks the newest
 * row: whoever commits to an actor raises its revision. So if the locked row still has the revision
 * that the turn was decided on, nobody has committed since, and the snapshot shows all its replies, and
 * which of its messages are still in the outbox: whoever takes one out raises the revision too.
 *
 * A part that the batch does not need is left out: of the 0.3 ms that the whole takes for a single
 * event, Postgres spends a third on setting up parts that then find nothing to do.
 */
export function commitStatement(needs: BatchNeeds): string {
  const { creates, remembers, verifies, tells, consumes, tellsOnce } = needs;
  const bits = [creates, remembers, verifies, tells, consumes, tellsOnce];
  const index = bits.reduce((sum, isNeeded) => 2 * sum + Number(isNeeded), 0);
  return commitStatements[index] ??= composed(needs);
}

const commitStatements: (string | undefined)[] = [];

function composed(needs: BatchNeeds): string {
  const { creates, remembers, verifies, tells, consumes } = needs;
  const when = (needed: boolean, part: string) => needed ? part : "";
  return `
with request as materialized (
  select r.*
    ${when(verifies, `, ${isWriting} as writes`)}
  from jsonb_to_recordset($1::text::jsonb) as r(
    n int, kind text, key text, revision bigint, version bigint, at timestamptz,
    events jsonb, replies jsonb, messages jsonb, consumed jsonb)
),
locked as materialized (
  select r.*, a.place
  from request r cross join lateral (
    select actor.ctid as place from actor
    where actor.kind = r.kind and actor.key = r.key and actor.revision = r.revision
    for update
  ) a
  where r.revision > 0 ${when(verifies, "and r.writes")}
),
${when(consumes, gonePart)}
${when(creates, createdPart(needs))}
${when(remembers, duplicatePart)}
applied as materialized (
  select * from locked where true
    ${when(remembers, "and n not in (select n from duplicate)")}
    ${when(consumes, "and n not in (select n from gone)")}
  ${when(creates, createdToo)}
),
advanced as (
  update actor
  set version = r.version + jsonb_array_length(r.events), revision = r.revision + 1,
    transaction = pg_current_xact_id()
  from applied r
  where actor.ctid = r.place
),
${when(remembers, rememberedPart)}
${when(tells, toldPart(needs))}
${when(consumes, takenPart)}
recorded as (
  insert into event (kind, key, version, type, schema, data, correlation_id, causation_id,
    principal, at)
  select r.kind, r.key, r.version + e.place, e.type, e.schema, e.data, e.correlation, e.causation,
    e.principal, r.at
  from applied r cross join lateral rows from (jsonb_to_recordset(r.events) as (
    type text, schema smallint, data jsonb, correlation uuid, causation uuid, principal text
  )) with ordinality as e(type, schema, data, correlation, causation, principal, place)
)
select r.n, ${remembers ? "duplicate.replies" : "null"} as replies,
  ${consumes ? "gone.positions" : "null"} as gone,
  pg_current_xact_id_if_assigned()::text as transaction,
  case
    when applied.n is not null then 'ok'
    ${when(consumes, "when gone.n is not null then 'consumed'")}
    ${when(remembers, "when duplicate.n is not null then 'duplicate'")}
    ${when(verifies, "when not r.writes and r.revision = coalesce(stands.revision, 0) then 'ok'")}
    else 'conflict'
  end as outcome
from request r
left join applied on applied.n = r.n
${when(remembers, "left join duplicate on duplicate.n = r.n")}
${when(consumes, "left join gone on gone.n = r.n")}
${when(verifies, standsPart)}`;
}

const isWriting = "r.events <> '[]' or r.replies <> '[]' or coalesce(r.consumed, '[]') <> '[]'";

// After all locks are taken: then no two batches can wait for each other in a circle.
function createdPart({ verifies, consumes }: BatchNeeds): string {
  return `
created as (
  insert into actor (kind, key, version, revision, transaction)
  select r.kind, r.key, r.version + jsonb_array_length(r.events), 1, pg_current_xact_id()
  from request r
  where r.revision = 0 and (select count(*) from locked) >= 0
    ${verifies ? "and r.writes" : ""}
    ${consumes ? "and r.n not in (select n from gone)" : ""}
  on conflict (kind, key) do nothing
  returning kind, key
),`;
}

const createdToo = `
  union all
  select r.*, null from request r
  where r.revision = 0 and (r.kind, r.key) in (select kind, key from created)`;

const gonePart = `
gone as materialized (
  select r.n, jsonb_agg(asked.position::bigint) as positions
  from request r
  cross join lateral jsonb_array_elements_text(r.consumed) as asked(position)
  left join lateral (
    select outbox.position from outbox
    where outbox.kind = r.kind and outbox.key = r.key and outbox.position = asked.position::bigint
    limit 1
  ) waiting on true
  left join lateral (
    select actor.revision from actor
    where r.revision = 0 and actor.kind = r.kind and actor.key = r.key
    limit 1
  ) known on true
  where waiting.position is null
    and (r.n in (select n from locked) or r.revision = 0 and known.revision is null)
  group by r.n
),`;

function toldPart({ tellsOnce }: BatchNeeds): string {
  return `
told as (
  insert into outbox (kind, key, message_id, schema, command, correlation_id, causation_id, principal,
    traceparent, at, available_at, priority, unique_key, concurrency_key)
  select m.kind, m.key, m.id, m.schema, m.command, m.correlation, m.causation, m.principal,
    m.trace, r.at,
    -- What is due at once does not wait for the clock of a node that is ahead.
    case when m.delay > 0 then r.at + m.delay * interval '1 ms' else least(r.at, now()) end,
    coalesce(m.priority, 0), m.once, m.share
  from applied r cross join lateral rows from (jsonb_to_recordset(r.messages) as (
    kind text, key text, id uuid, schema smallint, command jsonb, correlation uuid, causation uuid,
    principal jsonb, trace text, delay bigint, priority smallint, once text, share text
  )) with ordinality as m(kind, key, id, schema, command, correlation, causation, principal, trace,
    delay, priority, once, share, place)
  order by r.n, m.place
  ${tellsOnce ? "on conflict (key, unique_key) where unique_key is not null do nothing" : ""}
),`;
}

const takenPart = `
taken as (
  delete from outbox using (
    select waiting.place
    from applied r
    cross join lateral jsonb_array_elements_text(r.consumed) as asked(position)
    cross join lateral (
      select outbox.ctid as place from outbox
      where outbox.kind = r.kind and outbox.key = r.key and outbox.position = asked.position::bigint
      limit 1
    ) waiting
  ) handled
  where outbox.ctid = handled.place
),`;

const duplicatePart = `
duplicate as materialized (
  select r.n, jsonb_agg(jsonb_build_object('principalId', known.principal,
    'key', known.idempotency_key, 'requestHash', known.request_hash, 'outcome', known.outcome)
  ) as replies
  from locked r
  cross join lateral jsonb_to_recordset(r.replies) as asked(principal text, key text)
  cross join lateral (
    select reply.* from reply
    where reply.kind = r.kind and reply.key = r.key
      and reply.principal = asked.principal and reply.idempotency_key = asked.key
    limit 1
  ) known
  group by r.n
),`;

const rememberedPart = `
remembered as (
  insert into reply (kind, key, principal, idempotency_key, request_hash, outcome, at)
  select r.kind, r.key, k.principal, k.key, k.hash, k.outcome, r.at
  from applied r cross join lateral jsonb_to_recordset(r.replies) as k(
    principal text, key text, hash text, outcome jsonb)
),`;

const standsPart = `
left join lateral (
  select actor.revision from actor
  where not r.writes and actor.kind = r.kind and actor.key = r.key
  limit 1
) stands on true`;

/**
 * Reads where actors stand, each as of one moment.
 *
 * `$1`: `[{ n, kind, key, after }]`; `after` is null where the snapshot is wanted. One row comes back
 * per request, with the events after the snapshot, or after `after`, as one JSON array of arrays.
 */
export const loadStatement = `
select r.n, actor.version, actor.revision, actor.transaction::text as transaction,
  snapshot.version as snapshot_version, snapshot.schema as snapshot_schema,
  snapshot.state as snapshot_state, tail.events
from jsonb_to_recordset($1::text::jsonb) as r(n int, kind text, key text, after bigint)
left join lateral (
  select a.* from actor a where a.kind = r.kind and a.key = r.key limit 1
) actor on true
left join lateral (
  select s.* from snapshot s
  where r.after is null and s.kind = r.kind and s.key = r.key limit 1
) snapshot on true
left join lateral (
  select json_agg(json_build_array(e.version, e.type, e.schema, e.data, e.correlation_id,
    e.causation_id, e.principal, extract(epoch from e.at) * 1000) order by e.version) as events
  from event e
  where e.kind = r.kind and e.key = r.key
    and e.version > coalesce(r.after, snapshot.version, 0)
) tail on true`;
