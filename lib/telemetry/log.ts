/**
 * The log: one line of JSON per entry, for machines first.
 *
 * @module
 */
import type { LogLevel } from "../config.ts";

export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one entry. Fields given as a function are only computed if the entry is written. */
export type Log = (
  level: LogLevel,
  message: string,
  fields?: LogFields | (() => LogFields),
) => void;

const rank: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * A log that leaves out what is below `least`, and gives each other entry to `write` as a line.
 *
 * It never throws: fields that have no JSON are left out, and the entry says so.
 */
export function openLog(least: LogLevel, write: (line: string) => void, now: () => number): Log {
  return (level, message, fields) => {
    if (rank[level] < rank[least]) return;
    const time = new Date(now()).toISOString();
    const given = typeof fields === "function" ? fields() : fields;
    const entry = { time, level, message };
    // Given twice: first for the reader's eye, and last so that no field can pass for one of them.
    const line = lineOf({ ...entry, ...given, ...entry });
    write(line ?? JSON.stringify({ ...entry, unprintable: true }));
  };
}

/** JSON escapes line breaks and, below U+0020, all that could steer a terminal. */
function lineOf(entry: LogFields): string | undefined {
  try {
    return JSON.stringify(entry, readable).replace(/[\u007f-\u009f\u2028\u2029]/g, escaped);
  } catch {
    // A cycle, or a getter or toJSON that throws: whatever it is, the log is no place to fail.
    return undefined;
  }
}

/** JSON leaves C1 controls alone, one of which begins an escape sequence. */
function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Errors have no JSON of their own, and bigints have none at all. */
function readable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  return { name, message, stack, ...(cause !== undefined && { cause }) };
}
