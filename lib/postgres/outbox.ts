/**
 * The outbox in Postgres.
 *
 * All times are the database's own, so that clocks of nodes do not matter. Rows of `lane` are always
 * locked in the order of kind and key, so that relays cannot wait for each other in a circle.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import { TransientFault } from "../fault.ts";
import { JOB_KIND } from "../jobs/job.ts";
import { type Address, addressText, type Principal } from "../runtime/envelope.ts";
import type {
  Burial,
  Claim,
  ClaimedLane,
  Completion,
  DueCursor,
  DuePage,
  LaneStanding,
  Outbox,
  OutboxDepth,
  OutboxMessage,
  SettledLane,
} from "../runtime/outbox.ts";
import type { NewMessage } from "../runtime/store.ts";
import type { Tables } from "./tables.ts";

/**
 * What was told at once is due whatever the clock says, which may have been turned back: otherwise
 * what is told now would overtake it. Only what was told for later has a time behind its telling.
 *
 * In a form that no index has: of one lane the messages are read in its own order. Where statistics
 * say that little is due, Postgres would rather read all that is, once for each lane: 25 s for 256
 * lanes beside a million messages that have become due since.
 */
const isDue = sql`(o.available_at <= o.at or o.available_at + interval '0' <= now())`;

type Int8 = number | bigint | string;

/** So much room an empty table may keep. */
const KEPT_BYTES = 100_000;

/**
 * What was replayed under its old id may find its first letter still lying there: then the last is
 * the letter, whatever the first one said and wherever it was.
 */
export const replacingLetter = `
      on conflict (message_id) do update
      set kind = excluded.kind, key = excluded.key, position = excluded.position,
        schema = excluded.schema, command = excluded.command,
        correlation_id = excluded.correlation_id, causation_id = excluded.causation_id,
        principal = excluded.principal, traceparent = excluded.traceparent, at = excluded.at,
        attempts = excluded.attempts, error = excluded.error, buried_at = excluded.buried_at,
        priority = excluded.priority, concurrency_key = excluded.concurrency_key`;

export interface MessageRow {
  readonly kind: string;
  readonly key: string;
  readonly position: Int8;
  readonly message_id: string;
  readonly schema: number;
  readonly command: unknown;
  readonly correlation_id: string;
  readonly causation_id: string;
  readonly principal: Principal;
  readonly traceparent: string | null;
  readonly at: Date | string;
}

export interface OutboxPools {
  readonly relay: Kysely<Tables>;
  /** Without time limits, for what may take long. */
  readonly maintenance: Kysely<Tables>;
}

export class PostgresOutbox implements Outbox {
  readonly #db: Kysely<Tables>;
  readonly #maintenance: Kysely<Tables>;

  constructor({ relay, maintenance }: OutboxPools) {
    this.#db = relay;
    this.#maintenance = maintenance;
  }

  async claim(
    asked: readonly Address[],
    { token, leaseMs, limit }: Claim,
  ): Promise<readonly ClaimedLane[]> {
    const lanes = asked.filter(({ kind }) => kind !== JOB_KIND);
    if (lanes.length === 0) return [];
    const { rows } = await sql<ClaimRow>`
      with claimed as (
        insert into lane as l (kind, key, token, lease_until, next_at, attempts)
        select r.kind, r.key, ${token}::bigint, now() + ${leaseMs} * interval '1 ms', now(), 0
        from jsonb_to_recordset(${asParameter(lanes)}::text::jsonb) as r(kind text, key text)
        order by r.kind collate "C", r.key collate "C"
        on conflict (kind, key) do update
        set token = excluded.token, lease_until = excluded.lease_until, parked_at = null
        where l.token = excluded.token or (
          l.next_at <= now() and l.lease_until <= now() and (
            l.parked_at is null
            or not exists (select from dead_letter d where d.kind = l.kind and d.key = l.key)
          )
        )
        returning kind, key, attempts, attempted
      )
      select claimed.kind, claimed.key, waiting.messages,
        case claimed.attempted when waiting.head then claimed.attempts else 0 end as attempts
      from claimed cross join lateral (
        select json_agg(m order by m.position) as messages, min(m.position) as head from (
          select * from outbox o
          where o.kind = claimed.kind and o.key = claimed.key
            and ${isDue}
          order by o.position
          limit ${limit}
        ) m
      ) waiting`.execute(this.#db);
    return rows.map(({ kind, key, attempts, messages }) => ({
      address: { kind, key },
      token,
      attempts,
      messages: (messages ?? []).map(messageOf),
    }));
  }

  async settle(lanes: readonly SettledLane[]): Promise<readonly Address[]> {
    const asked = lanes.map(({ address, token, pause }) => ({ ...address, token, ...pause }));
    const { rows } = await sql<Address>`
      with request as materialized (
        select r.* from jsonb_to_recordset(${JSON.stringify(asked)}::text::jsonb) as r(
          kind text, key text, token bigint, ms double precision, position bigint, attempts integer,
          error text)
        order by r.kind collate "C", r.key collate "C"
      ),
      locked as materialized (
        select r.*, l.place, l.parked_at
        from request r cross join lateral (
          select lane.ctid as place, lane.parked_at from lane
          where lane.kind = r.kind and lane.key = r.key and lane.token = r.token
          for update
        ) l
      ),
      freed as (
        delete from lane using locked
        where lane.ctid = locked.place and locked.ms is null and lane.parked_at is null
      ),
      paused as (
        update lane set lease_until = now(), error = locked.error, attempts = locked.attempts,
          attempted = locked.position, next_at = now() + locked.ms * interval '1 ms'
        from locked where lane.ctid = locked.place and locked.ms is not null
      ),
      left_parked as (
        update lane set lease_until = now()
        from locked
        where lane.ctid = locked.place and locked.ms is null and lane.parked_at is not null
      )
      select locked.kind, locked.key from locked cross join lateral (
        select from outbox o
        where o.kind = locked.kind and o.key = locked.key
          and ${isDue}
        order by o.position
        limit 1
      ) waiting
      where locked.ms is null and locked.parked_at is null`.execute(this.#db);
    return rows;
  }

  async bury(
    { address: { kind, key }, token, position, attempts, error, isParked }: Burial,
  ): Promise<boolean> {
    const { rows } = await sql`
      with held as (
        update lane set attempts = 0, error = ${error},
          parked_at = case when ${isParked}::boolean then now() end
        where kind = ${kind} and key = ${key} and token = ${token} and lease_until > now()
        returning kind, key
      ),
      fenced as (
        insert into actor (kind, key, version, revision, transaction)
        select kind, key, 0, 1, pg_current_xact_id() from held
        on conflict (kind, key) do update
        set revision = actor.revision + 1
        returning kind, key
      ),
      taken as (
        delete from outbox o using fenced f
        where o.kind = f.kind and o.key = f.key and o.position = ${position}
        returning o.*
      )
      insert into dead_letter (kind, key, position, message_id, schema, command, correlation_id,
        causation_id, principal, traceparent, at, attempts, error, buried_at)
      select kind, key, position, message_id, schema, command, correlation_id, causation_id,
        principal, traceparent, at, ${attempts}::integer, ${error}::text, now()
      from taken
      ${sql.raw(replacingLetter)}
      returning position`.execute(this.#db);
    return rows.length > 0;
  }

  /** The lock on the lane makes it wait for, or be waited for by, whoever claims. */
  async complete({ address: { kind, key }, token, position }: Completion): Promise<boolean> {
    const { rows } = await sql`
      with held as materialized (
        select l.kind, l.key from lane l
        where l.kind = ${kind} and l.key = ${key} and l.token = ${token} and l.lease_until > now()
        for update
      )
      delete from outbox o using held
      where o.kind = held.kind and o.key = held.key and o.position = ${position}
      returning o.position`.execute(this.#db);
    return rows.length > 0;
  }

  /** From the end, so that a crash halfway through leaves nothing due that comes behind what is not. */
  async postpone({ kind, key }: Address, limit: number): Promise<number> {
    const { rows } = await sql`
      with early as materialized (
        select o.kind, o.key, o.position, l.next_at from lane l cross join lateral (
          select * from outbox o
          where o.kind = l.kind and o.key = l.key
            and o.available_at + interval '0' < l.next_at
          order by o.position desc
          limit ${limit}
        ) o
        where l.kind = ${kind} and l.key = ${key} and l.next_at > now()
      )
      update outbox o set available_at = early.next_at from early
      where o.kind = early.kind and o.key = early.key and o.position = early.position
      returning o.position`.execute(this.#db);
    return rows.length;
  }

  async standing({ kind, key }: Address, countMax: number): Promise<LaneStanding> {
    const { rows } = await sql<{ waiting: Int8; attempts: number | null; ms: Int8 | null }>`
      select waiting.count as waiting, lane.ms,
        case lane.attempted when waiting.head then lane.attempts end as attempts
      from (
        select count(*) as count, min(position) as head from (
          select position from outbox where kind = ${kind} and key = ${key}
          order by position limit ${countMax}) counted
      ) waiting
      left join lateral (
        select attempts, attempted, extract(epoch from next_at - now()) * 1000 as ms
        from lane where kind = ${kind} and key = ${key}
      ) lane on true`.execute(this.#db);
    const { waiting, attempts, ms } = rows[0]!;
    return {
      waiting: Number(waiting),
      attempts: attempts ?? 0,
      restMs: Math.max(0, Number(ms ?? 0)),
    };
  }

  async due(after: DueCursor | undefined, limit: number): Promise<DuePage> {
    const { availableAt = "-infinity", position = 0 } = after ?? {};
    const { rows } = await sql<DueRow>`
      select next.ms, d.* from (
        select extract(epoch from min(available_at) - now()) * 1000 as ms
        from outbox where available_at > now() and kind <> 'job'
      ) next
      left join lateral (
        select o.kind, o.key, o.available_at::text as available_at, o.position from outbox o
        where o.available_at <= now() and o.kind <> 'job'
          and (o.available_at, o.position) > (${availableAt}::timestamptz, ${position}::bigint)
        order by o.available_at, o.position
        limit ${limit}
      ) d on true`.execute(this.#db);
    const found = rows.filter(({ position }) => position !== null);
    const lanes = new Map(
      found.map(({ kind, key }) => [addressText({ kind, key }), { kind, key }]),
    );
    const last = found.length === limit ? found.at(-1) : undefined;
    const ms = rows[0]?.ms;
    return {
      lanes: [...lanes.values()],
      next: last && { availableAt: last.available_at, position: Number(last.position) },
      nextDueMs: ms === null || ms === undefined ? undefined : Number(ms),
    };
  }

  /**
   * Forgets lanes that whoever had them has left for good, and makes room. Autovacuum comes once a
   * minute at best, which is a million messages; embedded, never.
   */
  async tidy(): Promise<void> {
    await sql`
      delete from lane where ctid = any(array(
        select l.ctid from lane l
        where l.lease_until <= now() and l.next_at <= now() and l.parked_at is null
          and not exists (select from outbox o where o.kind = l.kind and o.key = l.key)
        for update skip locked
      ))`.execute(this.#maintenance);
    await sql`vacuum (skip_locked) outbox, lane, running_job, job_start`.execute(this.#maintenance);
    await this.#shrink("outbox");
    await this.#shrink("lane");
  }

  /** A vacuum keeps what a past rush needed; in a moment in which nothing is there, it is given back. */
  async #shrink(name: "outbox" | "lane"): Promise<void> {
    const table = sql.table(name);
    const { rows } = await sql<{ is_oversize: boolean }>`
      select pg_total_relation_size(${name}) > ${KEPT_BYTES}::bigint
        and not exists (select from ${table}) as is_oversize`.execute(this.#maintenance);
    if (!rows[0]!.is_oversize) return;
    try {
      await this.#maintenance.transaction().execute(async (transaction) => {
        // Whoever comes meanwhile waits behind this lock: it has to come soon, or not at all.
        await sql`set local lock_timeout = '20ms'`.execute(transaction);
        await sql`lock table ${table} in access exclusive mode`.execute(transaction);
        const some = await sql`select from ${table} limit 1`.execute(transaction);
        if (some.rows.length === 0) await sql`truncate ${table}`.execute(transaction);
      });
    } catch (error) {
      // Somebody is at it: another time.
      if (!(error instanceof TransientFault)) throw error;
    }
  }

  async depth(countMax: number): Promise<OutboxDepth> {
    const { rows } = await sql<{ due: Int8; oldest_ms: Int8 | null; dead: Int8 }>`
      select
        (select count(*) from (
          select from outbox where available_at <= now() and kind <> 'job'
          limit ${countMax}) counted) as due,
        (select extract(epoch from now() - min(available_at)) * 1000 from outbox
          where available_at <= now() and kind <> 'job') as oldest_ms,
        (select count(*) from (select from dead_letter limit ${countMax}) counted) as dead`
      .execute(this.#db);
    const { due, oldest_ms, dead } = rows[0]!;
    return { due: Number(due), oldestMs: Number(oldest_ms ?? 0), dead: Number(dead) };
  }
}

/** A message that is told without a turn: what a subscriber makes of events. */
export type Told = Omit<OutboxMessage, "position">;

/**
 * Writes messages into the outbox with whatever else `transaction` does, in their order. Those to a
 * lane that rests are due when it is.
 */
export async function tellWithin(
  transaction: QueryExecutorProvider,
  messages: readonly Told[],
): Promise<void> {
  if (messages.length === 0) return;
  const asked = messages.map(({ to: { kind, key }, ...message }, n) => {
    return { n, kind, key, ...message, at: new Date(message.at) };
  });
  await sql`
    insert into outbox (kind, key, message_id, schema, command, correlation_id, causation_id,
      principal, traceparent, at, available_at)
    select m.kind, m.key, m."messageId", m.schema, m.command, m."correlationId", m."causationId",
      m.principal, m.traceparent, m.at, greatest(now(), (
        select lane.next_at from lane where lane.kind = m.kind and lane.key = m.key))
    from jsonb_to_recordset(${JSON.stringify(asked)}::text::jsonb) as m(n integer, kind text,
      key text, "messageId" uuid, schema smallint, command jsonb, "correlationId" uuid,
      "causationId" uuid, principal jsonb, traceparent text, at timestamptz)
    order by m.n`.execute(transaction);
}

interface ClaimRow {
  readonly kind: string;
  readonly key: string;
  readonly attempts: number;
  readonly messages: readonly MessageRow[] | null;
}

interface DueRow {
  readonly ms: Int8 | null;
  readonly kind: string;
  readonly key: string;
  readonly available_at: string;
  readonly position: Int8 | null;
}

function asParameter(lanes: readonly Address[]): string {
  return JSON.stringify(lanes.map(({ kind, key }) => ({ kind, key })));
}

export function messageOf(row: MessageRow): OutboxMessage {
  return {
    position: Number(row.position),
    messageId: row.message_id,
    to: { kind: row.kind, key: row.key },
    schema: row.schema,
    command: row.command,
    correlationId: row.correlation_id,
    causationId: row.causation_id,
    principal: row.principal,
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
    at: new Date(row.at).getTime(),
  };
}

/** A new message, as statements take it in JSON; what it lacks is left out. */
export function messageRequest(message: NewMessage) {
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
    priority: message.job?.priority,
    once: message.job?.uniqueKey,
    share: message.job?.concurrencyKey,
  };
}
