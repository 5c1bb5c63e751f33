/**
 * The log: one line of JSON per entry, for machines first.
 *
 * @module
 */
import type { LogLevel } from "../config.ts";

export type Log = (
  level: LogLevel,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

const rank: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A log that leaves out what is below `least`, and gives each other entry to `write` as a line. */
export function openLog(least: LogLevel, write: (line: string) => void, now: () => number): Log {
  return (level, message, fields) => {
    if (rank[level] < rank[least]) return;
    const time = new Date(now()).toISOString();
    write(JSON.stringify({ time, level, message, ...fields }, readable));
  };
}

/** Errors have no JSON of their own, and bigints have none at all. */
function readable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  return { name, message, stack, ...(cause !== undefined && { cause }) };
}
