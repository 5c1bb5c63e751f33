/** Bodies that are meant to cost, to pollute, or to be taken for something else. */
import assert from "node:assert/strict";
import { Api, assertProblem, BODY_BYTES_MAX, plan } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();
const json = { "content-type": "application/json" };
const INVALID = "/problems/invalid-request";

Deno.test("nothing that is sent changes what all objects have", async () => {
  await using api = new Api(database);
  const olga = api.as("olga", "organizer");
  const whole = JSON.stringify(plan());
  const polluting = [
    '"__proto__":{"admin":true}',
    '"__proto__":null',
    '"constructor":{"prototype":{"admin":true}}',
    '"prototype":{"admin":true}',
    '"__proto__.admin":true',
    '"constructor.prototype.admin":true',
    '"toString":"x"',
    '"hasOwnProperty":1',
    '"__defineGetter__":1',
  ];
  const { body: event } = await olga.post("/events", plan());
  for (const part of polluting) {
    const body = `${whole.slice(0, -1)},${part}}`;
    assertProblem(await olga.send("POST", "/events", body, json), 400, INVALID);
    assertProblem(await olga.send("PATCH", `/events/${event.id}`, `{${part}}`, json), 400, INVALID);
  }
  for (const query of ["__proto__[admin]=1", "__proto__=1", "constructor[prototype][admin]=1"]) {
    assertProblem(await olga.get(`/events?${query}`), 400, INVALID);
  }
  // Where any object is taken, it is kept as data, and read back as such.
  const root = api.as("root", "admin");
  const payload = '{"notices":[],"__proto__":{"admin":true}}';
  const job = `{"type":"live_event.deliver_notices","payload":${payload}}`;
  const enqueued = await root.send("POST", "/jobs", job, json);
  assert([201, 400].includes(enqueued.status), enqueued.text);
  assert.equal(({} as Record<string, unknown>).admin, undefined);
  assert.deepEqual(Object.keys(Object.prototype), []);
});

Deno.test("what would cost more than it may is refused, whatever it is made of", async () => {
  await using api = new Api(database);
  const olga = api.as("olga", "organizer");
  const big = {
    "one byte too many": `"${"x".repeat(BODY_BYTES_MAX - 1)}"`,
    "a long text": `{"title":"${"x".repeat(10_000_000)}"}`,
    "a million keys": `{${Array.from({ length: 1_000_000 }, (_, n) => `"k${n}":0`).join()}}`,
  };
  for (const [what, body] of Object.entries(big)) {
    const answer = await olga.send("POST", "/events", body, json);
    assert.equal(answer.status, 413, what);
    const chunks = ReadableStream.from([new TextEncoder().encode(body)]);
    const streamed = await olga.send("POST", "/events", chunks, json);
    assert.equal(streamed.status, 413, `${what}, of no declared length`);
  }
  const depth = 10_000;
  const odd: Readonly<Record<string, string>> = {
    "very deep": "[".repeat(depth) + "]".repeat(depth),
    "deep within": JSON.stringify(plan()).replace(
      /2}$/,
      `${"[".repeat(depth)}${"]".repeat(depth)}}`,
    ),
    "no number": JSON.stringify(plan()).replace(/2}$/, "1e999}"),
    "less than none": JSON.stringify(plan()).replace(/2}$/, "-0.5}"),
    "more than is exact": JSON.stringify(plan()).replace(/2}$/, "9007199254740993}"),
    "many keys": `{${Array.from({ length: 5_000 }, (_, n) => `"k${n}":0`).join()}}`,
    "cut off": '{"title":"x',
    "two values": `${JSON.stringify(plan())}{}`,
    "a byte order mark": `\ufeff${JSON.stringify(plan())} x`,
  };
  for (const [what, body] of Object.entries(odd)) {
    const answer = await olga.send("POST", "/events", body, json);
    assert.equal(answer.status, 400, what);
    assert(answer.text.length < 10_000, "the refusal is no longer than what was sent");
  }
  for (
    const query of [
      "limit=1000000000",
      "limit=201",
      "limit=-1",
      "limit=1e2",
      `q=${"x".repeat(201)}`,
    ]
  ) {
    assertProblem(await olga.get(`/events?${query}`), 400, INVALID);
  }
});

Deno.test("a body in another form or encoding is refused before it is read", async () => {
  await using api = new Api(database);
  const olga = api.as("olga", "organizer");
  const body = JSON.stringify(plan());
  const UNSUPPORTED = "/problems/unsupported-media-type";
  const types = [
    "text/plain",
    "text/html",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json5",
    "application/jsonp",
    "application/json; charset=utf-16",
    "application/json, text/plain",
    "text/plain; application/json",
    "",
  ];
  for (const type of types) {
    assertProblem(
      await olga.send("POST", "/events", body, { "content-type": type }),
      415,
      UNSUPPORTED,
    );
  }
  const unread = () =>
    new ReadableStream({ pull: () => Promise.reject(new Error("It was read")) }, {
      highWaterMark: 0,
    });
  for (const encoding of ["gzip", "br", "deflate", "zstd", "identity, gzip", "x"]) {
    const headers = { ...json, "content-encoding": encoding };
    assertProblem(await olga.send("POST", "/events", unread(), headers), 415, UNSUPPORTED);
    assertProblem(
      await olga.send("DELETE", `/webhooks/${crypto.randomUUID()}`, unread(), headers),
      415,
      UNSUPPORTED,
    );
  }
  for (const encoding of ["identity", "Identity"]) {
    const headers = { ...json, "content-encoding": encoding };
    assert.equal((await olga.send("POST", "/events", body, headers)).status, 201);
  }
});

Deno.test("no line break that is sent begins a header of an answer", async () => {
  await using api = new Api(database);
  const olga = api.as("olga", "organizer");
  const broken = [
    "%0d%0aset-cookie:x=1",
    "%0aset-cookie:x=1",
    "%E5%98%8A%E5%98%8Dset-cookie:x=1",
    "%0d%0a%0d%0a<html>",
  ];
  for (const part of broken) {
    for (
      const path of [`/events/${part}`, `/events?q=${part}`, `/${part}`, `/events?cursor=${part}`]
    ) {
      const { headers, status } = await olga.get(path);
      assert(status < 500);
      assert.equal(headers.get("set-cookie"), null);
      for (const [name, value] of headers) assert.doesNotMatch(value, /[\r\n]/, name);
    }
    // What is not a UUID is not given back at all.
    const { headers } = await olga.get("/events", { "X-Correlation-Id": part });
    assert.match(headers.get("x-correlation-id")!, /^[0-9a-f-]{36}$/);
  }
});
