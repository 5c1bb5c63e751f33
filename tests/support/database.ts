/**
 * Databases for tests: empty at first, gone at the end.
 *
 * @module
 */
import { sql } from "kysely";
import { type Database, type Limits, openDatabase } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";

/** A new database on the server of `DATABASE_URL`, dropped when disposed. */
export interface ServerDatabase extends AsyncDisposable {
  readonly url: string;
}

/**
 * A migrated database for all tests of the file that calls this, closed when they have run.
 *
 * Opening one takes half a second, so they share it; what they make must be their own.
 */
export async function databaseOfThisFile(limits: Limits = {}): Promise<Database> {
  // The timer that watches over queries is set anew amid some test, and outlives that. How busy the
  // machine is that tests run on is not what they are about.
  const patience = { queryTimeoutMs: 3_600_000, acquireTimeoutMs: 60_000 };
  const database = await openMemoryDatabase({ ...patience, ...limits });
  Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
  await migrateToLatest(database.maintenance, migrations);
  return database;
}

/** The same on the server, by its URL: each test opens it by itself. */
export async function serverDatabaseOfThisFile(): Promise<string> {
  const created = await createServerDatabase();
  Deno.test.afterAll(async () => await created[Symbol.asyncDispose]());
  await using database = await openDatabase({ url: created.url });
  await migrateToLatest(database.maintenance, migrations);
  return created.url;
}

/** Opens an empty embedded database in memory. */
export async function openMemoryDatabase(limits: Limits = {}): Promise<Database> {
  return await openDatabase({ memory: true, ...limits });
}

/** Opens an empty database on the server, and drops it when disposed. */
export async function openServerDatabase(limits: Limits = {}): Promise<Database> {
  await using opening = new AsyncDisposableStack();
  const { url } = opening.use(await createServerDatabase());
  const database = opening.use(await openDatabase({ url, ...limits }));
  const resources = opening.move();
  return { ...database, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Several processes, or several pools, may open it by its URL. */
export async function createServerDatabase(): Promise<ServerDatabase> {
  const name = `troupe_test_${crypto.randomUUID().replaceAll("-", "")}`;
  await administer(`create database ${name}`);
  const url = new URL(serverUrl());
  url.pathname = `/${name}`;
  return {
    url: url.href,
    [Symbol.asyncDispose]: () => administer(`drop database ${name} with (force)`),
  };
}

/** The server that tests may make databases on. */
export function serverUrl(): string {
  const url = Deno.env.get("DATABASE_URL");
  if (url === undefined) throw new Error("Cannot test on a server: DATABASE_URL is not set");
  return url;
}

async function administer(statement: string): Promise<void> {
  // What a test database keeps matters to nobody.
  await using server = await openDatabase({ url: serverUrl(), allowUnsafe: true });
  await sql.raw(statement).execute(server.maintenance);
}
