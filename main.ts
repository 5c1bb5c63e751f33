/**
 * The program, and the commands that it knows.
 *
 * `main.ts` serves, `main.ts migrate` brings the database up to date and ends,
 * `main.ts token NAME --role ROLE` prints a bearer token, `main.ts create-admin EMAIL` makes an
 * administrator, `main.ts rotate-token-key` has tokens signed with a new key, `main.ts dead-letters …`
 * sees to what no actor could handle, `main.ts rebuild-projection NAME` makes read tables anew, and
 * `main.ts audit-verify` tells whether the audit is what was sealed.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ZodError } from "zod";
import * as LoginName from "./actors/login_name/aggregate.ts";
import * as User from "./actors/user/aggregate.ts";
import { type Config, ConfigurationError, readConfig, variablesIn } from "./lib/config.ts";
import { systemEnv } from "./lib/env.ts";
import { TransientFault } from "./lib/fault.ts";
import { rotateTokenKey } from "./lib/http/token_keys.ts";
import { mintToken } from "./lib/http/tokens.ts";
import { PasswordHashing } from "./lib/passwords/hashing.ts";
import { DataDirectoryInUse } from "./lib/postgres/data_lock.ts";
import { type Database, DatabaseUnusable, openDatabase } from "./lib/postgres/database.ts";
import { PostgresAudit } from "./lib/postgres/audit.ts";
import { verifyAudit } from "./lib/postgres/audit_verification.ts";
import { PostgresDeadLetters } from "./lib/postgres/dead_letters.ts";
import { PostgresEventStore } from "./lib/postgres/event_store.ts";
import { migrateToLatest, pendingMigrations, UnknownMigrations } from "./lib/postgres/migrate.ts";
import type { AuditSeal } from "./lib/runtime/audit.ts";
import type { Operator } from "./lib/runtime/outbox.ts";
import { RebuildRefused } from "./lib/runtime/rebuild.ts";
import { ActorSystem } from "./lib/runtime/system.ts";
import { shutdownRequested } from "./lib/signals.ts";
import { openLog } from "./lib/telemetry/log.ts";
import { logObserver } from "./lib/telemetry/log_observer.ts";
import { migrations } from "./migrations/all.ts";
import { AuditCommandFailed, auditVerifyCommand } from "./routes/audit_cli.ts";
import {
  adminCredentials,
  createAdminCommand,
  CreateAdminFailed,
} from "./routes/create_admin_cli.ts";
import { deadLettersCommand, DeadLettersUsageError } from "./routes/dead_letters_cli.ts";
import { rebuildCommand, RebuildFailed, rebuildReport } from "./routes/projections_cli.ts";
import { rebuilderOf } from "./deploy/read_tables.ts";
import { CannotListen } from "./deploy/server.ts";
import { auditKeysOf, databaseOptions, openMigrated, tokenOptions } from "./deploy/opening.ts";
import { startService } from "./deploy/service.ts";

async function serve(config: Config): Promise<void> {
  const log = openLog(config.logLevel, console.log, systemEnv.now);
  const stop = shutdownRequested();
  const service = await startService(config, log);
  log("info", "listening", { url: service.url });
  const reason = await Promise.race([stop, service.failed]);
  if (reason instanceof Error) log("error", "the node ends itself", { error: reason });
  else log("info", "stopping", { signal: reason });
  const { shutdownMs, shutdownGraceMs } = config.limits;
  service.drain();
  // Whoever sends SIGINT sits before it, and no balancer sends anyone else.
  if (reason === "SIGTERM") await systemEnv.sleep(shutdownGraceMs);
  const isLate = setTimeout(() => {
    log("error", "gave up on an orderly end", { shutdownMs });
    Deno.exit(1);
  }, shutdownMs);
  await service[Symbol.asyncDispose]();
  clearTimeout(isLate);
  log("info", "stopped", {});
  if (reason instanceof Error) Deno.exit(1);
}

async function migrate(config: Config): Promise<void> {
  await using database = await openDatabase(databaseOptions(config));
  const applied = await migrateToLatest(database.maintenance, migrations);
  for (const name of applied) console.log(`applied ${name}`);
  if (applied.length === 0) console.log("nothing to apply");
}

async function token(config: Config, args: readonly string[]): Promise<void> {
  const { sub, roles } = tokenArguments(args);
  const { ttlMs } = config.tokens;
  try {
    console.log(await mintToken(await tokenOptions(config), { sub, roles, ttlMs }));
  } catch (error) {
    if (!(error instanceof ZodError)) throw error;
    const culprit = error.issues[0]?.path[0] === "roles" ? "role" : "name";
    throw new UsageError(`Cannot mint a token: this is no ${culprit} for one`, { cause: error });
  }
}

async function createAdmin(config: Config, args: readonly string[]): Promise<void> {
  using hashing = new PasswordHashing({ env: systemEnv });
  const credentials = await adminCredentials(args, await passwordGiven(), hashing);
  const log = openLog("error", console.error, systemEnv.now);
  await using database = await openMigrated(config, log);
  const observe = logObserver(log);
  const store = new PostgresEventStore(database);
  await using system = new ActorSystem({ env: systemEnv, store, observe });
  system.host(LoginName);
  system.host(User);
  const audit = new PostgresAudit(database.db);
  const operator = operatorHere();
  const options = { system, hashing, audit, env: systemEnv, operator };
  await createAdminCommand(options, credentials, console.log);
}

/** What is piped in; undefined from a terminal, where it would be seen. */
async function passwordGiven(): Promise<string | undefined> {
  if (Deno.stdin.isTerminal()) return undefined;
  const text = await new Response(Deno.stdin.readable).text();
  const [line = ""] = text.split(/\r?\n/, 1);
  return line === "" ? undefined : line;
}

async function rotateKey({ tokens, dataDir }: Config): Promise<void> {
  if (tokens.secrets.length > 0) {
    throw new UsageError(
      "Cannot rotate the key: it follows from TOKEN_SECRET. Let every process believe the new one, " +
        "in TOKEN_SECRETS_RETIRED, before any signs with it",
    );
  }
  const [newest, ...others] = await rotateTokenKey(dataDir);
  console.log(`signs from the next start on: ${newest}`);
  for (const kid of others) console.log(`still believed: ${kid}`);
}

/** Never brings it up to date by itself: that is for who starts the service, or asks for it. */
async function openUpToDate(config: Config, refusal: string): Promise<Database> {
  await using opening = new AsyncDisposableStack();
  const database = opening.use(await openDatabase(databaseOptions(config)));
  const pending = await pendingMigrations(database.maintenance, migrations);
  if (pending.length > 0) {
    throw new UsageError(`${refusal}: the database lacks ${pending.join(", ")}`);
  }
  opening.move();
  return database;
}

async function seeToDeadLetters(config: Config, args: readonly string[]): Promise<void> {
  await using database = await openUpToDate(config, "Cannot see to dead letters");
  const letters = new PostgresDeadLetters(database.db);
  await deadLettersCommand(letters, args, operatorHere(), console.log);
}

async function verifyTheAudit(config: Config, args: readonly string[]): Promise<void> {
  const keys = await auditKeysOf(config);
  await using database = await openUpToDate(config, "Cannot verify the audit");
  const verify = (anchor: AuditSeal | undefined) => verifyAudit(database.maintenance, keys, anchor);
  await auditVerifyCommand(verify, args, console.log);
}

async function rebuild(config: Config, args: readonly string[]): Promise<void> {
  await using database = await openUpToDate(config, "Cannot rebuild");
  // Nobody else is served by this process, and an embedded database has no other.
  await using rebuilder = rebuilderOf(database, systemEnv, rebuildReport(console.log), {
    restMs: 0,
  });
  await rebuildCommand(rebuilder, args, operatorHere(), console.log);
}

function operatorHere(): Operator {
  return { id: `cli:${Deno.env.get("USER") ?? "unknown"}` };
}

function tokenArguments(args: readonly string[]): { sub: string; roles: readonly string[] } {
  const usage = "usage: token NAME [--role organizer|admin]…";
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { role: { type: "string", multiple: true, default: [] } },
    });
    const [sub] = positionals;
    if (sub !== undefined) return { sub, roles: values.role };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; ${usage}`, { cause: error });
  }
  throw new UsageError(usage);
}

class UsageError extends Error {}

class DataDirectoryUnusable extends Error {
  constructor({ dataDir }: Config, cause: Error) {
    super(`Cannot use the data directory ${dataDir}: ${cause.message}`, { cause });
  }
}

/** What whoever started the process can mend; all else is a bug, and shows its stack. */
const mendable = [
  UsageError,
  CreateAdminFailed,
  DeadLettersUsageError,
  AuditCommandFailed,
  RebuildFailed,
  RebuildRefused,
  ConfigurationError,
  DatabaseUnusable,
  DataDirectoryInUse,
  DataDirectoryUnusable,
  UnknownMigrations,
  TransientFault,
  CannotListen,
  Deno.errors.NotCapable,
];

async function main([command = "serve", ...args]: readonly string[]): Promise<void> {
  try {
    const config = readConfig(variablesIn(Deno.env));
    await run(command, args, config).catch((error) => {
      throw isRefusedBySystem(error) ? new DataDirectoryUnusable(config, error) : error;
    });
  } catch (error) {
    if (!mendable.some((kind) => error instanceof kind)) throw error;
    console.error((error as Error).message);
    Deno.exit(1);
  }
}

async function run(command: string, args: readonly string[], config: Config): Promise<void> {
  switch (command) {
    case "serve":
      return await serve(config);
    case "migrate":
      return await migrate(config);
    case "token":
      return await token(config, args);
    case "create-admin":
      return await createAdmin(config, args);
    case "rotate-token-key":
      return await rotateKey(config);
    case "dead-letters":
      return await seeToDeadLetters(config, args);
    case "rebuild-projection":
      return await rebuild(config, args);
    case "audit-verify":
      return await verifyTheAudit(config, args);
    default:
      throw new UsageError(
        `unknown command ${command}: serve, migrate, token, create-admin, rotate-token-key, ` +
          "dead-letters, rebuild-projection or audit-verify",
      );
  }
}

/** A missing permission, a full disk. */
function isRefusedBySystem(error: unknown): error is Error {
  return error instanceof Error && "code" in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

if (import.meta.main) await main(Deno.args);
