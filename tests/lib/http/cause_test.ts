import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import { systemEnv } from "../../../lib/env.ts";
import type { Caller, CallerEnv } from "../../../lib/http/caller.ts";
import { causeOf, etagOf } from "../../../lib/http/cause.ts";
import { bodyParser } from "../../../lib/http/parsed.ts";
import { problemForError } from "../../../lib/http/problem.ts";

const caller: Caller = {
  principal: { id: "alice", roles: [] },
  messageId: "0190a5c0-7b1e-7000-8000-000000000001",
  correlationId: "0190a5c0-7b1e-7000-8000-000000000002",
  deadline: 1_234,
};
const body = bodyParser({ bytesMax: 1_024, bodyMs: 10_000, env: systemEnv });

const bugs: unknown[] = [];
const app = new Hono<CallerEnv>()
  .use(async (c, next) => {
    c.set("caller", caller);
    await next();
  })
  .post("/parsed", async (c) => {
    await body(c, z.unknown(), { absent: {} });
    return c.json(causeOf(c));
  })
  .all("/unparsed", (c) => c.json(causeOf(c)));
app.onError(problemForError({ report: (bug) => void bugs.push(bug), uuid: () => "" }));

function post(headers: Record<string, string>, content?: string, path = "/parsed") {
  const type: Record<string, string> = content === undefined
    ? {}
    : { "content-type": "application/json" };
  return app.request(path, {
    method: "POST",
    headers: { ...type, ...headers },
    ...(content === undefined ? {} : { body: content }),
  });
}

Deno.test("a plain request causes what its caller is, and was caused by nothing else", async () => {
  assert.deepEqual(await (await post({})).json(), { ...caller, causationId: caller.messageId });
});

Deno.test("If-Match asks for the version that ETag named", async () => {
  for (const version of [0, 7, 123_456]) {
    const cause = await (await post({ "If-Match": etagOf(version) })).json();
    assert.equal(cause.expectedVersion, version);
  }
});

Deno.test("If-Match: * asks for nothing in particular", async () => {
  assert(!("expectedVersion" in await (await post({ "If-Match": "*" })).json()));
});

for (const tag of ['W/"7"', '"07"', '"abc"', '""', '"-1"', '"1e3"', '"99999999999999999999"']) {
  Deno.test(`If-Match: ${tag} matches no version`, async () => {
    const response = await post({ "If-Match": tag });
    assert.equal(response.status, 412);
    assert.equal((await response.json()).type, "/problems/version-mismatch");
  });
}

for (const tag of ["7", '"7', '7"', 'w/"7"', '"7", "8"', '"7" x', "", "**"]) {
  Deno.test(`If-Match: ${tag} is malformed`, async () => {
    const response = await post({ "If-Match": tag });
    assert.equal(response.status, 400);
    assert.match((await response.json()).detail, /If-Match/);
  });
}

async function keyOf(header: string) {
  return (await (await post({ "Idempotency-Key": header })).json()).idempotency?.key;
}

Deno.test("an Idempotency-Key is the same key bare and in quotes", async () => {
  assert.equal(await keyOf("8e03978e-40d5"), "8e03978e-40d5");
  assert.equal(await keyOf('"8e03978e-40d5"'), "8e03978e-40d5");
  assert.equal(await keyOf('"a\\"b\\\\c"'), 'a"b\\c');
  assert.equal(await keyOf("x".repeat(200)), "x".repeat(200));
  assert.equal(await keyOf(`"${"x".repeat(200)}"`), "x".repeat(200));
});

const badKeys = [
  "",
  '""',
  "x".repeat(201),
  `"${"x".repeat(201)}"`,
  '"open',
  "a b",
  '"a b"',
  '"a";p=1',
  '"a", "b"',
  "a, b",
  "sch\u00f6n",
  '"a\\n"',
];

for (const header of badKeys) {
  Deno.test(`Idempotency-Key: ${header.slice(0, 20)} (${header.length}) is malformed`, async () => {
    const response = await post({ "Idempotency-Key": header });
    assert.equal(response.status, 400);
    assert.match((await response.json()).detail, /Idempotency-Key/);
  });
}

async function hashOf(content: string | undefined, path = "/parsed") {
  const cause = await (await post({ "Idempotency-Key": "k" }, content, path)).json();
  return cause.idempotency.requestHash;
}

Deno.test("the request hash covers method, path, query and body", async () => {
  const expected = createHash("sha256").update('POST /parsed\n{"a":1}').digest("base64");
  assert.equal(await hashOf('{"a":1}'), expected);
  const hashes = new Set([
    await hashOf('{"a":1}'),
    await hashOf('{"a":2}'),
    await hashOf(undefined),
    await hashOf('{"a":1}', "/parsed?x=1"),
    await hashOf(undefined, "/unparsed"),
  ]);
  assert.equal(hashes.size, 5);
});

Deno.test("a route that would hash a request without its body is a bug, and fails", async () => {
  const response = await post({ "Idempotency-Key": "k" }, '{"a":1}', "/unparsed");
  assert.equal(response.status, 500);
  assert.match(String(bugs.at(-1)), /its body was not parsed before/);
});
