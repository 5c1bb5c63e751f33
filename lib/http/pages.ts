/**
 * Lists in pages: `limit` and `cursor` in, `items` and `nextCursor` out.
 *
 * @module
 */
import { z } from "zod";
import { isStorable } from "./text.ts";

export const PAGE_MAX = 200;
const PAGE_DEFAULT = 50;
/** Of a place with the longest id of a caller in it, in whichever script. */
const CURSOR_CHARS_MAX = 1_500;

/** The query parameters of every list. */
export const pageParameters = {
  limit: z.string().regex(/^[0-9]{1,4}$/).transform(Number).pipe(z.int().min(1).max(PAGE_MAX))
    .default(PAGE_DEFAULT)
    .meta({
      description: "How many items a page has at most",
      override: asInteger({ minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT }),
    }),
};

/** Has the document say what a text in a query stands for. */
export function asInteger(
  bounds: { readonly minimum: number; readonly maximum: number; readonly default?: number },
) {
  return ({ jsonSchema }: { readonly jsonSchema: Record<string, unknown> }): void => {
    delete jsonSchema.pattern;
    Object.assign(jsonSchema, { type: "integer", ...bounds });
  };
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Asks for what follows; absent on the last page. */
  readonly nextCursor?: string;
}

/** What a list answers of such items. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    items: z.array(item),
    nextCursor: z.string().exactOptional()
      .describe("Asks for what follows, as `cursor`; absent on the last page"),
  });
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
  }).describe("The `nextCursor` of the page before");
}

function decoded(cursor: string): unknown {
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes), storable);
  } catch {
    // Whatever it was, it is no cursor of ours; the schema refuses `undefined`.
    return undefined;
  }
}

/** Anybody can write a cursor: what no list has given may be what no store can look for. */
function storable(_name: string, part: unknown): unknown {
  if (typeof part !== "string" || isStorable(part)) return part;
  throw new SyntaxError("A part is no text that is stored");
}
