/**
 * Lists in pages: `limit` and `cursor` in, `items` and `nextCursor` out.
 *
 * @module
 */
import { z } from "zod";

export const PAGE_MAX = 200;
const PAGE_DEFAULT = 50;
const CURSOR_CHARS_MAX = 500;

/** The query parameters of every list. */
export const pageParameters = {
  limit: z.string().regex(/^[0-9]{1,4}$/).transform(Number).pipe(z.int().min(1).max(PAGE_MAX))
    .default(PAGE_DEFAULT),
};

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Asks for what follows; absent on the last page. */
  readonly nextCursor?: string;
}

/**
 * A page out of up to `limit + 1` rows: the one too many says that there is more.
 *
 * `keyOf` names the place of a row, from which {@linkcode placeIn} lets the next page go on.
 */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  item: (row: Row) => Item,
  keyOf: (row: Row) => readonly unknown[],
): Page<Item> {
  const items = rows.slice(0, limit).map(item);
  if (rows.length <= limit) return { items };
  const key = new TextEncoder().encode(JSON.stringify(keyOf(rows[limit - 1]!)));
  return { items, nextCursor: key.toBase64({ alphabet: "base64url", omitPadding: true }) };
}

/** A schema for cursors of one list: what {@linkcode pageOf} made of its `keyOf`, checked. */
export function placeIn<Key extends z.ZodType>(key: Key) {
  return z.string().max(CURSOR_CHARS_MAX).transform((cursor, context): z.output<Key> => {
    const result = key.safeParse(decoded(cursor));
    if (result.success) return result.data;
    context.addIssue({ code: "custom", message: "Must be a nextCursor of this list" });
    return z.NEVER;
  });
}

function decoded(cursor: string): unknown {
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // Whatever it was, it is no cursor of ours; the schema refuses `undefined`.
    return undefined;
  }
}
