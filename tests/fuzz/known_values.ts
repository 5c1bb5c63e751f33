/**
 * What the service has answered with, as far as paths can be made of it.
 *
 * @module
 */
import type { Known } from "./attempts.ts";

/** Of one place; the newest. */
const VALUES_MAX = 40;
const VALUE_CHARS_MAX = 200;

/** What nobody can make up: a list gives it, and takes it back. */
export const CURSOR = "cursor";
/** Names that stand for the same thing wherever they are met. */
const lasting = /(Id|^symbol)$/;

export class KnownValues implements Known {
  readonly #values = new Map<string, string[]>();

  valuesFor(path: string, parameter: string): readonly string[] {
    if (parameter === CURSOR) return this.#values.get(`${path}?${CURSOR}`) ?? [];
    const [before, after] = path.split(`/{${parameter}}`);
    // A parameter of the query is in no place of the path.
    const here = after === undefined ? undefined : this.#values.get(`${before}/`);
    return here ?? this.#values.get(parameter) ?? [];
  }

  get cursors(): readonly string[] {
    return [...this.#values].flatMap(([place, values]) =>
      place.endsWith(`?${CURSOR}`) ? values : []
    );
  }

  /** Takes note of an answer to a request for `path`, a path with its parameters in braces. */
  learn(path: string, body: unknown): void {
    for (const thing of thingsIn(body)) {
      for (const [name, value] of Object.entries(thing)) {
        if (typeof value !== "string" || value.length > VALUE_CHARS_MAX) continue;
        if (name === "id") this.#keep(`${path}/`, value);
        else if (lasting.test(name)) this.#keep(name, value);
      }
    }
    const { nextCursor } = Object(body) as { readonly nextCursor?: unknown };
    if (typeof nextCursor === "string") this.#keep(`${path}?${CURSOR}`, nextCursor);
  }

  #keep(place: string, value: string): void {
    const values = this.#values.get(place) ?? [];
    if (values.includes(value)) return;
    if (values.push(value) > VALUES_MAX) values.shift();
    this.#values.set(place, values);
  }
}

function thingsIn(body: unknown): readonly object[] {
  if (typeof body !== "object" || body === null) return [];
  const { items } = body as { readonly items?: unknown };
  return Array.isArray(items) ? items.filter((item) => typeof item === "object" && item) : [body];
}
