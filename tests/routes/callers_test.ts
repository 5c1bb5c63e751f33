/** Who gets in, and what of the whole there is to find. */
import assert from "node:assert/strict";
import { openTokenKeys } from "../../lib/http/token_keys.ts";
import { mintToken } from "../../lib/http/tokens.ts";
import { type Answer, Api, assertProblem, published } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

function assertUnauthenticated(answer: Answer): void {
  assertProblem(answer, 401, "/problems/unauthenticated");
  assert.match(answer.headers.get("www-authenticate")!, /^Bearer /);
}

function base64url(value: unknown): string {
  return new TextEncoder().encode(JSON.stringify(value))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

async function forged(token: string): Promise<string[]> {
  const [header, payload, signature] = token.split(".") as [string, string, string];
  const claims = JSON.parse(
    new TextDecoder().decode(Uint8Array.fromBase64(payload, { alphabet: "base64url" })),
  );
  const env = { now: () => Date.now(), uuid: () => crypto.randomUUID() };
  const options = { issuer: "troupe", audience: "troupe", env };
  const content = { sub: "alice", roles: ["admin"], ttlMs: 60_000 };
  const foreign = await openTokenKeys({ secrets: [new Uint8Array(32).fill(8)], dataDir: "" });
  const own = await openTokenKeys({ secrets: [new Uint8Array(32).fill(7)], dataDir: "" });
  const asAdmin = base64url({ ...claims, roles: ["admin"] });
  return [
    `${header}.${asAdmin}.${signature}`,
    `${base64url({ alg: "none", typ: "at+jwt" })}.${asAdmin}.`,
    `${base64url({ alg: "none", typ: "at+jwt" })}.${asAdmin}.${signature}`,
    `${base64url({ alg: "HS512", typ: "at+jwt" })}.${payload}.${signature}`,
    `${header}.${payload}.`,
    `${header}.${payload}`,
    `${header}.${payload}.${signature.slice(0, -2)}`,
    await mintToken({ ...options, keys: foreign }, content),
    await mintToken({ ...options, keys: own, issuer: "other" }, content),
    await mintToken({ ...options, keys: own, audience: "other" }, content),
    await mintToken({ ...options, keys: own }, { ...content, ttlMs: -60_000 }),
  ];
}

Deno.test("a token of the service lets in, and nothing that merely looks like one", async () => {
  await using api = new Api(database);
  const token = await api.token({ roles: ["organizer"] });
  assert.equal((await api.bearing(token).get("/events")).status, 200);
  for (const imitation of await forged(token)) {
    assertUnauthenticated(await api.bearing(imitation).get("/events"));
  }
});

Deno.test("nobody gets in without a bearer token, wherever they look", async () => {
  await using api = new Api(database);
  const event = await published(api.as("alice", "organizer"));
  const anyone = api.bearing(undefined);
  for (const path of ["/events", event, "/me/registrations", `${event}/history`, "/nowhere"]) {
    for (const method of ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      assertUnauthenticated(await anyone.send(method, path));
    }
  }
  const token = await api.token({});
  assertUnauthenticated(await anyone.get(`/events?access_token=${token}`));
});

Deno.test("an Authorization header that is none lets nobody in", async () => {
  await using api = new Api(database);
  const token = await api.token({});
  const headers = [
    "",
    "Bearer",
    "Bearer ",
    token,
    `Basic ${token}`,
    `Bearer: ${token}`,
    `Bearer ${token}, Bearer ${token}`,
    `Bearer ${token} ${token}`,
    `Bearer "${token}"`,
    `Bearer ${token}é`,
    `Bearer ${"a".repeat(100_000)}`,
    `Bearer ${"a.".repeat(50_000)}`,
  ];
  for (const authorization of headers) {
    assertUnauthenticated(await api.bearing(undefined).get("/events", { authorization }));
  }
});

Deno.test("a token lets in until it ends", async () => {
  await using api = new Api(database);
  const token = await api.token({ ttlMs: 60_000 });
  assert.equal((await api.bearing(token).get("/events")).status, 200);
  api.advance(59_000);
  assert.equal((await api.bearing(token).get("/events")).status, 200);
  api.advance(7_000);
  assertUnauthenticated(await api.bearing(token).get("/events"));
});

const allowed: Readonly<Record<string, readonly string[]>> = {
  "/events": ["GET", "HEAD", "POST"],
  "/events/EVENT": ["GET", "HEAD", "PATCH"],
  "/events/EVENT/publish": ["POST"],
  "/events/EVENT/cancel": ["POST"],
  "/events/EVENT/registrations": ["GET", "HEAD", "POST"],
  "/events/EVENT/registrations/EVENT": ["DELETE"],
  "/events/EVENT/registrations/EVENT/accept": ["POST"],
  "/events/EVENT/history": ["GET", "HEAD"],
  "/me/registrations": ["GET", "HEAD"],
};

for (const [template, methods] of Object.entries(allowed)) {
  Deno.test(`${template} takes ${methods.join(", ")} and says so to all others`, async () => {
    await using api = new Api(database);
    const alice = api.as("alice", "organizer");
    const path = template.replaceAll("EVENT", "01900000-0000-7000-8000-000000000000");
    const others = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "ALL", "patch"];
    for (const method of others.filter((method) => !methods.includes(method))) {
      const answer = await alice.send(method, path);
      assertProblem(answer, 405, "about:blank");
      const allow = answer.headers.get("allow")!.split(", ").sort();
      assert.deepEqual(allow, methods, method);
    }
  });
}

Deno.test("HEAD tells all of GET but its body", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  for (const path of [event, "/events", `${event}/history`, "/me/registrations"]) {
    const [get, head] = [await alice.get(path), await alice.send("HEAD", path)];
    assert.deepEqual([head.status, head.text], [200, ""]);
    for (const name of ["content-type", "etag", "consistency-token"]) {
      assert.equal(head.headers.get(name), get.headers.get(name), `${path} ${name}`);
    }
  }
  const missing = await alice.send("HEAD", "/nowhere");
  assert.deepEqual([missing.status, missing.text], [404, ""]);
  const elsewhere = await alice.send("HEAD", `${event}/publish`);
  assert.deepEqual([elsewhere.status, elsewhere.headers.get("allow")], [405, "POST"]);
});

Deno.test("where nothing is, nothing is found", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const paths = [
    "/",
    "/event",
    "/events/",
    "/me",
    "/api/v2/events",
    "/api",
    "/api/v1/events/a/b/c/d",
  ];
  for (const path of paths) {
    for (const method of ["GET", "POST", "OPTIONS"]) {
      assertProblem(await alice.send(method, path), 404, "about:blank");
    }
  }
});
