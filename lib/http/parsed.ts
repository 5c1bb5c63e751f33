/**
 * zod at the edge: what comes in is parsed here, once; handlers see only the typed result.
 *
 * Nothing here is strict by itself: give it `z.strictObject`, so that unknown fields
 * (`__proto__` and `constructor` among them) are refused.
 *
 * @module
 */
import type { Context } from "hono";
import type { z } from "zod";
import type { Env } from "../env.ts";
import { withinDeadline } from "../resilience/deadline.ts";
import { hangUp } from "./arrival.ts";
import { ProblemError, type RequestFault } from "./problem.ts";

/** What a body parser leaves behind for the hash of the request, see `causeOf`. */
export type ParsedVariables = { bodyText?: string };

const ERRORS_MAX = 20;
const PATH_SEGMENT_MAX = 64;

/** The parameters in the path of the matched route. */
export function parsedParams<Schema extends z.ZodType>(
  c: Context,
  schema: Schema,
): z.output<Schema> {
  return validated(schema, c.req.param(), "path");
}

/** The query string; a name given twice is an array, so a schema of plain strings refuses it. */
export function parsedQuery<Schema extends z.ZodType>(
  c: Context,
  schema: Schema,
): z.output<Schema> {
  const start = c.req.url.indexOf("?");
  return validated(schema, start < 0 ? {} : queryOf(c.req.url.slice(start + 1)), "query");
}

/** Built from entries, so that a parameter called `__proto__` is seen, and refused. */
function queryOf(search: string): Record<string, string | string[]> {
  const params = new URLSearchParams(search);
  return Object.fromEntries(
    [...new Set(params.keys())].map((name) => {
      const values = params.getAll(name);
      return [name, values.length === 1 ? values[0]! : values];
    }),
  );
}

export interface BodyOptions {
  /** What a request without a body is taken for; without it, such a request is refused. */
  readonly absent?: unknown;
  /** Where a route takes more than others. */
  readonly bytesMax?: number;
}

export type BodyParser = <Schema extends z.ZodType>(
  c: Context,
  schema: Schema,
  options?: BodyOptions,
) => Promise<z.output<Schema>>;

export interface BodyLimits {
  readonly bytesMax: number;
  /** From the head of a request to the end of its body. */
  readonly bodyMs: number;
  readonly env: Pick<Env, "sleep">;
}

/**
 * Makes the parser of JSON bodies. It never holds more than `bytesMax` of one in memory, and never
 * waits longer than `bodyMs` for its end.
 *
 * Depth needs no bound of its own: V8 parses JSON without recursion, and the schemas are flat.
 */
export function bodyParser({ bytesMax: bytesMaxOfMost, ...waiting }: BodyLimits): BodyParser {
  return async (c, schema, options = {}) => {
    const mayBeAbsent = "absent" in options;
    const { bytesMax = bytesMaxOfMost } = options;
    const text = await bodyText(c, { bytesMax, mayBeAbsent, ...waiting });
    c.set("bodyText", text);
    if (text === "" && mayBeAbsent) return validated(schema, options.absent, "body");
    return validated(schema, jsonOf(text), "body");
  };
}

interface Reading extends BodyLimits {
  readonly mayBeAbsent: boolean;
}

// Hono's `validator` is not used: it takes +json types and lets a body of another type
// through as `{}`, and as a middleware of its own it costs every command one more promise chain.
const JSON_TYPE = /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i;

async function bodyText(c: Context, reading: Reading): Promise<string> {
  const encoding = c.req.header("content-encoding");
  // Nothing of it is read, which may be as long as it likes.
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    hangUp(c);
    throw unsupported("Send the body without Content-Encoding");
  }
  const type = c.req.header("content-type");
  const isJson = type === "application/json" || (type !== undefined && JSON_TYPE.test(type));
  if (!isJson && !(reading.mayBeAbsent && type === undefined)) {
    throw unsupported("Send application/json");
  }
  const text = await cappedText(c, reading);
  if (!isJson && text !== "") throw unsupported("Send application/json");
  return text;
}

async function cappedText(c: Context, { bytesMax, ...waiting }: Reading): Promise<string> {
  const declared = c.req.header("content-length");
  if (declared !== undefined && Number(declared) > bytesMax) throw tooLarge(c, bytesMax);
  // With a Content-Length, the server ends the body there and refuses the request if a
  // Transfer-Encoding disagrees: what is declared may be read in one go. That takes 18 µs of CPU
  // for a whole bare request, a reader 24 (2 vCPU, Deno 2.9, wrk with 32 connections, body `{}`).
  // Bodies without a declared length are counted as they arrive.
  const reading = declared === undefined ? countedText(c, bytesMax) : c.req.raw.text();
  const text = await received(c, reading, waiting);
  if (text.length > bytesMax) throw tooLarge(c, bytesMax);
  return text;
}

async function countedText(c: Context, bytesMax: number): Promise<string> {
  const { body } = c.req.raw;
  if (body === null) return "";
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let bytes = 0;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > bytesMax) {
      // Not awaited: the sender may never stop, and the answer does not depend on it.
      reader.cancel().catch(() => {});
      throw tooLarge(c, bytesMax);
    }
    text += decoder.decode(value, { stream: true });
  }
}

type Waiting = Pick<BodyLimits, "bodyMs" | "env">;

/** A body that cannot be read is a caller that went away: no bug, and nobody hears the answer. */
async function received(
  c: Context,
  reading: Promise<string>,
  { bodyMs, env }: Waiting,
): Promise<string> {
  try {
    if (await isThere(reading)) return await reading;
    const late = () => tooSlow(c, bodyMs);
    return await withinDeadline(() => reading, { env, ms: bodyMs, late });
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause;
    throw invalid({ detail: "The body broke off" }, cause);
  }
}

/** A body that came with the head of its request is there after two turns of the microtasks. */
const TURNS_MAX = 4;

/** Whether `reading` ends at once: a timer for each request would cost 1.5 µs, this 0.1. */
async function isThere(reading: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  const settled = () => void (isSettled = true);
  reading.then(settled, settled);
  for (let turn = 0; turn < TURNS_MAX && !isSettled; turn++) await undefined;
  return isSettled;
}

function jsonOf(text: string): unknown {
  // The decoder puts U+FFFD where bytes were not UTF-8. One that was sent as such is refused
  // with them: telling the two apart means decoding the bytes here, 3 µs more per command by the
  // measurement above, and it only ever marks text that was lost on the way.
  if (text.includes("\uFFFD")) {
    throw invalid({ detail: "The body must be UTF-8 text without U+FFFD" });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid({ detail: "The body must be JSON" }, cause);
  }
}

function validated<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  part: "path" | "query" | "body",
): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw invalid({
    detail: `The ${part} is not what this route accepts`,
    errors: result.error.issues.slice(0, ERRORS_MAX).flatMap(requestFaults),
  });
}

/** For what a schema alone cannot tell, such as what a name in the body stands for. */
export function invalidBody(path: readonly PropertyKey[], message: string): ProblemError {
  return invalidBodyFor([{ path, message }]);
}

/** The same for several faults at once. */
export function invalidBodyFor(
  faults: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): ProblemError {
  const errors = faults.slice(0, ERRORS_MAX).map(({ path, message }) => {
    return { path: path.map(shortened), message };
  });
  return invalid({ detail: "The body is not what this route accepts", errors });
}

/** For what a schema found in the part of the body at `path`. */
export function invalidBodyAt(path: readonly PropertyKey[], { issues }: z.ZodError): ProblemError {
  const errors = issues.slice(0, ERRORS_MAX)
    .flatMap((issue) => requestFaults({ ...issue, path: [...path, ...issue.path] }));
  return invalid({ detail: "The body is not what this route accepts", errors });
}

/** Names the place and the rule. Messages of zod do not repeat values; keep it so in refinements. */
function requestFaults(issue: z.core.$ZodIssue): RequestFault[] {
  const path = issue.path.map(shortened);
  return issue.code === "unrecognized_keys"
    ? issue.keys.slice(0, ERRORS_MAX).map((key) => ({
      path: [...path, shortened(key)],
      message: "Unknown field",
    }))
    : [{ path, message: issue.message }];
}

function shortened(segment: PropertyKey): string | number {
  return typeof segment === "number" ? segment : String(segment).slice(0, PATH_SEGMENT_MAX);
}

function invalid(
  what: { readonly detail: string; readonly errors?: readonly RequestFault[] },
  cause?: unknown,
): ProblemError {
  return new ProblemError("/problems/invalid-request", {
    status: 400,
    title: "The request is not valid",
    ...what,
  }, { cause });
}

function unsupported(detail: string): ProblemError {
  return new ProblemError("/problems/unsupported-media-type", {
    status: 415,
    title: "The body is in a form that this service does not read",
    detail,
  });
}

/** Nothing more is read of what is too large, so its connection is of no use any more. */
function tooLarge(c: Context, bytesMax: number): ProblemError {
  hangUp(c);
  return new ProblemError("/problems/body-too-large", {
    status: 413,
    title: "The body is too large",
    detail: `At most ${bytesMax} bytes are accepted`,
  });
}

function tooSlow(c: Context, bodyMs: number): ProblemError {
  hangUp(c);
  return new ProblemError("/problems/body-too-slow", {
    status: 408,
    title: "The body took too long to arrive",
    detail: `It must be here within ${bodyMs} ms`,
  });
}
