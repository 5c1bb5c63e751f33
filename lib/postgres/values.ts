/**
 * How values travel to Postgres and back. Both stores use this and nothing of the driver's own, so
 * that a query means the same to each.
 *
 * Parameters go as untyped text, and Postgres infers what they are. Results come back as: `bool`
 * boolean; `int2`, `int4`, `float` number; `int8` number where that is exact, else bigint; `json`
 * and `jsonb` parsed; `timestamptz` Date; `bytea` Uint8Array; arrays of these as arrays; and all
 * else as Postgres writes it, `xid8`, `numeric`, `uuid` and `date` among them.
 *
 * @module
 */

/** A parameter as text. An array becomes a Postgres array, any other object JSON. */
export function toParameter(value: unknown): string | null {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    case "object":
      return value === null ? null : objectToParameter(value);
    default:
      throw new TypeError(`Cannot send a parameter of type ${typeof value}`);
  }
}

function objectToParameter(value: object): string {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `\\x${value.toHex()}`;
  if (Array.isArray(value)) return `{${value.map(arrayElement).join(",")}}`;
  return JSON.stringify(value);
}

function arrayElement(value: unknown): string {
  if (Array.isArray(value)) return objectToParameter(value);
  const text = toParameter(value);
  return text === null ? "null" : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

type Parse = (text: string) => unknown;

const toInstant: Parse = (text) => new Date(text);

const scalars: readonly (readonly [oid: number, arrayOid: number, parse: Parse | undefined])[] = [
  [16, 1000, (text) => text === "t"], // bool
  [17, 1001, (text) => Uint8Array.fromHex(text.slice(2))], // bytea
  [20, 1016, toInteger], // int8
  [21, 1005, Number], // int2
  [23, 1007, Number], // int4
  [25, 1009, undefined], // text
  [26, 1028, Number], // oid
  [114, 199, JSON.parse], // json
  [700, 1021, Number], // float4
  [701, 1022, Number], // float8
  [1043, 1015, undefined], // varchar
  [1184, 1185, toInstant], // timestamptz
  [1700, 1231, undefined], // numeric
  [2950, 2951, undefined], // uuid
  [3802, 3807, JSON.parse], // jsonb
  [5069, 271, undefined], // xid8
];

/** What turns the text of a result into a value, by the type's oid. */
export const parsers: Readonly<Record<number, Parse>> = Object.fromEntries(
  scalars.flatMap(([oid, arrayOid, parse]): [number, Parse][] => [
    ...(parse === undefined ? [] : [[oid, (text: string) => parse(text)] as [number, Parse]]),
    [arrayOid, (text) => parseArray(text, parse ?? String)],
  ]),
);

function toInteger(text: string): number | bigint {
  const integer = Number(text);
  return Number.isSafeInteger(integer) ? integer : BigInt(text);
}

/** Reads `{1,NULL,"a \"quoted\" one",{2}}`. The driver's own reader takes NULL for a value. */
function parseArray(text: string, parse: Parse): unknown[] {
  const token = /([{},])|"((?:[^"\\]|\\.)*)"|([^{},"]+)/gs;
  const open: unknown[][] = [];
  // An array that does not start at 1 is led by its bounds, as in `[0:1]={a,b}`.
  for (const [, mark, quoted, bare] of text.slice(text.indexOf("{")).matchAll(token)) {
    if (mark === "{") {
      open.push([]);
    } else if (mark === "}") {
      const closed = open.pop()!;
      if (open.length === 0) return closed;
      open.at(-1)!.push(closed);
    } else if (quoted !== undefined) {
      open.at(-1)!.push(parse(quoted.replace(/\\(.)/gs, "$1")));
    } else if (bare !== undefined) {
      open.at(-1)!.push(bare === "NULL" ? null : parse(bare));
    }
  }
  throw new SyntaxError(`Cannot read an array from ${text}`);
}
