/**
 * Rebuilds in Postgres: new tables grow in a schema of their own, and take the place of the old ones
 * by moving to theirs.
 *
 * The row in `projection_rebuild` is the fence of a rebuild: every step locks it first, and goes on
 * only under its own token. Queries need to know nothing: names lead to the old tables until the
 * exchange commits, and to the new ones after it, prepared statements included.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import { TransientFault } from "../fault.ts";
import type { Operator } from "../runtime/outbox.ts";
import { type Projection, wantedBy } from "../runtime/projector.ts";
import {
  type Attempt,
  type ProjectionStanding,
  type Rebuild,
  RebuildLost,
  type RebuildPage,
  RebuildRefused,
  type RebuildState,
  type RebuildStore,
  type Swap,
} from "../runtime/rebuild.ts";
import { type FeedCursor, feedStart } from "../runtime/store.ts";
import { auditColumns, audited } from "./audit.ts";
import { readFeed } from "./event_store.ts";
import {
  type AppliedPage,
  applyPage,
  moveCheckpoint,
  planningAnew,
  readCheckpoint,
  readersLock,
} from "./projection_store.ts";
import { createAlike, quoted, structuresOf, type TableStructure } from "./table_structure.ts";
import type { Tables } from "./tables.ts";

type Followed = Projection<QueryExecutorProvider>;

/**
 * How long the exchange waits for each lock. Whoever queries meanwhile waits behind it, perhaps with
 * one of the tables in hand that it wants next: far below `deadlock_timeout`, so that it is always
 * the exchange that gives way.
 */
const LOCK_WAIT_MS = 100;
/** Pages applied within the exchange, while the projection stands still. */
const SWAP_PAGES_MAX = 5;
const IDENTIFIER_BYTES_MAX = 63;

export interface RebuildPools {
  readonly db: Kysely<Tables>;
  /** One session, whose plans lead to the new tables, and without short time limits. */
  readonly maintenance: Kysely<Tables>;
}

export class PostgresRebuildStore implements RebuildStore<QueryExecutorProvider> {
  readonly #db: Kysely<Tables>;
  readonly #maintenance: Kysely<Tables>;

  constructor({ db, maintenance }: RebuildPools) {
    this.#db = db;
    this.#maintenance = maintenance;
  }

  async standing(projection: Followed): Promise<ProjectionStanding> {
    const { name } = projection;
    const checkpoint = await readCheckpoint(this.#db, name);
    const rebuild = await this.#newest(name);
    // One that begins "now" and has not begun lacks nothing.
    const isToCome = checkpoint === undefined && projection.start === "now";
    const after = checkpoint ?? feedStart;
    const { events: [oldest] } = isToCome
      ? { events: [] }
      : await readFeed(this.#db, { after, limit: 1, ...wantedBy(projection) });
    return {
      name,
      through: checkpoint?.through ?? "0",
      ...(oldest !== undefined && { oldestAt: oldest.at }),
      ...(rebuild !== undefined && { rebuild }),
    };
  }

  async begin(
    projection: Followed,
    { token, leaseMs }: Attempt,
    operator: Operator,
  ): Promise<void> {
    const { name } = projection;
    const { id: principal } = operator;
    await this.#maintenance.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(hashtextextended('rebuild', 0))`.execute(transaction);
      if (await this.#isBegun(transaction, token)) return;
      await clearAway(transaction);
      const structures = await exchangeable(transaction, projection);
      const schema = schemaOf(projection);
      await sql`drop schema if exists ${sql.id(schema)} cascade`.execute(transaction);
      await sql`create schema ${sql.id(schema)}`.execute(transaction);
      for (const structure of structures) await createAlike(transaction, structure, schema);
      await sql`
        insert into projection_rebuild as r (projection, token, lease_until, state, principal,
          started_at, transaction, position, through, events, structure)
        values (${name}, ${token}::bigint, ${leaseEnd(leaseMs)}, 'running', ${principal}, now(),
          '0', 0, '0', 0, ${JSON.stringify(structures)})
        on conflict (projection) do update set token = excluded.token,
          lease_until = excluded.lease_until, state = excluded.state,
          principal = excluded.principal, started_at = excluded.started_at, ended_at = null,
          transaction = excluded.transaction, position = excluded.position,
          through = excluded.through, events = 0, error = null, structure = excluded.structure`
        .execute(transaction);
      await sql`
        insert into audit (${auditColumns}, act, subject, detail)
        values (${audited(operator)}, 'projection rebuild', ${`projection/${name}`}, '{}')`
        .execute(transaction);
    });
  }

  async advance(projection: Followed, attempt: Attempt, limit: number): Promise<RebuildPage> {
    return await this.#maintenance.transaction().execute(async (transaction) => {
      const standing = await held(transaction, projection, attempt);
      if (standing.state === "done") return { events: 0, total: Number(standing.events) };
      const page = await onNewTables(
        transaction,
        projection,
        () => applyPage(transaction, projection, standing, limit),
      );
      const total = Number(standing.events) + page.events;
      await note(transaction, projection, attempt, page, total);
      return { events: page.events, total };
    });
  }

  /** Nobody else has taken statistics of the new tables; embedded, nobody ever would. */
  async prepare(projection: Followed): Promise<void> {
    for (const table of projection.tables ?? []) {
      await sql`analyze ${sql.id(schemaOf(projection), table)}`.execute(this.#maintenance);
    }
  }

  async swap(projection: Followed, attempt: Attempt, limit: number): Promise<Swap> {
    try {
      return await this.#maintenance.transaction().execute(async (transaction) => {
        const standing = await held(transaction, projection, attempt);
        const before = Number(standing.events);
        if (standing.state === "done") return { is: "swapped", total: before };
        await sql`select set_config('lock_timeout', ${`${LOCK_WAIT_MS}ms`}, true)`
          .execute(transaction);
        // From here on the projection in use stands still. What it may have shown was read
        // before, so the last page, read after, shows it as well.
        await sql`select pg_advisory_xact_lock(${readersLock(projection.name)})`
          .execute(transaction);
        const rest = await onNewTables(
          transaction,
          projection,
          () => applyRest(transaction, projection, standing, limit),
        );
        const total = before + rest.total;
        await note(transaction, projection, attempt, rest.last, total);
        if (rest.last.events === limit) return { is: "behind", total };
        await exchange(transaction, projection, standing.structure);
        const { cursor, through } = rest.last;
        await moveCheckpoint(transaction, projection.name, cursor, through);
        await sql`
          update projection_rebuild set state = 'done', ended_at = clock_timestamp()
          where projection = ${projection.name}`.execute(transaction);
        return { is: "swapped", total };
      });
    } catch (error) {
      if (isLockTimeout(error)) return { is: "busy", total: 0 };
      throw error;
    }
  }

  async fail({ name }: Followed, { token }: Attempt, error: string): Promise<void> {
    await this.#maintenance.transaction().execute(async (transaction) => {
      const { rows } = await sql`
        update projection_rebuild
        set state = 'failed', ended_at = now(), error = ${asStored(error)}
        where projection = ${name} and token = ${token}::bigint and state = 'running'
        returning projection`.execute(transaction);
      if (rows.length === 0) return;
      await sql`drop schema if exists ${sql.id(schemaOf({ name }))} cascade`.execute(transaction);
    });
  }

  async #isBegun(db: Kysely<Tables>, token: number): Promise<boolean> {
    const { rows } = await sql`
      select from projection_rebuild where token = ${token}::bigint and state = 'running'`
      .execute(db);
    return rows.length > 0;
  }

  async #newest(projection: string): Promise<Rebuild | undefined> {
    const { rows } = await sql<RebuildRow>`
      select case when state = 'running' and lease_until <= now() then 'interrupted' else state end
        as state, principal, started_at, ended_at, events, through::text as through, error
      from projection_rebuild where projection = ${projection}`.execute(this.#db);
    return rows[0] && rebuildOf(rows[0]);
  }
}

interface RebuildRow {
  readonly state: RebuildState;
  readonly principal: string;
  readonly started_at: Date;
  readonly ended_at: Date | null;
  readonly events: number | bigint | string;
  readonly through: string;
  readonly error: string | null;
}

function rebuildOf(row: RebuildRow): Rebuild {
  return {
    state: row.state,
    principalId: row.principal,
    startedAt: row.started_at.getTime(),
    ...(row.ended_at !== null && { endedAt: row.ended_at.getTime() }),
    events: Number(row.events),
    through: row.through,
    ...(row.error !== null && { error: row.error }),
  };
}

function schemaOf({ name }: Pick<Followed, "name">): string {
  return `rebuild_${name}`;
}

function leaseEnd(leaseMs: number) {
  return sql`clock_timestamp() + ${leaseMs} * interval '1 ms'`;
}

/** Ends what nobody is at any more, and drops what it has left behind. */
async function clearAway(db: Kysely<Tables>): Promise<void> {
  const { rows } = await sql<{ projection: string; isAlive: boolean }>`
    select projection, lease_until > clock_timestamp() as "isAlive" from projection_rebuild
    where state = 'running' for update`.execute(db);
  const alive = rows.find(({ isAlive }) => isAlive);
  if (alive !== undefined) {
    throw new RebuildRefused("running", `Cannot rebuild: ${alive.projection} is being rebuilt`);
  }
  for (const { projection: name } of rows) {
    await sql`drop schema if exists ${sql.id(schemaOf({ name }))} cascade`.execute(db);
    await sql`
      update projection_rebuild set state = 'failed', ended_at = lease_until,
        error = 'It was interrupted' where projection = ${name}`.execute(db);
  }
}

/** @throws {RebuildRefused} if the tables of the projection cannot be exchanged. */
async function exchangeable(
  db: Kysely<Tables>,
  { name, tables = [], start }: Followed,
): Promise<readonly TableStructure[]> {
  const refused = (why: string) =>
    new RebuildRefused("not-rebuildable", `Cannot rebuild ${name}: ${why}`);
  if (tables.length === 0) throw refused("it has no tables that are its own");
  if (start === "now") throw refused("it does not begin at the beginning");
  if (new TextEncoder().encode(schemaOf({ name })).length > IDENTIFIER_BYTES_MAX) {
    throw refused("its name is too long for a schema");
  }
  const structures = await structuresOf(db, tables);
  return structures.map((structure, index) => {
    if (structure === undefined) throw refused(`there is no table ${tables[index]}`);
    const [tie] = structure.ties;
    if (tie !== undefined) throw refused(`of table ${structure.name}, ${tie} would be lost`);
    return structure;
  });
}

interface Held extends FeedCursor {
  readonly state: "running" | "done";
  readonly events: number | bigint | string;
  readonly structure: string;
}

/** Locks the row of the rebuild, so that nobody else takes it over before this transaction ends. */
async function held(
  db: Kysely<Tables>,
  { name }: Followed,
  { token }: Attempt,
): Promise<Held> {
  const { rows } = await sql<Held>`
    select state, transaction::text as transaction, position::text as position, events, structure
    from projection_rebuild
    where projection = ${name} and token = ${token}::bigint and state in ('running', 'done')
    for update`.execute(db);
  if (rows[0] === undefined) throw new RebuildLost(name);
  return rows[0];
}

async function note(
  db: Kysely<Tables>,
  { name }: Followed,
  { leaseMs }: Attempt,
  { cursor, through }: AppliedPage,
  total: number,
): Promise<void> {
  await sql`
    update projection_rebuild set transaction = ${cursor.transaction}::text::xid8,
      position = ${cursor.position}::text::bigint, through = ${through}::text::xid8,
      events = ${total}::bigint, lease_until = ${leaseEnd(leaseMs)}
    where projection = ${name}`.execute(db);
}

/**
 * Has the names of the tables lead to the new ones, within this transaction. Statements are planned as
 * these are by now.
 */
async function onNewTables<Result>(
  transaction: Kysely<Tables>,
  projection: Followed,
  work: () => Promise<Result>,
): Promise<Result> {
  const { rows: [before] } = await sql<{ path: string }>`
    select current_setting('search_path') as path, ${planningAnew}`.execute(transaction);
  const lead = async (path: string) => {
    await sql`select set_config('search_path', ${path}, true)`.execute(transaction);
  };
  await lead(`${quoted(schemaOf(projection))}, ${before!.path}`);
  const result = await work();
  await lead(before!.path);
  return result;
}

async function applyRest(
  transaction: Kysely<Tables>,
  projection: Followed,
  after: FeedCursor,
  limit: number,
): Promise<{ readonly last: AppliedPage; readonly total: number }> {
  let last = await applyPage(transaction, projection, after, limit);
  let total = last.events;
  for (let pages = 1; last.events === limit && pages < SWAP_PAGES_MAX; pages++) {
    last = await applyPage(transaction, projection, last.cursor, limit);
    total += last.events;
  }
  return { last, total };
}

/** Takes the tables in use for this transaction alone, drops them, and moves the new ones in. */
async function exchange(
  transaction: Kysely<Tables>,
  projection: Followed,
  structure: string,
): Promise<void> {
  const places = (JSON.parse(structure) as readonly TableStructure[])
    .map(({ schema, name }) => ({ old: sql.id(schema, name), schema: sql.id(schema), name }));
  const all = sql.join(places.map(({ old }) => old));
  await sql`lock table ${all} in access exclusive mode`.execute(transaction);
  if (JSON.stringify(await exchangeable(transaction, projection)) !== structure) {
    throw new RebuildRefused(
      "not-rebuildable",
      `Cannot finish the rebuild of ${projection.name}: its tables were altered since it began`,
    );
  }
  const shadow = schemaOf(projection);
  await sql`drop table ${all}`.execute(transaction);
  for (const { schema, name } of places) {
    await sql`alter table ${sql.id(shadow, name)} set schema ${schema}`.execute(transaction);
  }
  await sql`drop schema ${sql.id(shadow)}`.execute(transaction);
}

const LOCK_NOT_AVAILABLE = "55P03";

function isLockTimeout(error: unknown): boolean {
  if (!(error instanceof TransientFault)) return false;
  return (error.cause as { readonly code?: string } | undefined)?.code === LOCK_NOT_AVAILABLE;
}

const ERROR_CHARS_MAX = 1_000;

function asStored(error: string): string {
  return error.replaceAll("\0", "").slice(0, ERROR_CHARS_MAX).toWellFormed();
}
