import assert from "node:assert/strict";
import { Hono } from "hono";
import { answer } from "../../../lib/http/answer.ts";
import { authenticated, type CallerEnv, requireRole } from "../../../lib/http/caller.ts";
import { causeOf } from "../../../lib/http/cause.ts";
import { problemForError } from "../../../lib/http/problem.ts";
import { openTokenKeys } from "../../../lib/http/token_keys.ts";
import { mintToken, TokenVerifier } from "../../../lib/http/tokens.ts";

const MESSAGE = "0190a5c0-7b1e-7000-8000-000000000001";
const OTHER = "0190a5c0-7b1e-4000-8000-00000000000a";
const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const env = { now: () => 1_900_000_000_000, monotonic: () => 5_000, uuid: () => MESSAGE };
const keys = await openTokenKeys({ secrets: [new Uint8Array(32).fill(7)], dataDir: "" });
const options = { keys, issuer: "troupe", audience: "troupe", env };
const token = await mintToken(options, { sub: "alice", roles: ["organizer"], ttlMs: 60_000 });

function appWith(activeTraceparent?: () => string | undefined) {
  const app = new Hono<CallerEnv>()
    .use(authenticated({
      verifier: new TokenVerifier(options),
      env,
      requestTimeoutMs: 10_000,
      ...(activeTraceparent === undefined ? {} : { activeTraceparent }),
    }))
    .get("/", (c) => answer(c, 200, causeOf(c), { ETag: '"3"' }))
    .get("/nothing", (c) => answer(c, 204))
    .get("/stage", (c) => (requireRole(c, "admin", "organizer"), answer(c, 204)))
    .get("/vault", (c) => (requireRole(c, "admin"), answer(c, 204)))
    .get("/bug", () => {
      throw new TypeError("no");
    });
  app.onError(problemForError({ report: () => {}, uuid: () => OTHER }));
  return app;
}

const app = appWith();

function get(path: string, headers: Record<string, string> = {}, of = app) {
  return of.request(path, { headers: { authorization: `Bearer ${token}`, ...headers } });
}

Deno.test("a caller is known by its token, and has until the timeout to be answered", async () => {
  const response = await get("/");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("etag"), '"3"');
  assert.deepEqual(await response.json(), {
    messageId: MESSAGE,
    correlationId: MESSAGE,
    causationId: MESSAGE,
    principal: { id: "alice", roles: ["organizer"] },
    deadline: 15_000,
  });
});

Deno.test("the scheme is taken in any case", async () => {
  for (const scheme of ["bearer", "BEARER", "Bearer "]) {
    assert.equal((await get("/", { authorization: `${scheme} ${token}` })).status, 200);
  }
});

Deno.test("a correlation id of the caller's own is used and sent back", async () => {
  const response = await get("/", { "x-correlation-id": OTHER.toUpperCase() });
  assert.equal(response.headers.get("x-correlation-id"), OTHER);
  assert.equal((await response.json()).correlationId, OTHER);
});

Deno.test("a correlation id that is no UUID is replaced, for it could not be stored", async () => {
  for (const id of ["1", `${OTHER}0`, "'; drop table event --", `{${OTHER}}`, ""]) {
    const response = await get("/", { "x-correlation-id": id });
    assert.equal(response.headers.get("x-correlation-id"), MESSAGE);
  }
});

Deno.test("every kind of answer carries the correlation id", async () => {
  const headers = { "x-correlation-id": OTHER };
  const statuses: [string, number][] = [["/nothing", 204], ["/vault", 403], ["/bug", 500]];
  for (const [path, status] of statuses) {
    const response = await get(path, headers);
    assert.equal(response.status, status);
    assert.equal(response.headers.get("x-correlation-id"), OTHER, path);
  }
  const stranger = await app.request("/", { headers });
  assert.equal(stranger.status, 401);
  assert.equal(stranger.headers.get("x-correlation-id"), OTHER);
});

Deno.test("a valid traceparent is passed on, any other is dropped", async () => {
  assert.equal((await (await get("/", { traceparent: TRACE })).json()).traceparent, TRACE);
  const bad = [
    TRACE.toUpperCase(),
    TRACE.replace(/^00/, "ff"),
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-4bf92f3577b34da6a3ce929d0e0e4736-${"0".repeat(16)}-01`,
    `${TRACE}-00`,
    "00-1-2-01",
  ];
  for (const traceparent of bad) {
    assert(!("traceparent" in await (await get("/", { traceparent })).json()), traceparent);
  }
});

Deno.test("the span in progress stands in for the traceparent that it is a child of", async () => {
  const span = TRACE.replace("00f067aa0ba902b7", "1111111111111111");
  const traced = appWith(() => span);
  const response = await get("/", { traceparent: TRACE }, traced);
  assert.equal((await response.json()).traceparent, span);
  const unsampled = await get("/", { traceparent: TRACE }, appWith(() => undefined));
  assert.equal((await unsampled.json()).traceparent, TRACE);
});

Deno.test("a role lets through whoever has one of those asked for, and nobody else", async () => {
  assert.equal((await get("/stage")).status, 204);
  const response = await get("/vault");
  assert.equal(response.status, 403);
  assert.equal((await response.json()).type, "/problems/forbidden");
});

Deno.test("nobody without credentials gets in, and is told what to bring", async () => {
  const response = await app.request("/");
  assert.equal(response.status, 401);
  assert.equal(response.headers.get("www-authenticate"), 'Bearer realm="api"');
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.deepEqual(await response.json(), {
    type: "/problems/unauthenticated",
    instance: "/",
    status: 401,
    title: "A valid bearer token is required",
  });
});
