/**
 * A route, declared once: how it is called, who may call it, what it takes and what it answers.
 *
 * From that follow authorization, parsing, the rate limit, the class of its requests, and its part of
 * the OpenAPI document. What handles it sees only what was parsed.
 *
 * @module
 */
import type { Context, Hono, MiddlewareHandler } from "hono";
import { z } from "zod";
import type { LimitName } from "../quotas.ts";
import type { RequestClass } from "../resilience/load_gauge.ts";
import { type CallerEnv, forbidden, hasRole, hasScope, outOfScope } from "./caller.ts";
import { type BodyOptions, type BodyParser, parsedParams, parsedQuery } from "./parsed.ts";
import { PathRouter } from "./path_router.ts";
import type { KnownProblem, ProblemError } from "./problem.ts";

export type Method = "get" | "post" | "put" | "patch" | "delete";

/** Anyone at all, whoever says who they are, or who has one of these roles. */
export type Access = "anyone" | "caller" | readonly string[];

/** What a part of a request is that has nothing in it. */
export const Nothing = z.strictObject({});
export type Nothing = typeof Nothing;

export interface Operation<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
> {
  /** What clients that are made from the document call it; never changed. */
  readonly id: string;
  readonly method: Method;
  /** From the root on, with parameters in braces. */
  readonly path: string;
  /** The area that it belongs to, in one word; the first part of its scope. */
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  /** What they hear whose thing it is not; absent where it is nobody's in particular. */
  readonly others?: 403 | 404;
  /**
   * What it asks. An actor has versions: commands take `If-Match` and are done once under an
   * `Idempotency-Key`, and answers have its `ETag` and a `Consistency-Token`. A projection may be
   * behind, and waits for the write of a `Consistency-Token`. A queue knows an `Idempotency-Key`.
   */
  readonly asks?: "actor" | "projection" | "queue";
  /** As the audit keeps it; each command that only administrators may give has one. */
  readonly act?: AdministrativeAct;
  /** It makes something, and its answer says in `Location` where that is found. */
  readonly locates?: true;
  /** "read" of what is got and "command" of all else, unless said. */
  readonly class?: RequestClass;
  /** The name of the rate limit that it counts under: "general" unless said, and null for none. */
  readonly limit?: LimitName | null;
  readonly params?: Params;
  readonly query?: Query;
  /** Without one, a command takes no body, or an empty object. */
  readonly body?: Body;
  readonly bodyOptions?: BodyOptions;
  /** What is answered when nothing is wrong: by status, and null where there is no body. */
  readonly answers: Readonly<Record<number, z.ZodType | null>>;
  /** Those that are its own. What any route may say is not repeated. */
  readonly problems?: readonly KnownProblem[];
}

export interface AdministrativeAct {
  /** In two words. */
  readonly name: string;
  /** The sort of thing that it is done to: the one in the path, or the one that it makes. */
  readonly on: string;
  /** What does it keeps it as well: both at once, or first of all. */
  readonly isKeptWithin?: true;
}

/** A request as it was declared, parsed. */
export interface Asked<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  readonly params: z.output<Params>;
  readonly query: z.output<Query>;
  readonly body: z.output<Body>;
}

type Answering = (c: Context<CallerEnv>) => Response | Promise<Response>;

export interface Route {
  readonly operation: Operation;
  /** What answers, given what every route shares. */
  readonly answering: (shared: Shared) => Answering;
}

export interface Shared {
  readonly parseBody: BodyParser;
  /**
   * Lets a request through, or throws.
   *
   * @throws {ProblemError} 429 where the caller asks too often.
   */
  readonly admit?: (c: Context<CallerEnv>, operation: Operation) => void | Promise<void>;
  /** Does it, and keeps what became of it; see `routes/audited.ts`. */
  readonly audited?: (
    c: Context<CallerEnv>,
    act: AdministrativeAct,
    does: () => Response | Promise<Response>,
    params?: Readonly<Record<string, unknown>>,
  ) => Promise<Response>;
}

/**
 * Makes a route. Before `handle` hears of a request it was let in, its caller may call it, and its
 * path, query and body are what was declared: in this order, and the first that is not is answered.
 */
export function route<
  Params extends z.ZodType = Nothing,
  Query extends z.ZodType = Nothing,
  Body extends z.ZodType = Nothing,
>(
  operation: Operation<Params, Query, Body>,
  handle: (
    c: Context<CallerEnv>,
    asked: Asked<Params, Query, Body>,
  ) => Response | Promise<Response>,
): Route {
  const { act, params = Nothing, query = Nothing } = operation;
  const denialOf = denialFrom(operation);
  return {
    operation,
    answering: ({ parseBody, admit, audited }) => async (c) => {
      // Not awaited where there is nothing to wait for.
      const admission = admit?.(c, operation);
      if (admission !== undefined) await admission;
      const denied = denialOf(c);
      if (denied !== undefined) throw denied;
      const asked = {
        params: parsedParams(c, params),
        // Nearly every command: a schema would take longer to find nothing in nothing.
        query: query === Nothing && !c.req.url.includes("?") ? {} : parsedQuery(c, query),
        body: operation.method === "get" ? {} : await parsedBody(c, operation, parseBody),
      };
      // The schemas, where they are not given, are those of nothing.
      const does = () => handle(c, asked as Asked<Params, Query, Body>);
      return act === undefined || act.isKeptWithin || audited === undefined
        ? await does()
        : await audited(c, act, does, asked.params as Readonly<Record<string, unknown>>);
    },
  };
}

/** Tells why the caller may not call it, or that what it has shown is no good for it. */
function denialFrom(operation: Operation) {
  const { access } = operation;
  const scope = scopeOf(operation);
  return (c: Context<CallerEnv>): ProblemError | undefined => {
    if (access === "anyone") return undefined;
    if (!hasScope(c, scope)) return outOfScope(scope);
    return access === "caller" || hasRole(c, access) ? undefined : forbidden(access);
  };
}

function parsedBody(c: Context, { body, bodyOptions }: Operation, parseBody: BodyParser) {
  return body === undefined
    ? parseBody(c, Nothing, { absent: {} })
    : parseBody(c, body, bodyOptions);
}

/** Has the app serve the routes, each behind `before`, if there is that. */
export function mount(
  app: Hono<CallerEnv>,
  routes: readonly Route[],
  shared: Shared,
  before: MiddlewareHandler<CallerEnv>[] = [],
): void {
  for (const { operation, answering } of routes) {
    const handlers = [...before, answering(shared)];
    app.on(operation.method.toUpperCase(), [patternOf(operation.path)], ...handlers);
  }
}

/** As Hono writes a path. */
export function patternOf(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

/** Tells which operation a request is for, by its method and path; undefined where it is none. */
export type FindOperation = (method: string, path: string) => Operation | undefined;

export function operationFinder(operations: readonly Operation[]): FindOperation {
  const router = new PathRouter<Operation>();
  for (const operation of operations) {
    router.add(operation.method.toUpperCase(), patternOf(operation.path), operation);
  }
  // What Hono answers HEAD with.
  const methodOf = (method: string) => method === "HEAD" ? "GET" : method;
  return (method, path) => router.match(methodOf(method), path)[0][0]?.[0];
}

export function classOfOperation({ method, ...operation }: Operation): RequestClass {
  return operation.class ?? (method === "get" ? "read" : "command");
}

/** What a key must be good for so that one may call it with that: such as `events:read`. */
export function scopeOf({ tag, method }: Operation): string {
  return `${tag}:${method === "get" ? "read" : "write"}`;
}
