import { PoisonFault } from "../fault.ts";

/**
 * What Postgres takes for JSON but cannot keep in a jsonb: U+0000, and half of a surrogate pair. In
 * JSON both are escapes, unless the backslash is itself escaped.
 */
const unkeepable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/**
 * As JSON, and frozen, so that nobody comes to rely on sharing objects with a store.
 *
 * @throws {PoisonFault} when it is no JSON, or none that Postgres could keep.
 */
export function kept<T>(value: T): T {
  const text = jsonOf(value);
  if (text.includes("\\u") && unkeepable.test(text)) {
    throw new PoisonFault("Cannot store the character U+0000, or half of a pair");
  }
  return frozen(JSON.parse(text));
}

function jsonOf(content: unknown): string {
  try {
    return JSON.stringify(content);
  } catch (cause) {
    throw new PoisonFault("Cannot store what is no JSON", { cause });
  }
}

function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  const parts = Array.isArray(value) ? value : Object.values(value);
  for (let place = 0; place < parts.length; place++) {
    if (typeof parts[place] === "object") frozen(parts[place]);
  }
  return Object.freeze(value);
}
