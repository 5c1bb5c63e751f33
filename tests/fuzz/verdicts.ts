/**
 * Whether an answer is one that the document speaks of, and what it must never be.
 *
 * @module
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { Attempt } from "./attempts.ts";
import type { OpenApiDocument } from "./document.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What is met beside the operations: no such path, or not by this method. */
const elsewhere = new Set([301, 308, 400, 401, 404, 405, 421]);
const PROBLEM = "application/problem+json";

/** How the service is made, which is nobody's business. */
const inside =
  /zod|postgres|pglite|kysely|hono|sqlstate|select |insert |node:|npm:|file:|node_modules|\.ts\b|\bat \w+.*:\d+|TypeError|ReferenceError|\bxid|jsonb/i;

/** Judges answers by one document. */
export class Judge {
  readonly #ajv: Ajv2020;
  readonly #compiled = new Map<object, ValidateFunction>();

  constructor(document: OpenApiDocument) {
    this.#ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: false });
    // Where `#/components/…` leads to.
    this.#ajv.addSchema({ $id: ROOT, components: document.components ?? {} });
  }

  /** What is wrong with the answer; nothing, if all is well. */
  findings(attempt: Attempt, answer: Answer): readonly string[] {
    return [
      ...this.#ofStatus(attempt, answer),
      ...this.#ofContent(attempt, answer),
      ...ofHeaders(answer),
    ];
  }

  *#ofStatus({ operation, broken, method, path }: Attempt, { status, text }: Answer) {
    if (status >= 500 && !isPatient(status, text, method)) {
      yield `${status}, which is never right`;
      return;
    }
    if (isElsewhere({ operation, broken, method, path }, status)) return;
    if (!operation.answers.has(status)) yield `${status}, which is not documented`;
  }

  *#ofContent(attempt: Attempt, { status, headers, text }: Answer) {
    const { operation, method } = attempt;
    if (method === "HEAD") return;
    const type = headers.get("content-type")?.split(";")[0];
    if (status >= 400) {
      if (type !== PROBLEM) return void (yield `a refusal as ${type}`);
      const problem = parsed(text);
      if (problem === undefined || problem.status !== status) {
        return void (yield "no problem document");
      }
      const { instance: _, ...said } = problem;
      if (inside.test(JSON.stringify(said))) yield "a word of how the service is made";
    }
    if (isElsewhere(attempt, status)) return;
    const schemas = operation.answers.get(status);
    if (schemas === undefined) return;
    if (schemas.size === 0) {
      if (text !== "") yield `a body where none is documented`;
      return;
    }
    const schema = schemas.get(type ?? "");
    if (schema === undefined) return void (yield `${type}, which is not documented`);
    const validate = this.#validatorOf(schema);
    const body = type?.endsWith("json") ? parsed(text) : text;
    if (!validate(body)) yield `not as documented: ${this.#ajv.errorsText(validate.errors)}`;
  }

  #validatorOf(schema: object): ValidateFunction {
    const known = this.#compiled.get(schema);
    if (known !== undefined) return known;
    const text = JSON.stringify(schema).replaceAll('"#/components/', `"${ROOT}#/components/`);
    const compiled = this.#ajv.compile(JSON.parse(text));
    this.#compiled.set(schema, compiled);
    return compiled;
  }
}

const ROOT = "https://document.invalid/";

function* ofHeaders({ headers, status }: Answer) {
  if (headers.has("x-evil")) yield "a header that the caller has made";
  if (headers.get("x-content-type-options") !== "nosniff") yield "without nosniff";
  if (headers.has("server")) yield "a word of what serves it";
  if (status === 429 && !headers.has("retry-after")) yield "429 without Retry-After";
}

/** A list that has not come to show a write that never was says so. */
function isPatient(status: number, text: string, method: string): boolean {
  return status === 503 &&
    (method === "HEAD" || parsed(text)?.type === "/problems/not-yet-consistent");
}

/** It may not have come to the operation at all. */
function isElsewhere(
  { operation, broken, method, path }: Pick<Attempt, "operation" | "broken" | "method" | "path">,
  status: number,
): boolean {
  return method !== operation.method || elsewhere.has(status) && isMoved(broken, path);
}

/** The path may be another one, or none: a dot alone is taken out of it before it is sent. */
function isMoved(broken: string | undefined, path: string): boolean {
  return broken?.startsWith("path ") || broken?.startsWith("the request: ") ||
    path.includes("//") || /\/\.{1,2}(?:[/?]|$)/.test(path);
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
