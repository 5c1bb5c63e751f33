import assert from "node:assert/strict";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { PoisonFault, TransientFault } from "../../../lib/fault.ts";
import {
  type BuggyRequest,
  ProblemError,
  problemForError,
  problemForUnrouted,
} from "../../../lib/http/problem.ts";

const ID = "0190a5c0-7b1e-7000-8000-00000000000a";

function appThat(fails: () => never) {
  const reported: { bug: unknown; request: BuggyRequest }[] = [];
  const app = new Hono().get("/thing", () => fails());
  app.onError(problemForError({
    report: (bug, request) => void reported.push({ bug, request }),
    uuid: () => ID,
  }));
  return { app, reported };
}

Deno.test("a problem that was thrown is answered as it is, with its headers", async () => {
  const { app } = appThat(() => {
    throw new ProblemError("/problems/gone-sour", { status: 409, title: "Gone sour" }, {
      headers: { ETag: '"7"' },
    });
  });
  const response = await app.request("/thing");
  assert.equal(response.status, 409);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(response.headers.get("etag"), '"7"');
  assert.deepEqual(await response.json(), {
    type: "/problems/gone-sour",
    instance: "/thing",
    status: 409,
    title: "Gone sour",
  });
});

Deno.test("a fault that left nothing behind is 503 and says when to come back", async () => {
  const { app, reported } = appThat(() => {
    throw new TransientFault("Cannot reach 10.0.0.3", { retryAfterMs: 1_200 });
  });
  const response = await app.request("/thing");
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "2");
  const problem = await response.text();
  assert.equal(JSON.parse(problem).type, "/problems/unavailable");
  assert(!problem.includes("10.0.0.3"));
  assert.deepEqual(reported, []);
});

Deno.test("a fault with nothing to wait for still asks for a second", async () => {
  const { app } = appThat(() => {
    throw new TransientFault("Cannot wait", { retryAfterMs: 0 });
  });
  assert.equal((await app.request("/thing")).headers.get("retry-after"), "1");
});

Deno.test("a fault of unknown outcome is 504 and asks for the same key again", async () => {
  const { app } = appThat(() => {
    throw new TransientFault("Cannot tell", { outcome: "unknown", retryAfterMs: 3_000 });
  });
  const response = await app.request("/thing");
  assert.equal(response.status, 504);
  assert.equal(response.headers.get("retry-after"), "3");
  const problem = await response.json();
  assert.equal(problem.type, "/problems/outcome-unknown");
  assert.match(problem.detail, /same Idempotency-Key/);
});

const bugs: readonly [string, unknown][] = [
  ["a mistake in the code", new TypeError("state.secret is undefined")],
  ["content that the store refuses", new PoisonFault("secret is out of range")],
  ["a library's own 5xx", new HTTPException(500, { message: "secret" })],
];

for (const [name, bug] of bugs) {
  Deno.test(`${name} is 500 with an id, is reported, and not a word of it gets out`, async () => {
    const { app, reported } = appThat(() => {
      throw bug;
    });
    const response = await app.request("/thing");
    assert.equal(response.status, 500);
    assert.equal(response.headers.get("x-correlation-id"), ID);
    assert.deepEqual(await response.json(), {
      type: "about:blank",
      instance: "/thing",
      status: 500,
      title: "Internal Server Error",
    });
    const request = { method: "GET", path: "/thing", correlationId: ID };
    assert.deepEqual(reported, [{ bug, request }]);
  });
}

Deno.test("what Hono itself refuses is a problem document too", async () => {
  const { app } = appThat(() => {
    throw new HTTPException(413);
  });
  const response = await app.request("/thing");
  assert.equal(response.status, 413);
  assert.deepEqual(await response.json(), {
    type: "about:blank",
    instance: "/thing",
    status: 413,
    title: "Payload Too Large",
  });
});

const events = new Hono()
  .get("/:id", (c) => c.text("event"))
  .patch("/:id", (c) => c.text("changed"));
const site = new Hono().use(async (_c, next) => await next()).route("/events", events);
site.notFound(problemForUnrouted(site));

Deno.test("a path that nothing is at is 404", async () => {
  const response = await site.request("/nowhere");
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("allow"), null);
  assert.deepEqual(await response.json(), {
    type: "about:blank",
    instance: "/nowhere",
    status: 404,
    title: "Not Found",
  });
});

Deno.test("a path that takes other methods is 405 and names them", async () => {
  for (const method of ["DELETE", "POST", "TRACE-LIKE"]) {
    const response = await site.request("/events/7", { method });
    assert.equal(response.status, 405);
    assert.deepEqual(response.headers.get("allow")!.split(", ").sort(), ["GET", "HEAD", "PATCH"]);
    assert.equal((await response.json()).title, "Method Not Allowed");
  }
});

Deno.test("a path that exists answers its own methods", async () => {
  assert.equal(await (await site.request("/events/7")).text(), "event");
  assert.equal((await site.request("/events/7", { method: "HEAD" })).status, 200);
  assert.equal((await site.request("/events/7", { method: "PATCH" })).status, 200);
});
