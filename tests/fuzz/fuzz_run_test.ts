/** The fuzzer finds what is planted before it, and nothing where all is as documented. */
import assert from "node:assert/strict";
import { breakagesOf, fieldsOf } from "./attempts.ts";
import { breakages, textBreakages } from "./breakages.ts";
import { type OpenApiDocument, operationsIn } from "./document.ts";
import { FuzzRun } from "./fuzz_run.ts";

const problem = {
  "application/problem+json": {
    schema: {
      type: "object",
      properties: { type: { type: "string" }, status: { type: "integer" } },
      required: ["type", "status"],
    },
  },
} as const;

const thing = {
  type: "object",
  properties: {
    id: { type: "string", format: "uuid" },
    name: { type: "string", minLength: 1, maxLength: 20 },
    size: { type: "integer", minimum: 1, maximum: 9 },
    marks: { type: "array", items: { type: "string", enum: ["red", "blue"] }, maxItems: 3 },
  },
  required: ["id", "name"],
  additionalProperties: false,
} as const;

const wanted = {
  ...thing,
  properties: {
    name: thing.properties.name,
    size: thing.properties.size,
    marks: thing.properties.marks,
  },
  required: ["name"],
};

const page = {
  type: "object",
  properties: {
    items: { type: "array", items: { $ref: "#/components/schemas/Thing" } },
    nextCursor: { type: "string" },
  },
  required: ["items"],
  additionalProperties: false,
} as const;

const document: OpenApiDocument = {
  openapi: "3.1.0",
  paths: {
    "/things": {
      get: {
        operationId: "listThings",
        parameters: [{
          name: "limit",
          in: "query",
          schema: { type: "integer", minimum: 1, maximum: 9 },
        }, { name: "cursor", in: "query", schema: { type: "string", maxLength: 200 } }],
        responses: {
          "200": { content: { "application/json": { schema: page } } },
          "400": { content: problem },
        },
      },
      post: {
        operationId: "makeThing",
        requestBody: { required: true, content: { "application/json": { schema: wanted } } },
        responses: {
          "201": {
            content: { "application/json": { schema: { $ref: "#/components/schemas/Thing" } } },
          },
          "400": { content: problem },
        },
      },
    },
    "/things/{id}": {
      get: {
        operationId: "readThing",
        parameters: [{ name: "id", in: "path", required: true, schema: thing.properties.id }],
        responses: {
          "200": {
            content: { "application/json": { schema: { $ref: "#/components/schemas/Thing" } } },
          },
          "400": { content: problem },
          "404": { content: problem },
        },
      },
    },
  },
  components: { schemas: { Thing: thing } },
};

interface Thing {
  readonly id: string;
  readonly name: string;
}

/** What may be wrong with a service: each a mistake that somebody has made. */
interface Mistakes {
  /** Of a name that is made of nothing but what programmers fear. */
  readonly breaksAt?: string;
  /** In a part of a cursor. */
  readonly breaksWithin?: string;
  readonly tells?: boolean;
  readonly status?: number;
  readonly adds?: object;
  readonly forgetsNosniff?: boolean;
}

/** Keeps things, as the document says, but for its mistakes. */
function serving(mistakes: Mistakes) {
  const things = new Map<string, Thing>();
  const headers = (type: string) => ({
    "content-type": type,
    ...!mistakes.forgetsNosniff && { "x-content-type-options": "nosniff" },
  });
  const answer = (status: number, body: unknown) =>
    new Response(JSON.stringify(body), { status, headers: headers("application/json") });
  const refusal = (status: number, detail = "") =>
    new Response(JSON.stringify({ type: "/problems/x", status, detail }), {
      status,
      headers: headers("application/problem+json"),
    });
  const made = (text: string) => {
    if (mistakes.breaksAt !== undefined && text.includes(mistakes.breaksAt)) return refusal(500);
    const asked = valid(text);
    if (asked === undefined) return refusal(400, mistakes.tells ? "TypeError: at x.ts:3" : "");
    const made = { ...asked, id: crypto.randomUUID() };
    things.set(made.id, made);
    return answer(mistakes.status ?? 201, { ...made, ...mistakes.adds });
  };
  const listed = (url: string) => {
    const asked = pageAsked(url);
    if (asked === undefined) return refusal(400);
    const [limit, after = ""] = asked;
    if (mistakes.breaksWithin !== undefined && after.includes(mistakes.breaksWithin)) {
      return refusal(500);
    }
    const left = [...things.values()].filter(({ id }) => id > after)
      .sort((a, b) => a.id < b.id ? -1 : 1);
    const items = left.slice(0, limit);
    const nextCursor = btoa(JSON.stringify(["list", items.at(-1)?.id]));
    return answer(200, { items, ...left.length > limit && { nextCursor } });
  };
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const text = await request.text();
    if (pathname === "/things" && request.method === "GET") return listed(request.url);
    if (pathname === "/things") return request.method === "POST" ? made(text) : refusal(405);
    const [, id] = /^\/things\/([^/]+)$/.exec(pathname) ?? [];
    if (id === undefined) return refusal(404);
    if (request.method !== "GET") return refusal(request.method === "HEAD" ? 404 : 405);
    const found = things.get(id);
    return found === undefined ? refusal(404) : answer(200, found);
  });
}

/** How many, and after which id; undefined if the document has something against it. */
function pageAsked(url: string): readonly [limit: number, after?: string] | undefined {
  const query = new URL(url).searchParams;
  const [limit = "5", ...limits] = query.getAll("limit");
  const [cursor, ...cursors] = query.getAll("cursor");
  const isKnown = [...query.keys()].every((name) => name === "limit" || name === "cursor");
  const isValid = isKnown && limits.length === 0 && cursors.length === 0 &&
    /^[1-9]$/.test(limit);
  if (!isValid) return undefined;
  if (cursor === undefined) return [Number(limit)];
  try {
    const [list, after, ...others] = JSON.parse(atob(cursor));
    const isOurs = list === "list" && typeof after === "string" && others.length === 0;
    return isOurs ? [Number(limit), after] : undefined;
  } catch {
    return undefined;
  }
}

function valid(text: string): { readonly name: string } | undefined {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  const { name, size = 1, marks = [], ...others } = body;
  const isValid = Object.keys(others).length === 0 && !text.includes("__proto__") &&
    typeof name === "string" && name.length > 0 && name.length <= 20 &&
    Number.isInteger(size) && size >= 1 && size <= 9 &&
    Array.isArray(marks) && marks.length <= 3 &&
    marks.every((mark: unknown) => mark === "red" || mark === "blue");
  return isValid ? { ...body } : undefined;
}

async function findingsIn(mistakes: Mistakes, requests = 1_500) {
  await using server = serving(mistakes);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const run = new FuzzRun(document, { url, seed: 1, tokens: ["a.b.c"] });
  await run.send(500);
  await run.send(requests - 500);
  assert.equal(run.outcome.sent, requests);
  return run.outcome;
}

Deno.test("nothing is found where all is as documented, and all that there is was tried", async () => {
  const { findings, statuses, misdescribed, coverage } = await findingsIn({}, 2_500);
  assert.deepEqual(findings.slice(0, 3), []);
  assert.deepEqual([...misdescribed], []);
  for (const status of [200, 201, 400, 404, 405]) assert(statuses.has(status), `no ${status}`);
  const { ways, thin, unmet } = coverage;
  assert(ways.tried === ways.all && ways.all > 0, `${ways.tried} of ${ways.all}`);
  assert.deepEqual([...thin, ...unmet], []);
});

Deno.test("a run that is too short is told from one that has tried enough", async () => {
  await using server = serving({});
  const url = `http://127.0.0.1:${server.addr.port}`;
  const run = new FuzzRun(document, { url, seed: 1, tokens: [undefined] });
  await run.send(100);
  const { thin, unmet } = run.outcome.coverage;
  assert(thin.some((field) => field.startsWith("makeThing body /name: ")), thin.join());
  assert(unmet.includes("a range"), unmet.join());
});

const planted: readonly (readonly [name: string, mistakes: Mistakes, found: RegExp])[] = [
  ["an answer of 500", { breaksAt: "constructor" }, /^500, which is never right/],
  ["an answer of 500 by a part of a cursor", { breaksWithin: "\0" }, /^500, which is never right/],
  ["a status that is not documented", { status: 202 }, /^202, which is not documented/],
  ["a field that is not documented", { adds: { secret: 1 } }, /^not as documented/],
  ["a value of another type", { adds: { size: "9" } }, /^not as documented/],
  ["a word of how it is made", { tells: true }, /^a word of how/],
  ["a missing header", { forgetsNosniff: true }, /^without nosniff/],
];

for (const [name, mistakes, found] of planted) {
  Deno.test(`what is planted is found: ${name}`, async () => {
    const { findings } = await findingsIn(mistakes);
    assert(findings.length > 0);
    for (const { what } of findings) assert.match(what, found);
  });
}

Deno.test("every field is broken in at least thirty ways", () => {
  assert(breakages.length >= 30 && textBreakages.length >= 30);
  for (const operation of operationsIn(document)) {
    for (const field of fieldsOf(document, operation)) {
      const names = breakagesOf(field).map(({ name }) => name);
      assert(new Set(names).size >= 30, field.name);
    }
  }
});
