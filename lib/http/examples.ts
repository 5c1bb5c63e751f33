/**
 * Examples of what an operation answers: those given with a schema, and else one made of those within
 * it, or of its shape.
 *
 * @module
 */
import { z } from "zod";

/** Its own, or those of what it may be. */
export function examplesOf(schema: z.core.$ZodType): readonly unknown[] {
  const { examples } = z.globalRegistry.get(schema) ?? {};
  if (examples !== undefined) return examples as readonly unknown[];
  return schema instanceof z.ZodUnion ? schema.options.flatMap(examplesOf) : [];
}

/** At least one. */
export function answerExamples(schema: z.ZodType): readonly unknown[] {
  const given = examplesOf(schema);
  if (given.length > 0) return given;
  const shape = z.toJSONSchema(schema, { unrepresentable: "any" });
  return [exampleOf(shape, { definitions: shape.$defs ?? {}, name: "text", depth: 0 })];
}

type Shape = z.core.JSONSchema.JSONSchema;

interface Place {
  readonly definitions: Readonly<Record<string, Shape>>;
  /** Of the field; a text that may be any is called like it. */
  readonly name: string;
  readonly depth: number;
}

/** What holds things of its own kind ends here. */
const DEPTH_MAX = 6;

const ofFormats: Readonly<Record<string, string>> = {
  "uuid": "3f0c1d6e-3c0c-4c4b-9a53-0a6a2f2d4a11",
  "date-time": "2040-06-01T18:00:00.000Z",
  "date": "2040-06-01",
  "email": "olivia@example.org",
  "uri": "https://example.org/",
};
/** Amounts, symbols, versions: the first that a pattern lets through is an example of it. */
const ofPatterns = ["12.50", "10", "ACME", "EUR", "en", "a1", ...Object.values(ofFormats)];

function exampleOf(shape: Shape, place: Place): unknown {
  const { $ref, examples, const: only, enum: some } = shape;
  if ($ref !== undefined) return exampleOf(place.definitions[$ref.split("/").at(-1)!]!, place);
  if (examples !== undefined) return (examples as readonly unknown[])[0];
  if (only !== undefined) return only;
  if (some !== undefined) return some[0];
  const choices = shape.anyOf ?? shape.oneOf;
  if (choices !== undefined) return exampleOf(choices[0] as Shape, place);
  switch (shape.type) {
    case "object":
      return objectOf(shape, place);
    case "array":
      return arrayOf(shape, place);
    case "string":
      return textOf(shape, place);
    case "integer":
    case "number":
      return Math.max(shape.minimum ?? 1, Number(shape.exclusiveMinimum ?? 0) + 1);
    case "boolean":
      return true;
    default:
      return null;
  }
}

/** With the fields that are always there. */
function objectOf({ properties = {}, required = [] }: Shape, place: Place): unknown {
  const fields = required.map((name) => {
    const within = { ...place, name, depth: place.depth + 1 };
    return [name, exampleOf(properties[name] as Shape, within)];
  });
  return Object.fromEntries(fields);
}

function arrayOf({ prefixItems, items }: Shape, place: Place): unknown {
  const within = { ...place, depth: place.depth + 1 };
  if (prefixItems !== undefined) {
    return prefixItems.map((item) => exampleOf(item as Shape, within));
  }
  const isShown = typeof items === "object" && !Array.isArray(items) && place.depth < DEPTH_MAX;
  return isShown ? [exampleOf(items as Shape, within)] : [];
}

function textOf({ format, pattern, minLength = 0 }: Shape, { name }: Place): string {
  const formatted = ofFormats[format ?? ""];
  if (formatted !== undefined) return formatted;
  if (pattern === undefined) return name.padEnd(minLength, ".");
  return ofPatterns.find((text) => new RegExp(pattern, "u").test(text)) ?? name;
}
