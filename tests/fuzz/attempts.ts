/**
 * Requests made of a document: valid by it, or broken at one place; the same for the same seed.
 *
 * @module
 */
import fc from "fast-check";
import {
  absent,
  type Breakage,
  breakages,
  cursorBreakages,
  headerBreakages,
  jsonOf,
  textBreakages,
} from "./breakages.ts";
import type { DocumentedOperation, OpenApiDocument, Parameter, Schema } from "./document.ts";
import { followed } from "./document.ts";
import { CURSOR } from "./known_values.ts";
import { valueOf } from "./values.ts";
import type { WholeBreakage } from "./whole_breakages.ts";

export interface Attempt {
  readonly operation: DocumentedOperation;
  /** What is wrong with it, and where; undefined where the document has nothing against it. */
  readonly broken: string | undefined;
  /** The field that it is broken at, if it is at one. */
  readonly field: string | undefined;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly content: string | Uint8Array<ArrayBuffer> | undefined;
}

/** What the service has been seen to have: values for the parameters of paths. */
export interface Known {
  /** Some that were met at this place of a path; empty where none were. */
  valuesFor(path: string, parameter: string): readonly string[];
  /** Of any list. */
  readonly cursors: readonly string[];
}

/** One thing that a client fills in. */
export type Field =
  | {
    readonly in: "parameter";
    readonly parameter: Parameter;
    readonly name: string;
    /** It is what the parameter holds, not the whole of it. */
    readonly isWithin?: true;
  }
  | { readonly in: "body"; readonly path: readonly string[]; readonly name: string };

/** For a value that has the field, which may be optional or of one variant only. */
const SAMPLES_MAX = 60;
/** What a server takes for the value of a header. */
const HEADER_CHARS_MAX = 7_000;

/** Makes the attempts at one operation. */
export class Attempts {
  readonly operation: DocumentedOperation;
  readonly fields: readonly Field[];
  readonly #known: Known;
  readonly #body: fc.Arbitrary<unknown> | undefined;
  readonly #parameters: ReadonlyMap<string, fc.Arbitrary<unknown>>;

  constructor(document: OpenApiDocument, operation: DocumentedOperation, known: Known) {
    this.operation = operation;
    this.fields = fieldsOf(document, operation);
    this.#known = known;
    const { body, parameters } = operation;
    this.#body = body && valueOf(document, body.schema);
    this.#parameters = new Map(
      parameters.map(({ name, schema = {} }) => [name, valueOf(document, schema)]),
    );
  }

  /** Valid by the document. */
  valid(seed: number): Attempt {
    return this.#attempt(seed, undefined);
  }

  /** With one field broken. */
  broken(seed: number, field: Field, breakage: Breakage): Attempt {
    return this.#attempt(seed, [field, breakage]);
  }

  /** The same, if it is broken by that: some of them are nothing to some methods. */
  brokenAsWhole(seed: number, { name, of }: WholeBreakage): Attempt | undefined {
    const valid = this.valid(seed);
    const change = of(valid);
    const isChanged = Object.entries(change).some(([part, value]) =>
      JSON.stringify(value) !== JSON.stringify(valid[part as keyof Attempt])
    );
    return isChanged ? { ...valid, broken: `the request: ${name}`, ...change } : undefined;
  }

  #attempt(seed: number, broken: readonly [Field, Breakage] | undefined): Attempt {
    const { method, path, parameters } = this.operation;
    const [field, breakage] = broken ?? [];
    const brokenAt = (parameter: Parameter) =>
      field?.in === "parameter" && field.parameter === parameter ? field : undefined;
    const valueOf = (parameter: Parameter) => {
      const field = brokenAt(parameter);
      const value = this.#valueFor(parameter, seed, field?.isWithin === true);
      return field === undefined ? value : breakage!.of(value);
    };
    const filled = path.replaceAll(
      /\{(\w+)\}/g,
      (_, name: string) => inPath(valueOf(parameters.find((one) => one.name === name)!)),
    );
    const query = new URLSearchParams();
    const headers: Record<string, string> = {};
    let isLost = false;
    for (const parameter of parameters) {
      if (parameter.in === "path") continue;
      const isBroken = brokenAt(parameter) !== undefined;
      if (!isBroken && parameter.required !== true && !this.#isChosen(seed, parameter)) continue;
      const value = valueOf(parameter);
      if (value === absent) continue;
      const texts = (Array.isArray(value) ? value : [value]).map(String);
      if (parameter.in === "query") {
        for (const text of texts) query.append(parameter.name, text);
        continue;
      }
      const header = asHeader(texts.join(", "));
      if (header !== undefined) headers[parameter.name] = header;
      else if (isBroken) isLost = true;
    }
    const search = query.size === 0 ? "" : `?${query}`;
    const content = this.#contentOf(seed, field?.in === "body" ? [field, breakage!] : undefined);
    const where = isLost ? undefined : field?.name;
    return {
      operation: this.operation,
      broken: where && `${where}: ${breakage!.name}`,
      field: where,
      method,
      path: filled + search,
      headers: content === undefined ? headers : { "content-type": "application/json", ...headers },
      content,
    };
  }

  #valueFor(parameter: Parameter, seed: number, isWithin: boolean): unknown {
    const { name, schema = {} } = parameter;
    const own = this.#known.valuesFor(this.operation.path, name);
    const known = own.length === 0 && isWithin ? this.#known.cursors : own;
    const isKnown = known.length > 0 && (name === CURSOR || seed % 8 !== 0) &&
      parameter.in !== "header";
    if (isKnown) return known[seed % known.length]!;
    // The shortest page is one that has another behind it.
    if (parameter.in === "query" && schema.minimum !== undefined && seed % 2 === 0) {
      return schema.minimum;
    }
    return sampled(this.#parameters.get(name)!, seed);
  }

  /** About every other optional parameter, not always the same ones. */
  #isChosen(seed: number, { name }: Parameter): boolean {
    const { path } = this.operation;
    if (name === CURSOR && this.#known.valuesFor(path, name).length === 0) return false;
    const sum = [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), seed);
    return sum % 5 < 2;
  }

  #contentOf(
    seed: number,
    broken: readonly [Extract<Field, { in: "body" }>, Breakage] | undefined,
  ): string | undefined {
    if (this.#body === undefined) return undefined;
    if (broken === undefined) return jsonOf(sampled(this.#body, seed));
    const [{ path }, breakage] = broken;
    const values = fc.sample(this.#body, { seed, numRuns: SAMPLES_MAX });
    const value = values.find((value) => has(value, path)) ?? values[0];
    return jsonOf(withBroken(value, path, breakage));
  }
}

export function fieldsOf(
  document: OpenApiDocument,
  { parameters, body }: DocumentedOperation,
): readonly Field[] {
  const named = parameters.flatMap((parameter) => {
    const field = {
      in: "parameter",
      parameter,
      name: `${parameter.in} ${parameter.name}`,
    } as const;
    return parameter.name === CURSOR
      ? [field, { ...field, name: `${field.name}, within`, isWithin: true } as const]
      : [field];
  });
  const paths = body === undefined ? [] : [[], ...pathsIn(document, body.schema)];
  const inBody = new Map(paths.map((path) => [path.join("/"), path]));
  return [
    ...named,
    ...inBody.values().map((path) => ({
      in: "body" as const,
      path,
      name: `body /${path.join("/")}`,
    })),
  ];
}

export function breakagesOf(field: Field): readonly Breakage[] {
  if (field.in === "body") return breakages;
  if (field.isWithin) return cursorBreakages;
  return field.parameter.in === "header" ? headerBreakages : textBreakages;
}

const DEPTH_MAX = 5;
/** Whichever element of a list, or entry of a record. */
const ANY = "*";

function pathsIn(document: OpenApiDocument, described: Schema, depth = 0): string[][] {
  if (depth > DEPTH_MAX) return [];
  const schema = followed(document, described);
  const below = (
    name: string,
    inner: Schema,
  ) => [[name], ...pathsIn(document, inner, depth + 1).map((path) => [name, ...path])];
  const variants = [...schema.anyOf ?? [], ...schema.oneOf ?? [], ...schema.allOf ?? []];
  const { items, additionalProperties } = schema;
  return [
    ...variants.flatMap((variant) => pathsIn(document, variant, depth)),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => below(name, inner)),
    ...typeof items === "object" ? below(ANY, items) : [],
    ...typeof additionalProperties === "object" ? below(ANY, additionalProperties) : [],
  ];
}

function stepped(
  value: unknown,
  step: string,
): readonly [name: string, inner: unknown] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (step === ANY) return Object.entries(value)[0];
  return Object.hasOwn(value, step) ? [step, (value as Record<string, unknown>)[step]] : undefined;
}

function has(value: unknown, [step, ...rest]: readonly string[]): boolean {
  if (step === undefined) return true;
  const found = stepped(value, step);
  return found !== undefined && has(found[1], rest);
}

/** With the breakage at the path, which is made where it is missing. */
function withBroken(
  value: unknown,
  [step, ...rest]: readonly string[],
  breakage: Breakage,
): unknown {
  if (step === undefined) return breakage.of(value);
  const found = stepped(value, step);
  if (found === undefined) return withBroken(reaching(value, step), [step, ...rest], breakage);
  const [name, inner] = found;
  const broken = withBroken(inner, rest, breakage);
  if (Array.isArray(value)) return value.with(Number(name), broken === absent ? null : broken);
  const others = Object.entries(value as object).filter(([other]) => other !== name);
  return Object.fromEntries(broken === absent ? others : [...others, [name, broken]]);
}

function reaching(value: unknown, step: string): unknown {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (step === ANY) return isObject ? { any: null } : [null];
  return { ...(isObject && value), [step]: null };
}

function sampled<T>(arbitrary: fc.Arbitrary<T>, seed: number): T {
  return fc.sample(arbitrary, { seed, numRuns: 1 })[0]!;
}

function inPath(value: unknown): string {
  if (value === absent) return "";
  const text = Array.isArray(value) ? value.join("/") : String(value);
  // What is no text has an encoding all the same.
  return text.replaceAll(
    /[^\ud800-\udfff]+|[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g,
    (part) => part.isWellFormed() ? encodeURIComponent(part) : "%ED%A0%80",
  );
}

/** In UTF-8, and no longer than is read; undefined for what cannot be sent. */
function asHeader(text: string): string | undefined {
  const bytes = new TextEncoder().encode(text.slice(0, HEADER_CHARS_MAX));
  const value = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/.test(value)
    ? value
    : undefined;
}
