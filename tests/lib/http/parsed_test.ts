import assert from "node:assert/strict";
import { connect } from "node:net";
import { Hono } from "hono";
import { z } from "zod";
import { systemEnv } from "../../../lib/env.ts";
import { connectionServer } from "../../../lib/http/connection_server.ts";
import { GuardedServer } from "../../../lib/http/guarded_server.ts";
import { bodyParser, parsedParams, parsedQuery } from "../../../lib/http/parsed.ts";
import { problemForError } from "../../../lib/http/problem.ts";
import { text } from "../../../lib/http/text.ts";
import { RawConnection } from "../../support/raw_connection.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const BYTES_MAX = 65_536;
const body = bodyParser({ bytesMax: BYTES_MAX, bodyMs: 10_000, env: systemEnv });
const Order = z.strictObject({ name: text({ min: 1, max: 100 }), count: z.int().optional() });
const Empty = z.strictObject({ name: text({ max: 100 }).optional() });

const app = new Hono()
  .post("/orders", async (c) => c.json(await body(c, Order)))
  .post("/maybe", async (c) => c.json(await body(c, Empty, { absent: {} })))
  .get("/orders/:id", (c) => c.json(parsedParams(c, z.strictObject({ id: z.uuid() }))))
  .get("/orders", (c) => {
    const Query = z.strictObject({ q: text({ max: 10 }).optional(), limit: z.string().optional() });
    return c.json(parsedQuery(c, Query));
  });
app.onError(problemForError({
  report: (bug) => {
    throw bug;
  },
  uuid: () => "",
}));

function post(content: BodyInit | null, headers: Record<string, string> = {}, path = "/orders") {
  return app.request(path, {
    method: "POST",
    body: content,
    headers: { "content-type": "application/json", ...headers },
  });
}

async function problemOf(response: Response, status: number) {
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  return await response.json();
}

Deno.test("a body that fits is parsed", async () => {
  const response = await post('{"name":"Zoë 🎟","count":2}');
  assert.deepEqual(await response.json(), { name: "Zoë 🎟", count: 2 });
});

for (
  const type of [
    "application/json",
    "Application/JSON; charset=UTF-8",
    'application/json;charset="utf-8"',
  ]
) {
  Deno.test(`a body of type ${type} is read`, async () => {
    assert.equal((await post('{"name":"a"}', { "content-type": type })).status, 200);
  });
}

for (
  const type of [
    "text/plain",
    "application/vnd.api+json",
    "application/jsonp",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
  ]
) {
  Deno.test(`a body of type ${type} is 415`, async () => {
    const problem = await problemOf(await post('{"name":"a"}', { "content-type": type }), 415);
    assert.equal(problem.type, "/problems/unsupported-media-type");
  });
}

Deno.test("a body without a type is 415, even where it may be absent", async () => {
  for (const path of ["/orders", "/maybe"]) {
    const content = new TextEncoder().encode('{"name":"a"}');
    await problemOf(await app.request(path, { method: "POST", body: content }), 415);
  }
});

Deno.test("a compressed body is 415 and not a riddle about JSON", async () => {
  const gzipped = new Response('{"name":"a"}').body!.pipeThrough(new CompressionStream("gzip"));
  const bytes = await new Response(gzipped).arrayBuffer();
  const problem = await problemOf(await post(bytes, { "content-encoding": "gzip" }), 415);
  assert.match(problem.detail, /Content-Encoding/);
});

Deno.test("no body is what the route says it is", async () => {
  assert.deepEqual(await (await app.request("/maybe", { method: "POST" })).json(), {});
  assert.deepEqual(await (await post("", {}, "/maybe")).json(), {});
  assert.deepEqual(await (await post('{"name":"a"}', {}, "/maybe")).json(), { name: "a" });
});

Deno.test("no body is refused where the route says nothing of it", async () => {
  await problemOf(await app.request("/orders", { method: "POST" }), 415);
  await problemOf(await post(""), 400);
});

const malformed = {
  "a cut-off object": '{"name":',
  "trailing text": '{"name":"a"} {}',
  "a comment": '{"name":"a"} // b',
  "a number that is none": '{"name":"a","count":01}',
  "NaN": '{"name":"a","count":NaN}',
  "nothing but space": "  ",
};

for (const [name, content] of Object.entries(malformed)) {
  Deno.test(`${name} is 400`, async () => {
    const problem = await problemOf(await post(content), 400);
    assert.deepEqual(problem, {
      type: "/problems/invalid-request",
      instance: "/orders",
      status: 400,
      title: "The request is not valid",
      detail: "The body must be JSON",
    });
  });
}

Deno.test("bytes that are not UTF-8 are 400, in one piece or many", async () => {
  const bytes = new Uint8Array([...new TextEncoder().encode('{"name":"'), 0xc3, 0x28, 0x22, 0x7d]);
  for (const headers of [{ "content-length": String(bytes.length) }, {}]) {
    const problem = await problemOf(await post(bytes, headers), 400);
    assert.match(problem.detail, /UTF-8/);
  }
});

Deno.test("a character cut in two by the network arrives whole", async () => {
  const bytes = new TextEncoder().encode('{"name":"🎟"}');
  const chunks = ReadableStream.from([...bytes].map((byte) => new Uint8Array([byte])));
  assert.deepEqual(await (await post(chunks)).json(), { name: "🎟" });
});

const refused: Record<string, readonly [content: string, path: (string | number)[]]> = {
  "an unknown field": ['{"name":"a","role":"hunter2"}', ["role"]],
  "a __proto__ field": ['{"name":"a","__proto__":{"admin":"hunter2"}}', ["__proto__"]],
  "an escaped __proto__ field": ['{"name":"a","\\u005f_proto__":{"x":"hunter2"}}', ["__proto__"]],
  "a constructor field": ['{"name":"a","constructor":{"prototype":"hunter2"}}', ["constructor"]],
  "a wrong type": ['{"name":["hunter2"]}', ["name"]],
  "a missing field": ["{}", ["name"]],
  "a number beyond all numbers": ['{"name":"a","count":1e999}', ["count"]],
  "a number beyond the safe ones": ['{"name":"a","count":9007199254740993}', ["count"]],
  "too much text": [`{"name":"hunter2${"x".repeat(100)}"}`, ["name"]],
  "U+0000": ['{"name":"hunter2\\u0000"}', ["name"]],
  "an unpaired surrogate": ['{"name":"hunter2\\ud800"}', ["name"]],
  "an array": ['["hunter2"]', []],
  "null": ["null", []],
};

for (const [name, [content, path]] of Object.entries(refused)) {
  Deno.test(`${name} is 400, and names the place but not the value`, async () => {
    const response = await post(content);
    const answer = await response.clone().text();
    const problem = await problemOf(response, 400);
    assert.equal(problem.type, "/problems/invalid-request");
    assert.deepEqual(problem.errors.map((error: { path: unknown }) => error.path), [path]);
    assert(!answer.includes("hunter2"), answer);
    assert.equal(({} as { admin?: unknown }).admin, undefined);
  });
}

Deno.test("hundreds of unknown fields with long names make a short answer", async () => {
  const fields = Array.from({ length: 500 }, (_, index) => [`${"x".repeat(100)}${index}`, 1]);
  const problem = await problemOf(await post(JSON.stringify(Object.fromEntries(fields))), 400);
  assert.equal(problem.errors.length, 21);
  for (const { path } of problem.errors) assert(path.join().length <= 64);
});

Deno.test("60 kB of opening brackets are refused without a stack overflow", async () => {
  const depth = 60_000;
  await problemOf(await post("[".repeat(depth)), 400);
  await problemOf(await post('{"name":'.repeat(depth / 8)), 400);
  const half = depth / 2;
  await problemOf(await post("[".repeat(half) + "]".repeat(half)), 400);
  await problemOf(await post(`{"name":${"[".repeat(half)}${"]".repeat(half)}}`), 400);
});

Deno.test("a body one byte over the bound is 413, at the bound it is read", async () => {
  const padding = " ".repeat(BYTES_MAX - '{"name":"a"}'.length);
  const atBound = `{"name":"a"}${padding}`;
  const declared = (content: string) => ({ "content-length": String(content.length) });
  assert.equal((await post(atBound, declared(atBound))).status, 200);
  assert.equal((await post(atBound)).status, 200);
  const over = atBound + " ";
  const problem = await problemOf(await post(over, declared(over)), 413);
  assert.equal(problem.type, "/problems/body-too-large");
  await problemOf(await post(over), 413);
});

Deno.test("an endless body without a length is cut off at the bound", async () => {
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 4_096;
      controller.enqueue(new Uint8Array(4_096).fill(0x20));
    },
  });
  await problemOf(await post(endless), 413);
  assert(pulled < 2 * BYTES_MAX, `read ${pulled} bytes`);
});

Deno.test("a body that breaks off is no bug", async () => {
  const broken = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.error(new Error("connection reset"));
    },
  });
  const problem = await problemOf(await post(broken), 400);
  assert.equal(problem.detail, "The body broke off");
});

Deno.test("a path parameter of the wrong form is 400", async () => {
  const problem = await problemOf(await app.request("/orders/hunter2%00"), 400);
  assert.deepEqual(problem.errors, [{ path: ["id"], message: "Invalid UUID" }]);
});

Deno.test("a query is parsed, and what is unknown or given twice in it refused", async () => {
  const get = (search: string) => app.request(`/orders${search}`);
  assert.deepEqual(await (await get("")).json(), {});
  assert.deepEqual(await (await get("?q=a+b%26")).json(), { q: "a b&" });
  const faulty = [
    "?q=a&q=b",
    "?p=1",
    "?__proto__=1",
    "?__proto__[x]=1",
    "?q=%00",
    "?q=12345678901",
  ];
  for (const search of faulty) await problemOf(await get(search), 400);
});

/** Sends `request` as it stands, and resolves with the status of each answer. */
async function statusesOf(port: number, request: string): Promise<string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1", () => socket.write(request));
  let received = "";
  socket.on("data", (data) => {
    received += data;
    // After refusing a body unread, Deno waits for the rest of it.
    if (received.includes(" 413 ")) socket.destroy();
  });
  socket.on("close", () => resolve(received));
  socket.on("error", reject);
  return (await promise).match(/(?<=HTTP\/1\.1 )\d+/g) ?? [];
}

Deno.test("the server holds bodies to their declared length, on which reading relies", async () => {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
  const head =
    "POST /orders HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n";
  const { port } = server.addr;

  const excess = `${head}content-length: 2\r\n\r\n{}  `;
  assert.deepEqual(await statusesOf(port, excess), ["400"]);
  const ambiguous =
    `${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{   }\r\n0\r\n\r\n`;
  assert.deepEqual(await statusesOf(port, ambiguous), ["400"]);
  const declaredTooLarge = `${head}content-length: ${BYTES_MAX + 1}\r\n\r\n`;
  assert.deepEqual(await statusesOf(port, declaredTooLarge), ["413"]);
  const chunked = `${head}transfer-encoding: chunked\r\n\r\nc\r\n{"name":"a"}\r\n0\r\n\r\n`;
  assert.deepEqual(await statusesOf(port, chunked), ["200"]);
  // Neither the rest of the chunk nor the end of the body is awaited.
  const size = (2 * BYTES_MAX).toString(16);
  const over = " ".repeat(BYTES_MAX + 1);
  const chunkedOver = `${head}transfer-encoding: chunked\r\n\r\n${size}\r\n${over}`;
  assert.deepEqual(await statusesOf(port, chunkedOver), ["413"]);
});

/** A connection to the guarded server, whose requests are read with that much patience. */
async function connected(bodyMs: number) {
  const env = new VirtualEnv();
  const impatient = bodyParser({ bytesMax: BYTES_MAX, bodyMs, env });
  const orders = new Hono().post("/orders", async (c) => c.json(await impatient(c, Order)));
  const fail = (bug: unknown) => {
    throw bug;
  };
  orders.onError(problemForError({ report: fail, uuid: () => "" }));
  const server = new GuardedServer({ hostname: "127.0.0.1", port: 0 }, {
    serveConnection: connectionServer()!,
    handle: (request, peer) => orders.fetch(request, { peer }),
    onError: fail,
    bounds: {
      connectionsMax: 10,
      perAddressMax: 10,
      headMs: 600_000,
      idleMs: 600_000,
      requestMs: 600_000,
      closingMs: 1_000,
    },
    env,
    observe: () => {},
  });
  const connection = await RawConnection.open(server.addr.port);
  return {
    env,
    connection,
    [Symbol.asyncDispose]: async () => {
      connection[Symbol.dispose]();
      await env.until(server[Symbol.asyncDispose]());
    },
  };
}

const HEAD = "POST /orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";

for (
  const [how, part] of [
    ["a declared length", `${HEAD}content-length: 99\r\n\r\n{"name"`],
    ["chunks", `${HEAD}transfer-encoding: chunked\r\n\r\n9\r\n{"name"`],
  ] as const
) {
  Deno.test(`a body with ${how} that does not arrive is 408, and its connection closed`, async () => {
    await using scene = await connected(5_000);
    const { connection, env } = scene;
    await connection.send(part);
    const answer = connection.some();
    while (env.sleepers < 2) await env.settle();
    await env.advance(5_000);
    assert.match((await answer)!, /^HTTP\/1\.1 408 [^]*connection: close[^]*body-too-slow/i);
    await env.advance(2_000);
    assert.equal(await connection.rest(), "");
  });
}

Deno.test("a body that comes in parts is read, if it is there in time", async () => {
  await using scene = await connected(5_000);
  const { connection, env } = scene;
  await connection.send(`${HEAD}content-length: 12\r\n\r\n{"name"`);
  while (env.sleepers < 2) await env.settle();
  await env.advance(4_999);
  assert.match(await connection.ask(':"a"}'), /^HTTP\/1\.1 200 /);
  await env.settle();
  assert.equal(env.sleepers, 1, "only the server's own timer is left");
});

Deno.test("whoever is refused a body half-way is not waited for", async () => {
  await using scene = await connected(5_000);
  const { connection, env } = scene;
  const size = (2 * BYTES_MAX).toString(16);
  const part = `${HEAD}transfer-encoding: chunked\r\n\r\n${size}\r\n${" ".repeat(BYTES_MAX + 1)}`;
  assert.match(await connection.ask(part), /^HTTP\/1\.1 413 [^]*connection: close/i);
  await env.advance(2_000);
  assert.equal(await connection.rest(), "");
});
