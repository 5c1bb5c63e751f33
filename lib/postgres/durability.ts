/**
 * What a database promises to keep, read from the settings in force.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";

export interface Durability {
  readonly store: "server" | "embedded" | "memory";
  /** Of Postgres, such as `15.20`. */
  readonly version: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Whether what was confirmed is still there after the machine lost its power. */
  readonly survivesPowerLoss: boolean;
}

const reported = [
  "fsync",
  "full_page_writes",
  "synchronous_commit",
  "wal_level",
  "data_checksums",
] as const;

/** Settings that lose confirmed work when they are off. */
const required = ["fsync", "full_page_writes", "synchronous_commit"] as const;

export async function readDurability(
  // deno-lint-ignore no-explicit-any -- the catalogue is the same whatever the tables are
  db: Kysely<any>,
  store: Durability["store"],
): Promise<Durability> {
  const { rows } = await sql<{ version: string; settings: Record<string, string> }>`
    select current_setting('server_version') as version, jsonb_object_agg(name, setting) as settings
    from pg_settings where name = any(${reported}::text[])`.execute(db);
  const { version, settings } = rows[0]!;
  return {
    store,
    version: version.split(" ")[0]!,
    settings,
    // The embedded engine never calls fsync, whatever its settings say.
    survivesPowerLoss: store === "server" && unsafeSettings(settings).length === 0,
  };
}

/** The settings, as `name=value`, with which Postgres may lose what it has confirmed. */
export function unsafeSettings(settings: Durability["settings"]): string[] {
  return required.filter((name) => settings[name] === "off").map((name) => `${name}=off`);
}
