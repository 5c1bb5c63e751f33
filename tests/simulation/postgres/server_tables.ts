/**
 * All tables of a simulated Postgres: those of the runtime, and what projections make of events.
 *
 * @module
 */
import { emptyTables, type Tables } from "../../../lib/memory/tables.ts";

export interface CheckpointRow {
  readonly transaction: number;
  readonly position: number;
  readonly through: number;
}

export interface ServerTables extends Tables {
  /** By the name of the projection. */
  readonly checkpoints: Map<string, CheckpointRow>;
  /** By table, then by key. */
  readonly readModel: Map<string, Map<string, unknown>>;
}

export function emptyServerTables(): ServerTables {
  return { ...emptyTables(), checkpoints: new Map(), readModel: new Map() };
}

/** Puts back what was copied, into the tables that everybody knows. */
export function setTables(tables: ServerTables, copy: ServerTables): void {
  for (const [name, content] of Object.entries(structuredClone(copy))) {
    const table: unknown = tables[name as keyof ServerTables];
    if (table instanceof Map) {
      table.clear();
      for (const [key, row] of content as Map<unknown, unknown>) table.set(key, row);
    } else if (Array.isArray(table)) table.splice(0, table.length, ...content as unknown[]);
    else Object.assign(table as Record<string, unknown>, content);
  }
}
