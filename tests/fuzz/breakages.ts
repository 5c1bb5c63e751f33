/**
 * The ways in which one field of a request is broken, each by itself.
 *
 * @module
 */

/** JSON, or what only looks like it, to be put into a body as it is written. */
export class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** In place of the field: as if it had not been there. */
export const absent = Symbol("absent");

export interface Breakage {
  readonly name: string;
  /** What stands where the value was. */
  readonly of: (value: unknown) => unknown;
}

const texts: readonly (readonly [name: string, of: (text: string) => string])[] = [
  ["nothing", () => ""],
  ["white space", () => " \t "],
  ["white space around", (text) => ` ${text} `],
  ["a line break behind", (text) => `${text}\n`],
  ["U+0000", (text) => `${text}\u0000`],
  ["a lone surrogate", (text) => `${text}\ud800`],
  ["U+FFFD", (text) => `${text}\ufffd`],
  ["control characters", (text) => `\u0007${text}\u001b[31m`],
  ["a text turned around", (text) => `\u202e${text}`],
  ["signs piled up", (text) => `${text}${"\u0301".repeat(300)}`],
  ["the other case", (text) => swappedCase(text)],
  ["ten thousand letters", () => "a".repeat(10_000)],
  ["ten thousand quotes", () => '"'.repeat(10_000)],
  ["a formula", () => "=1+1"],
  ["SQL", (text) => `${text}' or '1'='1' --`],
  ["SQL that sleeps", () => "'; select pg_sleep(5); --"],
  ["a like-pattern", () => "%_%_%\\"],
  ["HTML", () => '"><script>alert(1)</script>'],
  ["a template", () => "${7*7}{{7*7}}"],
  ["a path upwards", () => "../../../../etc/passwd"],
  ["an escape sequence", () => "%00%0d%0aX-Evil: 1"],
  ["header lines", () => "x\r\nX-Evil: 1"],
  ["__proto__", () => "__proto__"],
  ["constructor", () => "constructor"],
  ["the year zero", () => "0000-12-31T00:00:00Z"],
  ["a day that is none", () => "2030-02-30T25:61:61Z"],
  ["an offset beyond", () => "9999-12-31T23:59:59-23:59"],
  ["a UUID of zeros", () => "00000000-0000-0000-0000-000000000000"],
  ["digits without end", () => "9".repeat(400)],
  ["a number below nothing", () => "-1"],
  ["Infinity", () => "Infinity"],
  ["a text for a pattern", () => `${"a".repeat(5_000)}!`],
];

const values: readonly (readonly [name: string, value: unknown])[] = [
  ["null", null],
  ["true", true],
  ["zero", 0],
  ["minus zero", new Raw("-0")],
  ["minus one", -1],
  ["a half", 0.5],
  ["more than a double is exact to", new Raw("9007199254740993")],
  ["more than there is", new Raw("1e999")],
  ["hardly anything", new Raw("1e-999")],
  ["no number", new Raw("NaN")],
  ["digits without end, bare", new Raw("9".repeat(400))],
  ["an empty list", []],
  ["a list of lists", [[[[]]]]],
  ["an empty object", {}],
  ["an object within", { a: { b: { c: null } } }],
  ["a prototype", new Raw('{"__proto__":{"admin":true}}')],
  ["a constructor", { constructor: { prototype: { admin: true } } }],
  ["a deep list", new Raw("[".repeat(2_000) + "]".repeat(2_000))],
  ["a text that does not end", new Raw('"')],
  ["absence", absent],
];

/** Of whatever is sent as JSON. */
export const breakages: readonly Breakage[] = [
  ...texts.map(([name, of]) => ({
    name: `text: ${name}`,
    of: (value: unknown) => of(textOf(value)),
  })),
  ...values.map(([name, value]) => ({ name, of: () => value })),
  { name: "the value twice", of: (value) => [value, value] },
  { name: "the value as a text", of: (value) => textOf(value) },
  { name: "the value in an object", of: (value) => ({ value }) },
];

/** Of what is text to begin with: a part of the path, of the query. */
export const textBreakages: readonly Breakage[] = [
  ...breakages.filter(({ name }) => name.startsWith("text: ")),
  { name: "absence", of: () => absent },
  { name: "the value twice", of: (value) => [value, value] },
];

/** What no client can put into a header, or what is taken off it again on the way. */
const beyondHeaders = new Set([
  "text: white space",
  "text: white space around",
  "text: a line break behind",
  "text: U+0000",
  "text: control characters",
  "text: header lines",
]);

export const headerBreakages: readonly Breakage[] = [
  ...textBreakages.filter(({ name }) => !beyondHeaders.has(name)),
  ...Object.entries<(text: string) => string>({
    "a comma behind": (text) => `${text},`,
    "two commas": (text) => `${text},,${text}`,
    "in quotes": (text) => `"${text}"`,
    "half a quote": (text) => `"${text}`,
    "a tab within": (text) => `${text}\t${text}`,
    "a parameter behind": (text) => `${text};q=0;q=1`,
    "a weak tag": () => 'W/"',
    "a hundred of them": (text) => Array.from({ length: 100 }, () => text).join(", "),
  }).map(([name, of]) => ({ name: `header: ${name}`, of: (value: unknown) => of(textOf(value)) })),
];

/** Of a cursor, so many parts are broken by themselves. */
const CURSOR_PARTS = 4;
const withinCursors = new Set([
  "text: U+0000",
  "text: a lone surrogate",
  "text: signs piled up",
  "text: an offset beyond",
  "null",
  "a half",
  "digits without end, bare",
  "an object within",
]);

/** Of what a cursor holds: it is text outside, and a list within, that whoever likes can write. */
export const cursorBreakages: readonly Breakage[] = Array.from(
  { length: CURSOR_PARTS },
  (_, place) =>
    breakages.filter(({ name }) => withinCursors.has(name)).map(({ name, of }) => ({
      name: `part ${place + 1}: ${name}`,
      of: (cursor: unknown) => {
        const parts = partsOf(textOf(cursor));
        const at = place % parts.length;
        return cursorOf(parts.with(at, of(parts[at])));
      },
    })),
).flat();

function partsOf(cursor: string): readonly unknown[] {
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    const parts = JSON.parse(new TextDecoder().decode(bytes));
    if (Array.isArray(parts) && parts.length > 0) return parts;
  } catch {
    // None that a list has given: no list was long enough so far.
  }
  return [cursor];
}

function cursorOf(parts: readonly unknown[]): string {
  const bytes = new TextEncoder().encode(jsonOf(parts));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** JSON, with what is {@linkcode Raw} as it is; undefined for what is absent altogether. */
export function jsonOf(value: unknown): string | undefined {
  if (value === absent) return undefined;
  const raws: string[] = [];
  const text = JSON.stringify(value, (_, inner: unknown) => {
    if (!(inner instanceof Raw)) return inner;
    raws.push(inner.text);
    return `\u0001raw ${raws.length - 1}\u0001`;
  });
  return text.replaceAll(/"\\u0001raw (\d+)\\u0001"/g, (_, n) => raws[Number(n)]!);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

function swappedCase(text: string): string {
  const upper = text.toUpperCase();
  return upper === text ? text.toLowerCase() : upper;
}
