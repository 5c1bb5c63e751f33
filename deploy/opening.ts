/**
 * What is opened with a configuration before there is a node, by the service and by commands.
 *
 * @module
 */
import { type Config, ConfigurationError } from "../lib/config.ts";
import { systemEnv } from "../lib/env.ts";
import { keptSecret, SECRET_BYTES } from "../lib/kept_secret.ts";
import { openTokenKeys } from "../lib/http/token_keys.ts";
import type { TokenOptions } from "../lib/http/tokens.ts";
import { type Database, type DatabaseOptions, openDatabase } from "../lib/postgres/database.ts";
import { auditKeyOf, type AuditKeys } from "../lib/postgres/audit_chain.ts";
import { migrateToLatest } from "../lib/postgres/migrate.ts";
import type { Log } from "../lib/telemetry/log.ts";
import { migrations } from "../migrations/all.ts";

export async function openMigrated(config: Config, log: Log): Promise<Database> {
  await using opening = new AsyncDisposableStack();
  const database = opening.use(await openDatabase(databaseOptions(config)));
  const applied = await migrateToLatest(database.maintenance, migrations);
  log("info", "database open", { durability: database.durability, migrationsApplied: applied });
  if (!database.durability.survivesPowerLoss) {
    log("warn", "this store survives a crash of the process, but not a loss of power", {});
  }
  opening.move();
  return database;
}

export function databaseOptions({ database, dataDir }: Config): DatabaseOptions {
  const { url, poolMax, allowUnsafe } = database;
  return url === undefined ? { dataDir: `${dataDir}/postgres` } : { url, poolMax, allowUnsafe };
}

export async function tokenOptions({ tokens, dataDir }: Config): Promise<TokenOptions> {
  const { secrets, issuer, audience } = tokens;
  return { keys: await openTokenKeys({ secrets, dataDir }), issuer, audience, env: systemEnv };
}

export async function auditKeysOf({ audit, tokens, dataDir }: Config): Promise<AuditKeys> {
  const path = `${dataDir}/audit.key`;
  const given = audit.secrets.length > 0 ? audit.secrets : tokens.secrets;
  const [first = await keptSecret(path), ...others] = given;
  if (first === undefined) {
    throw new ConfigurationError([
      { name: path, expected: `a key of at least ${SECRET_BYTES} bytes in base64url` },
    ]);
  }
  return [auditKeyOf(first), ...others.map(auditKeyOf)];
}
