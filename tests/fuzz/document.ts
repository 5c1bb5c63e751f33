/**
 * What an OpenAPI document says of a service: all that the fuzzer knows of it.
 *
 * @module
 */

/** The part of JSON Schema 2020-12 that requests and answers are described in. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly items?: Schema | boolean;
  readonly prefixItems?: readonly Schema[];
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly propertyNames?: Schema;
  readonly maxProperties?: number;
  readonly examples?: readonly unknown[];
  readonly example?: unknown;
}

interface Content {
  readonly schema?: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value?: unknown }>>;
}

interface Body {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, Content>>;
  readonly required?: boolean;
}

export interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: "path" | "query" | "header" | "cookie";
  readonly required?: boolean;
  readonly schema?: Schema;
}

interface Described {
  readonly operationId?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Body;
  readonly responses: Readonly<Record<string, Body>>;
  readonly security?: readonly unknown[];
}

export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** An operation, with all that it refers to in its place. */
export interface DocumentedOperation {
  readonly id: string;
  /** In capitals. */
  readonly method: string;
  /** With parameters in braces. */
  readonly path: string;
  readonly isOpen: boolean;
  readonly parameters: readonly Parameter[];
  readonly body: { readonly schema: Schema; readonly isRequired: boolean } | undefined;
  /** By status, the schema of each type of content; empty where there is no body. */
  readonly answers: ReadonlyMap<number, ReadonlyMap<string, Schema>>;
}

const methods = ["get", "post", "put", "patch", "delete"];

export function operationsIn(document: OpenApiDocument): readonly DocumentedOperation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => methods.includes(method))
      .map(([method, described]) => operationOf(document, path, method, described))
  );
}

function operationOf(
  document: OpenApiDocument,
  path: string,
  method: string,
  described: Described,
): DocumentedOperation {
  const body = described.requestBody && followed(document, described.requestBody);
  const schema = body?.content?.["application/json"]?.schema;
  const answers = Object.entries(described.responses).map(([status, answer]) => {
    const { content = {} } = followed(document, answer);
    const schemas = Object.entries(content).map(([type, { schema = {} }]) =>
      [type, schema] as const
    );
    return [Number(status), new Map(schemas)] as const;
  });
  return {
    id: described.operationId ?? `${method} ${path}`,
    method: method.toUpperCase(),
    path,
    isOpen: described.security?.length === 0,
    parameters: (described.parameters ?? []).map((parameter) => followed(document, parameter)),
    body: schema === undefined ? undefined : { schema, isRequired: body?.required ?? false },
    answers: new Map(answers),
  };
}

/** What a `$ref` stands for; all else as it is. */
export function followed<T extends { readonly $ref?: string }>(
  document: OpenApiDocument,
  part: T,
): T {
  if (part.$ref === undefined) return part;
  const [root, ...steps] = part.$ref.split("/");
  if (root !== "#") throw new Error(`Cannot follow ${part.$ref}: it leads out of the document`);
  let found: unknown = document;
  for (const step of steps) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    found = (found as Record<string, unknown> | undefined)?.[name];
  }
  if (found === undefined) throw new Error(`Cannot follow ${part.$ref}: nothing is there`);
  const { $ref: _, ...beside } = part;
  return { ...followed(document, found as T), ...beside } as T;
}
