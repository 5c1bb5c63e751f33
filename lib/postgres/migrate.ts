/**
 * Brings the tables of a database to what this release expects.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { migrationLock } from "./pipelining_dialect.ts";

export type Migrations = Readonly<Record<string, Migration>>;

// deno-lint-ignore no-explicit-any -- what the tables are is what migrations change
type AnyDatabase = Kysely<any>;

/** The database was migrated by a newer release, or by another program. */
export class UnknownMigrations extends Error {
  override readonly name = "UnknownMigrations";
  readonly migrations: readonly string[];

  constructor(migrations: readonly string[]) {
    super(`Cannot use the database: it holds migrations unknown here: ${migrations.join(", ")}`);
    this.migrations = migrations;
  }
}

/**
 * Applies what is pending, all or nothing, and returns the names of what it applied.
 *
 * Of several processes that start at once, one applies and the others wait for it. Give it a
 * database without short time limits: `database.maintenance`.
 *
 * @throws {UnknownMigrations} when the database is ahead of `migrations`.
 */
export async function migrateToLatest(
  db: AnyDatabase,
  migrations: Migrations,
): Promise<readonly string[]> {
  return await db.transaction().execute(async (transaction) => {
    // Kysely makes its own tables before it takes its lock, and the loser of that race would
    // find its transaction broken. So the lock is taken before all else.
    await sql`select pg_advisory_xact_lock(${migrationLock})`.execute(transaction);
    await refuseUnknown(transaction, migrations);
    const { error, results } = await migrator(transaction, migrations).migrateToLatest();
    if (error !== undefined) throw error;
    return results!.map(({ migrationName }) => migrationName);
  });
}

/** The names of the migrations that the database still lacks, in their order. */
export async function pendingMigrations(
  db: AnyDatabase,
  migrations: Migrations,
): Promise<readonly string[]> {
  await refuseUnknown(db, migrations);
  const known = await migrator(db, migrations).getMigrations();
  return known.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name);
}

function migrator(db: AnyDatabase, migrations: Migrations): Migrator {
  return new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve({ ...migrations }) },
  });
}

async function refuseUnknown(db: AnyDatabase, migrations: Migrations): Promise<void> {
  const found = await sql<{ exists: boolean }>`
    select to_regclass('kysely_migration') is not null as exists`.execute(db);
  if (!found.rows[0]!.exists) return;
  const applied = await sql<{ name: string }>`
    select name from kysely_migration order by name`.execute(db);
  const unknown = applied.rows.map(({ name }) => name).filter((name) => !(name in migrations));
  if (unknown.length > 0) throw new UnknownMigrations(unknown);
}
