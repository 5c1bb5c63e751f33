/**
 * The service as its callers see it: every part is the real one, over an embedded database in
 * memory, and only the network is missing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Hono } from "hono";
import { sql } from "kysely";
import { ACCESS_MS } from "../../actors/user/state.ts";
import { readConfig } from "../../lib/config.ts";
import { type Env, systemEnv } from "../../lib/env.ts";
import { TransientFault } from "../../lib/fault.ts";
import type { CallerEnv } from "../../lib/http/caller.ts";
import { proxyList } from "../../lib/http/client_address.ts";
import type { ContentFilter } from "../../lib/http/content_filter.ts";
import { type DoorOptions, openDoor } from "../../lib/http/door.ts";
import { generalProblems } from "../../lib/http/general_problems.ts";
import { headersGiven } from "../../lib/http/openapi.ts";
import { type FindOperation, type Operation, operationFinder } from "../../lib/http/operation.ts";
import { bodyParser } from "../../lib/http/parsed.ts";
import type { BuggyRequest } from "../../lib/http/problem.ts";
import { openTokenKeys } from "../../lib/http/token_keys.ts";
import { mintToken, type TokenContent } from "../../lib/http/tokens.ts";
import type { Letter } from "../../lib/mail/mail.ts";
import type { Database } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { quotasIn } from "../../lib/quotas.ts";
import type { InFlightLimits } from "../../lib/resilience/in_flight.ts";
import type { SheddingLimits } from "../../lib/resilience/shedding.ts";
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import { ActorSystem } from "../../lib/runtime/system.ts";
import type { IdentitySetting } from "../../deploy/identity.ts";
import { type Node, type NodeOptions, openNode } from "../../deploy/node.ts";
import { FaultyStore, type Gate, type Operation as StoreOperation } from "./faulty_store.ts";

export const BODY_BYTES_MAX = 65_536;

const keys = await openTokenKeys({ secrets: [new Uint8Array(32).fill(7)], dataDir: "" });

/** How busy the machine is that tests run on is not what they are about. */
export const neverShedding: Partial<SheddingLimits & InFlightLimits> = {
  least: Infinity,
  loopTargetMs: Infinity,
  queueTargetMs: Infinity,
  turnTargetMs: Infinity,
};

export interface ApiOptions extends
  Pick<
    NodeOptions,
    "limits" | "bindings" | "queues" | "webhooks" | "outsideLimits" | "shedding"
  > {
  readonly consistencyWaitMs?: number;
  /** As in `RATE_LIMITS`; none unless given. */
  readonly rateLimits?: string;
  /** As in `TRUSTED_PROXIES`. */
  readonly trustedProxies?: string;
  readonly door?: DoorOptions;
  readonly contentFilter?: ContentFilter;
  readonly identity?: Partial<IdentitySetting>;
}

/** One node of the service. */
export class Api implements AsyncDisposable {
  /** Stands between the node and its database. */
  readonly store: FaultyStore;
  readonly system: ActorSystem;
  readonly http: Hono<CallerEnv>;
  readonly operations: readonly Operation[];
  readonly operationOf: FindOperation;
  /** What has been reported as one. */
  readonly bugs: { readonly error: unknown; readonly request: BuggyRequest }[] = [];
  readonly observed: RuntimeEvent[] = [];
  /** Such as have been sent, the newest last. */
  readonly letters: Letter[] = [];
  readonly #database: Database;
  readonly #node: Node;
  readonly #env: Env;
  readonly #gates: Gate[] = [];
  readonly #listeners: ((event: RuntimeEvent) => void)[] = [];
  #suffix = crypto.randomUUID().slice(0, 8);
  #aheadMs = 0;

  constructor(database: Database, options: ApiOptions = {}) {
    const { consistencyWaitMs = 30_000, webhooks = {}, rateLimits, trustedProxies, ...more } =
      options;
    const { door = openDoor, contentFilter, identity = {}, ...rest } = more;
    this.#database = database;
    this.#env = { ...systemEnv, now: () => systemEnv.now() + this.#aheadMs };
    this.store = new FaultyStore(new PostgresEventStore(database));
    this.#node = openNode({
      shedding: neverShedding,
      ...rest,
      ...(rateLimits !== undefined && {
        rateLimits: {
          quotas: quotasIn(rateLimits),
          prefix: "test",
          nodes: () => 1,
        },
      }),
      database,
      env: this.#env,
      store: this.store,
      observe: (event) => {
        this.observed.push(event);
        for (const tell of this.#listeners) tell(event);
      },
      projectorLimits: { gatherMs: 0 },
      identity: {
        tokens: this.#tokenOptions(),
        longestTokenMs: 3_600_000,
        sendMail: (letter) => Promise.resolve(void this.letters.push(letter)),
        letters: {},
        // What a hash costs is what other tests are about.
        hashing: { cost: { memoryKiB: 64, passes: 1 } },
        ...identity,
      },
      webhooks: { resolve: () => Promise.resolve([]), ...webhooks },
      http: {
        parseBody: bodyParser({ bytesMax: BODY_BYTES_MAX, bodyMs: 10_000, env: systemEnv }),
        consistencyWaitMs,
        door: { ...door, ...trusting(trustedProxies) },
        ...(contentFilter !== undefined && { contentFilter }),
        requestTimeoutMs: 60_000,
        readiness: () => this.#readiness(),
        reportBug: (error, request) => void this.bugs.push({ error, request }),
      },
    });
    this.system = this.#node.system;
    this.http = this.#node.http;
    this.operations = this.#node.operations;
    this.operationOf = operationFinder(this.operations);
  }

  /** One more node on the same database, which knows the same people. */
  anotherNode(options: ApiOptions = {}): Api {
    const other = new Api(this.#database, options);
    other.#suffix = this.#suffix;
    other.#aheadMs = this.#aheadMs;
    return other;
  }

  /** Within one service a name is one person; no other service has ever heard of that person. */
  as(name: string, ...roles: readonly string[]): Client {
    const id = `${name}-${this.#suffix}`;
    return new Client(this, { id, token: this.token({ sub: id, roles }) });
  }

  /** Somebody under an id as accounts have them, in a session. */
  asUser(id: string, ...roles: readonly string[]): Client {
    const sessionId = crypto.randomUUID();
    const token = this.token({ sub: id, roles, ttlMs: ACCESS_MS, sessionId });
    return new Client(this, { id, token });
  }

  /** Someone who shows this token, or none. */
  bearing(token: string | undefined): Client {
    return new Client(this, { id: "", token: Promise.resolve(token) });
  }

  token({ sub = "someone", roles = [], ttlMs = 3_600_000, ...rest }: Partial<TokenContent>) {
    return mintToken(this.#tokenOptions(), { sub, roles, ttlMs, ...rest });
  }

  /** Has calls to the store wait until the gate is released, or this is disposed. */
  hold(operation: StoreOperation): Gate {
    const gate = this.store.hold(operation);
    this.#gates.push(gate);
    return gate;
  }

  onObserved(listener: (event: RuntimeEvent) => void): void {
    this.#listeners.push(listener);
  }

  /** As a signal to end would have it. */
  drain(): void {
    this.#node.state.drain();
  }

  /** Moves the clock on the wall. */
  advance(ms: number): void {
    this.#aheadMs += ms;
  }

  /** Moves the clock on the wall, and has the outbox bring what is due by it: it has another. */
  async elapse(ms: number): Promise<void> {
    this.advance(ms);
    const ahead = sql`${this.#aheadMs} * interval '1 ms'`;
    await sql`update outbox set available_at = available_at - ${ahead}
      where available_at <= now() + ${ahead}`.execute(this.#database.db);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const gate of this.#gates) gate.release();
    await this.#node[Symbol.asyncDispose]();
  }

  #tokenOptions() {
    return { keys, issuer: "troupe", audience: "troupe", env: this.#env };
  }

  async #readiness() {
    try {
      await this.#database.ping();
      return { isReady: true, details: {} };
    } catch (error) {
      if (!(error instanceof TransientFault)) throw error;
      return { isReady: false, details: {} };
    }
  }
}

function trusting(networks: string | undefined): Partial<DoorOptions> {
  if (networks === undefined) return {};
  return { isTrustedProxy: proxyList(readConfig({ TRUSTED_PROXIES: networks }).trustedProxies) };
}

const MODE = /^(normal|no-kv|shedding|read-only|draining)$/;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Of the request, as its URL has it. */
  readonly path: string;
  readonly text: string;
  /** Undefined where there is none. */
  // deno-lint-ignore no-explicit-any -- its shape is what tests are about
  readonly body: any;
}

type HeadersOf = Readonly<Record<string, string>>;

/** Somebody who calls. Paths are those under `/api/v1`, or whole ones. */
export class Client {
  readonly id: string;
  readonly #http: Hono<CallerEnv>;
  readonly #operationOf: FindOperation;
  readonly #token: Promise<string | undefined>;

  constructor(
    { http, operationOf }: Pick<Api, "http" | "operationOf">,
    { id, token }: { readonly id: string; readonly token: Promise<string | undefined> },
  ) {
    this.#http = http;
    this.#operationOf = operationOf;
    this.id = id;
    this.#token = token;
  }

  get(path: string, headers: HeadersOf = {}): Promise<Answer> {
    return this.send("GET", path, undefined, headers);
  }

  delete(path: string, headers: HeadersOf = {}): Promise<Answer> {
    return this.send("DELETE", path, undefined, headers);
  }

  post(path: string, body?: unknown, headers: HeadersOf = {}): Promise<Answer> {
    return this.#sendJson("POST", path, body, headers);
  }

  patch(path: string, body: unknown, headers: HeadersOf = {}): Promise<Answer> {
    return this.#sendJson("PATCH", path, body, headers);
  }

  /** Sends `content` as it is. */
  async send(
    method: string,
    path: string,
    content?: BodyInit,
    headers: HeadersOf = {},
  ): Promise<Answer> {
    const token = await this.#token;
    const isWhole = /^\/(api\/|health|openapi\.json|problems|\.well-known)/.test(path);
    const url = new URL(isWhole ? path : `/api/v1${path}`, "http://localhost");
    const response = await this.#http.request(url.href, {
      method,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      ...(content !== undefined && { body: content }),
    });
    assert.match(response.headers.get("service-mode") ?? "none", MODE);
    const text = await response.text();
    const body = text === "" ? undefined : JSON.parse(text);
    const operation = this.#operationOf(method, url.pathname);
    if (operation !== undefined) {
      assertDeclared(operation, { status: response.status, body, headers: response.headers });
    }
    return { status: response.status, headers: response.headers, path: url.pathname, text, body };
  }

  #sendJson(method: string, path: string, body: unknown, headers: HeadersOf): Promise<Answer> {
    return body === undefined
      ? this.send(method, path, undefined, headers)
      : this.send(method, path, JSON.stringify(body), {
        "content-type": "application/json",
        ...headers,
      });
  }
}

/** An answer is one that the route was declared with: a document that nobody holds to is a rumour. */
function assertDeclared(
  operation: Operation,
  { status, body, headers }: Pick<Answer, "status" | "body" | "headers">,
): void {
  const { id, answers, problems = [] } = operation;
  const given: readonly string[] = headersGiven(operation, status);
  for (const name of ["ETag", "Location", "Consistency-Token"]) {
    assert(!headers.has(name) || given.includes(name), `${id} answered ${status} with ${name}`);
  }
  const lacksLocation = given.includes("Location") && !headers.has("Location");
  assert(!lacksLocation, `${id} answered ${status} without Location`);
  if (status >= 400 && !(status in answers)) {
    const isKnown = [...problems, ...generalProblems(operation)].some(({ type, problem }) =>
      problem.status === status && (body === undefined || type === body.type)
    );
    assert(isKnown, `${id} is not declared to answer ${status} ${body?.type}`);
    return;
  }
  assert(status in answers, `${id} is not declared to answer ${status}`);
  const schema = answers[status]!;
  if (schema === null || body === undefined) return assert.equal(body, undefined);
  const { error } = schema.safeParse(body);
  assert.equal(error, undefined, `${id} answered what it was not declared to: ${error}`);
}

/** What an organizer lays down; the rest of a request for a new event does not matter. */
export function plan(changes: Readonly<Record<string, unknown>> = {}) {
  return {
    title: "Recital",
    startsAt: "2040-06-01T18:00:00.000Z",
    endsAt: "2040-06-01T20:00:00.000Z",
    capacity: 2,
    ...changes,
  };
}

/** The path of a new draft. */
export async function draft(organizer: Client, changes: object = {}): Promise<string> {
  const { status, body, text } = await organizer.post("/events", plan({ ...changes }));
  assert.equal(status, 201, text);
  return `/events/${body.id}`;
}

/** The path of a new event that people can register for. */
export async function published(organizer: Client, changes: object = {}): Promise<string> {
  const path = await draft(organizer, changes);
  const { status, text } = await organizer.post(`${path}/publish`);
  assert.equal(status, 200, text);
  return path;
}

/** The registration id of one who has just registered. */
export async function registered(person: Client, event: string): Promise<string> {
  const { status, body, text } = await person.post(`${event}/registrations`, {});
  assert.equal(status, 201, text);
  return body.registrationId;
}

/** The items of all pages, walked by the cursor. */
export async function itemsOf(client: Client, path: string, headers: HeadersOf = {}) {
  const items = [];
  const cursors = new Set<string>();
  for (let next = path;;) {
    const { status, body, text } = await client.get(next, headers);
    assert.equal(status, 200, text);
    items.push(...body.items);
    if (body.nextCursor === undefined) return items;
    assert(!cursors.has(body.nextCursor), "a walk does not come back to where it was");
    cursors.add(body.nextCursor);
    next = `${path}${path.includes("?") ? "&" : "?"}cursor=${body.nextCursor}`;
  }
}

/** The header that makes a list show what `answer` tells of. */
export function since({ headers }: Answer): { readonly "Consistency-Token": string } {
  return { "Consistency-Token": headers.get("consistency-token")! };
}

const inside =
  /zod|postgres|pglite|kysely|hono|\bsql\b|sqlstate|select |insert |node:|npm:|file:|node_modules|\.ts\b|\bat \w+.*:\d+|TypeError|ReferenceError|stack|\bxid|jsonb/i;

/** A refusal has the form of RFC 9457, and no word of how the service is made. */
export function assertProblem(answer: Answer, status: number, type: string): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  if (answer.path.startsWith("/api/")) {
    assert.match(answer.headers.get("x-correlation-id") ?? "none", /^[0-9a-f-]{36}$/);
  }
  const { body } = answer;
  assert.equal(body.type, type, answer.text);
  assert.equal(body.status, status);
  // An escaped path is shown as far as it could be unescaped.
  if (!answer.path.includes("%")) assert.equal(body.instance, answer.path);
  assert(typeof body.title === "string" && body.title.length > 0);
  const { instance: _, ...said } = body;
  assert.doesNotMatch(JSON.stringify(said), inside);
}

/** Resolves once it is true, which takes others no time, only turns. */
export async function eventually(isSo: () => boolean): Promise<void> {
  const until = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > until) throw new Error("It never came to be so");
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Resolves once `read` gives that; it is asked again and again. */
export async function eventuallyEqual<T>(read: () => Promise<T>, wanted: T): Promise<void> {
  const until = performance.now() + 20_000;
  while (true) {
    const found = await read();
    if (isDeepStrictEqual(found, wanted)) return;
    if (performance.now() > until) assert.deepEqual(found, wanted);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
