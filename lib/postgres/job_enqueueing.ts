/** How jobs get into the outbox. */
import { type Kysely, type QueryExecutorProvider, type RawBuilder, sql } from "kysely";
import { PoisonFault, TransientFault } from "../fault.ts";
import type { NewMessage } from "../runtime/store.ts";
import { messageRequest } from "./outbox.ts";
import type { Tables } from "./tables.ts";

/** Jobs of one statement: it is all or nothing, and a parameter of bounded size. */
export const ENQUEUE_MAX = 1_000;
/** A key that is taken whenever it is tried and free whenever it is looked at is asked for so often. */
const ENQUEUE_TRIES = 10;

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
export async function insertedAsNew(
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
      now() + coalesce(m.delay, a.delay) * interval '1 ms', coalesce(m.priority, a.priority, 0), m.once,
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

export async function enqueued(
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
