/**
 * Operations → OpenAPI 3.1: what the service says of itself follows from what it is made of.
 *
 * @module
 */
import { STATUS_CODES } from "node:http";
import { z } from "zod";
import {
  createDocument,
  type ZodOpenApiHeaderObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiParameterObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiSecuritySchemeObject,
} from "zod-openapi";
import { defaultQuotas, type LimitName } from "../quotas.ts";
import { answerExamples, examplesOf } from "./examples.ts";
import { generalProblems } from "./general_problems.ts";
import { type Operation, scopeOf } from "./operation.ts";
import type { KnownProblem } from "./problem.ts";

export interface Description {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** What each tag is about. */
  readonly tags: Readonly<Record<string, string>>;
}

/** The document, as JSON. Tags come in the order of the first operation that has them. */
export function openApiDocument(operations: readonly Operation[], about: Description): string {
  const { title, version, description } = about;
  const tags = [...new Set(operations.map(({ tag }) => tag))];
  return JSON.stringify(createDocument({
    openapi: "3.1.1",
    info: {
      title,
      version,
      description,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "The service that this document is of" }],
    tags: tags.map((name) => ({ name, description: about.tags[name] ?? name })),
    security: [],
    paths: pathsOf(operations),
    components: { schemas: { Problem }, parameters, headers, securitySchemes },
  }));
}

const securitySchemes: Readonly<Record<string, ZodOpenApiSecuritySchemeObject>> = {
  token: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "A token of a person, as one gets it by logging in",
  },
  key: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "trp_<id>_<secret>",
    description: "An API key, which may do what its scopes say",
  },
};

function pathsOf(operations: readonly Operation[]): ZodOpenApiPathsObject {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  const refusals = new Refusals();
  for (const operation of operations) {
    (paths[operation.path] ??= {})[operation.method] = described(operation, refusals);
  }
  return paths;
}

function described(operation: Operation, refusals: Refusals): ZodOpenApiOperationObject {
  const { id, tag, summary, access, limit = "general", params, query } = operation;
  const isOpen = access === "anyone";
  const roles = typeof access === "string" ? [] : access;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...descriptionOf(operation, roles),
    security: isOpen ? [] : [{ token: [] }, { key: [scopeOf(operation)] }],
    ...(!isOpen && { "x-scope": scopeOf(operation) }),
    ...(roles.length > 0 && { "x-roles": roles }),
    ...(limit !== null && { "x-rate-limit": limit }),
    requestParams: {
      ...(params !== undefined && { path: asObject(params) }),
      ...(query !== undefined && { query: asObject(query) }),
    },
    parameters: headersTaken(operation),
    ...bodyOf(operation),
    responses: { ...answersOf(operation), ...problemsOf(operation, refusals) },
  };
}

/** Parameters are told one by one, and all of ours are objects. */
function asObject(schema: z.ZodType): z.ZodObject {
  if (schema instanceof z.ZodObject) return schema;
  throw new TypeError("Parameters are declared as an object");
}

function descriptionOf(
  { description, limit = "general" }: Operation,
  roles: readonly string[],
) {
  const said = [
    ...(description === undefined ? [] : [description]),
    ...(roles.length === 0 ? [] : [`Takes the role ${roles.join(" or ")}.`]),
    ...(limit === null ? [] : [quotaSaid(limit)]),
  ];
  return said.length > 0 && { description: said.join("\n\n") };
}

function quotaSaid(name: LimitName): string {
  const { limit, windowMs } = defaultQuotas[name];
  return `Counts under the limit \`${name}\`: ${limit} in ${windowMs / 1_000} s, unless the ` +
    "service is told otherwise.";
}

/** What can be in the head of a request. */
const parameters = {
  CorrelationId: {
    name: "X-Correlation-Id",
    in: "header",
    description: "Under which all that the request causes can be found; without it, one is made up",
    schema: { type: "string", format: "uuid" },
  },
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    description:
      "Names the request: repeated with the same key it is done once, and answered alike",
    schema: { type: "string", pattern: "^[\\x21\\x23-\\x7e][\\x21-\\x7e]{0,199}$" },
  },
  IfMatch: {
    name: "If-Match",
    in: "header",
    description: 'The `ETag` that was read, such as `"3"`: what has changed since is not touched',
    schema: { type: "string", pattern: '^(\\*|(W/)?"[\\x21\\x23-\\x7e]*")$' },
  },
  ConsistencyToken: {
    name: "Consistency-Token",
    in: "header",
    description: "The one that a write was answered with: what is read shows that write",
    schema: { type: "string", pattern: "^t[0-9]{1,20}$" },
  },
} as const satisfies Readonly<Record<string, ZodOpenApiParameterObject>>;

function headersTaken({ asks, method }: Operation) {
  const isRead = method === "get";
  const names: readonly (keyof typeof parameters)[] = [
    ...(!isRead && (asks === "actor" || asks === "queue") ? ["IdempotencyKey"] as const : []),
    ...(!isRead && asks === "actor" ? ["IfMatch"] as const : []),
    ...(isRead && (asks === "actor" || asks === "projection") ? ["ConsistencyToken"] as const : []),
    "CorrelationId",
  ];
  return names.map((name) => ({ $ref: `#/components/parameters/${name}` }));
}

function bodyOf({ body, bodyOptions = {} }: Operation) {
  return body !== undefined && {
    requestBody: {
      required: !("absent" in bodyOptions),
      content: { "application/json": json(body) },
    },
  };
}

/** Examples stand beside the schema: zod leaves out those of what it transforms. */
function json(schema: z.ZodType, examples = examplesOf(schema)) {
  const named = examples.map((value, place) => [`example ${place + 1}`, { value }] as const);
  return { schema, ...(named.length > 0 && { examples: Object.fromEntries(named) }) };
}

const text = { type: "string" } as const;

/** What can be in the head of an answer. */
const headers = {
  "X-Correlation-Id": { description: "Under which it can be asked after", schema: text },
  "Service-Mode": {
    description: "What the service keeps up",
    schema: { enum: ["normal", "no-kv", "shedding", "read-only", "draining"] },
  },
  "Cache-Control": { description: "Who may keep the answer", schema: text },
  "RateLimit": {
    description: "How much of a limit is left, and in how many seconds one more will be",
    schema: text,
  },
  "RateLimit-Policy": {
    description: "The limits that count: so many in so many seconds",
    schema: text,
  },
  "Retry-After": {
    description: "The seconds after which to come again",
    schema: { type: "integer", minimum: 1 },
  },
  "WWW-Authenticate": { description: "What to show", schema: text },
  "ETag": { description: "The version, for `If-Match`", schema: text },
  "Consistency-Token": { description: "Has a list show this write", schema: text },
  "Location": { description: "Where what was made is found", schema: text },
} as const satisfies Readonly<Record<string, ZodOpenApiHeaderObject>>;

type HeaderName = keyof typeof headers;

function headed(names: readonly HeaderName[]) {
  return Object.fromEntries(
    names.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

/** Those of every answer of an operation. */
function commonHeaders({ limit }: Operation): readonly HeaderName[] {
  return [
    "X-Correlation-Id",
    "Service-Mode",
    "Cache-Control",
    ...(limit === null ? [] : ["RateLimit", "RateLimit-Policy"] as const),
  ];
}

/** What the head of an answer may have beyond what all have. */
export function headersGiven(operation: Operation, status: number): readonly HeaderName[] {
  if (status >= 400) return headersOfProblem(status);
  const { asks, locates, answers } = operation;
  return [
    ...(asks === "actor" || 304 in answers ? ["ETag"] as const : []),
    ...(asks === "actor" ? ["Consistency-Token"] as const : []),
    ...(locates ? ["Location"] as const : []),
  ];
}

function answersOf(operation: Operation): Record<string, ZodOpenApiResponseObject> {
  const answers = Object.entries(operation.answers).map(([status, schema]) => [status, {
    description: STATUS_CODES[status] ?? status,
    headers: headed([...commonHeaders(operation), ...headersGiven(operation, Number(status))]),
    ...(schema !== null && {
      content: { "application/json": json(schema, answerExamples(schema)) },
    }),
  }]);
  return Object.fromEntries(answers);
}

const Problem = z.object({
  type: z.string().describe("Which problem it is; stable"),
  status: z.int(),
  title: z.string().describe("The same for every occurrence"),
  detail: z.string().optional(),
  instance: z.string().optional().describe("The path of the request"),
  errors: z.array(z.object({
    path: z.array(z.union([z.string(), z.int()])),
    message: z.string(),
  })).optional().describe("What is wrong with the request, each with its place"),
}).meta({ description: "RFC 9457: the one shape in which the service says no" });

/** By status: its own problems, and those of any such operation. */
function problemsOf(
  operation: Operation,
  refusals: Refusals,
): Record<string, ZodOpenApiResponseObject> {
  const all = [...operation.problems ?? [], ...generalProblems(operation)];
  const byStatus = Map.groupBy(all, ({ problem }) => problem.status);
  const answers = [...byStatus].sort(([a], [b]) => a - b)
    .map(([status, problems]) => [status, refusals.of(operation, status, problems)]);
  return Object.fromEntries(answers);
}

/** Refusals, each told once: most operations share most of them. */
class Refusals {
  readonly #told = new Map<string, ZodOpenApiResponseObject>();

  of(operation: Operation, status: number, problems: readonly KnownProblem[]) {
    const titles = new Map(problems.map(({ type, problem }) => [type, problem.title]));
    const headers = [...commonHeaders(operation), ...headersOfProblem(status)];
    const key = [status, ...titles.keys(), ...headers].join();
    const told = this.#told.get(key);
    if (told !== undefined) return told;
    const refusal = {
      id: `Refusal${this.#told.size + 1}`,
      ...refusalOf(status, titles),
      headers: headed(headers),
    };
    this.#told.set(key, refusal);
    return refusal;
  }
}

function refusalOf(status: number, titles: ReadonlyMap<string, string>) {
  const types = { enum: [...titles.keys()] };
  const schema = {
    allOf: [
      { $ref: "#/components/schemas/Problem" },
      { properties: { type: types, status: { const: status } } },
    ],
  };
  const examples = Object.fromEntries(
    [...titles].map(([type, title]) => [type, { value: { type, status, title } }]),
  );
  return {
    description: [...titles].map(([type, title]) => `- \`${type}\`: ${title}`).join("\n"),
    content: { "application/problem+json": { schema, examples } },
  };
}

function headersOfProblem(status: number): readonly HeaderName[] {
  switch (status) {
    case 401:
      return ["WWW-Authenticate"];
    case 412:
      return ["ETag"];
    case 429:
    case 503:
    case 504:
      return ["Retry-After"];
    default:
      return [];
  }
}
