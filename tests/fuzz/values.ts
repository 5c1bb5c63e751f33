/**
 * Values that a schema describes: what a client sends who has read the document.
 *
 * @module
 */
import fc from "fast-check";
import { followed, type OpenApiDocument, type Schema } from "./document.ts";

/** Arrays and records are kept short: what many elements do is for tests of their own. */
const ITEMS_MAX = 4;
const TEXT_MAX = 40;
const DEPTH_MAX = 6;

/** Valid by the schema. What rules beyond shape say of it is another matter. */
export function valueOf(
  document: OpenApiDocument,
  described: Schema,
  depth = 0,
): fc.Arbitrary<unknown> {
  const schema = followed(document, described);
  const examples = [
    ...schema.examples ?? [],
    ...schema.example === undefined ? [] : [schema.example],
  ];
  const any = anyOf(document, schema, depth);
  if (examples.length === 0) return any;
  return fc.oneof({ arbitrary: fc.constantFrom(...examples), weight: 2 }, any);
}

function anyOf(document: OpenApiDocument, schema: Schema, depth: number): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) {
    return fc.oneof(...choices.map((choice) => valueOf(document, choice, depth)));
  }
  if (schema.allOf !== undefined) return valueOf(document, joined(document, schema.allOf), depth);
  const types = typeof schema.type === "string" ? [schema.type] : schema.type ?? [];
  const of = types.map((type) => typed(document, schema, type, depth));
  return of.length === 0 ? anyJson : of.length === 1 ? of[0]! : fc.oneof(...of);
}

const anyJson = fc.jsonValue({ maxDepth: 2, noUnicodeString: false });

function joined(document: OpenApiDocument, parts: readonly Schema[]): Schema {
  return parts.map((part) => followed(document, part)).reduce((all, part) => ({
    ...all,
    ...part,
    properties: { ...all.properties, ...part.properties },
    required: [...all.required ?? [], ...part.required ?? []],
  }));
}

function typed(
  document: OpenApiDocument,
  schema: Schema,
  type: string,
  depth: number,
): fc.Arbitrary<unknown> {
  switch (type) {
    case "string":
      return textOf(schema);
    case "integer":
      return fc.integer(boundsOf(schema, 1));
    case "number":
      return fc.double({ ...boundsOf(schema, Number.EPSILON), noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return arrayOf(document, schema, depth);
    case "object":
      return objectOf(document, schema, depth);
    default:
      throw new Error(`Cannot make a value of type ${type}`);
  }
}

function boundsOf(schema: Schema, step: number): { min: number; max: number } {
  const { exclusiveMinimum, exclusiveMaximum } = schema;
  const min = exclusiveMinimum === undefined ? schema.minimum : exclusiveMinimum + step;
  const max = exclusiveMaximum === undefined ? schema.maximum : exclusiveMaximum - step;
  const within = (value: number) => Math.max(-INTEGER_MAX, Math.min(INTEGER_MAX, value));
  return { min: within(min ?? -1_000), max: within(max ?? 1_000_000) };
}

/** What fast-check takes for an integer. */
const INTEGER_MAX = 0x7fffffff;

const years = { min: new Date("1970-01-01"), max: new Date("2100-01-01"), noInvalidDate: true };

const formats: Readonly<Record<string, fc.Arbitrary<string>>> = {
  "uuid": fc.uuid(),
  "date-time": fc.date(years).map((date) => date.toISOString()),
  "date": fc.date(years).map((date) => date.toISOString().slice(0, 10)),
  "email": fc.nat(99).map((n) => `somebody${n}@example.org`),
  "uri": fc.nat(99).map((n) => `https://example.org/${n}`),
  "ipv4": fc.ipV4(),
  "ipv6": fc.ipV6(),
};

function textOf({ format = "", pattern, minLength = 0, maxLength = TEXT_MAX }: Schema) {
  const formatted = formats[format];
  if (formatted !== undefined) return formatted;
  if (pattern !== undefined) {
    const whole = new RegExp(pattern, "u");
    // What must not follow is no shape to make texts of, only one to leave some out by.
    const shape = new RegExp(pattern.replaceAll(/\(\?[!=][^()]*(\([^()]*\)[^()]*)*\)/g, ""), "u");
    return fc.stringMatching(shape, { size: "small" }).filter((text) =>
      whole.test(text) && text.length >= minLength && text.length <= maxLength
    );
  }
  return fc.string({
    unit: fc.constantFrom(..."abcXYZ019 -_.äß漢🎻"),
    minLength,
    maxLength: Math.max(minLength, Math.min(maxLength, TEXT_MAX)),
  }).filter((text) => text.length >= minLength && text.length <= maxLength);
}

function arrayOf(document: OpenApiDocument, schema: Schema, depth: number) {
  const { prefixItems, items = {}, minItems = 0, uniqueItems = false } = schema;
  if (prefixItems !== undefined) {
    return fc.tuple(...prefixItems.map((item) => valueOf(document, item, depth + 1)));
  }
  const item = typeof items === "boolean" ? anyJson : valueOf(document, items, depth + 1);
  const most = depth > DEPTH_MAX ? 0 : ITEMS_MAX;
  const maxLength = Math.max(minItems, Math.min(schema.maxItems ?? most, most));
  const lengths = { minLength: minItems, maxLength };
  return uniqueItems ? fc.uniqueArray(item, lengths) : fc.array(item, lengths);
}

function objectOf(document: OpenApiDocument, schema: Schema, depth: number) {
  const { properties = {}, required = [], additionalProperties } = schema;
  const named = fc.record(
    Object.fromEntries(
      Object.entries(properties).map((
        [name, property],
      ) => [name, valueOf(document, property, depth + 1)]),
    ),
    { requiredKeys: [...required].filter((name) => name in properties) },
  );
  if (typeof additionalProperties !== "object") return named;
  const name = valueOf(document, schema.propertyNames ?? { type: "string", minLength: 1 });
  const others = fc.dictionary(
    name as fc.Arbitrary<string>,
    valueOf(document, additionalProperties, depth + 1),
    { maxKeys: Math.min(schema.maxProperties ?? ITEMS_MAX, ITEMS_MAX), noNullPrototype: true },
  );
  return fc.tuple(named, others).map(([named, others]) => ({ ...others, ...named }));
}
