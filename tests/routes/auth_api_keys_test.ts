/** API keys: what programs may do with them, and for how long. */
import assert from "node:assert/strict";
import { KEYS_MAX, scopes } from "../../actors/user/state.ts";
import { scopeOf } from "../../lib/http/operation.ts";
import { Api, assertProblem } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { PASSWORD, type Person, somebody, somebodyWho } from "../support/people.ts";

const database = await databaseOfThisFile();

const FORBIDDEN = "/problems/forbidden";
const INVALID = "/problems/invalid-request";
const DAY_MS = 86_400_000;

function newKey(changes: object = {}) {
  const expiresAt = new Date(Date.now() + DAY_MS).toISOString();
  return { name: "CI", scopes: ["events:read"], expiresAt, ...changes };
}

async function keyOf({ client }: Person, changes: object = {}) {
  const answer = await client.post("/api-keys", newKey(changes));
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers.get("cache-control"), "private, no-store");
  return answer.body as { readonly id: string; readonly key: string };
}

Deno.test("a key is shown once, and speaks for whom it belongs to", async () => {
  await using api = new Api(database);
  const person = await somebodyWho(api, "organizer");
  const { id, key } = await keyOf(person, { scopes: ["events:read", "events:write"] });
  const { items } = (await person.client.get("/api-keys")).body;
  assert.deepEqual(items.map((item: { id: string }) => item.id), [id]);
  assert(!JSON.stringify(items).includes(key.slice(-43)));
  const program = api.bearing(key);
  const made = await program.post("/events", {
    title: "Recital",
    startsAt: "2040-06-01T18:00:00.000Z",
    endsAt: "2040-06-01T20:00:00.000Z",
    capacity: 2,
  });
  assert.equal(made.status, 201, made.text);
  assert.equal(made.body.organizerId, person.id);
  assert.equal((await program.get(`/events/${made.body.id}`)).status, 200);
});

Deno.test("a key is good for its scopes only, whatever its owner may do", async () => {
  await using api = new Api(database);
  const person = await somebodyWho(api, "organizer", "trader", "admin");
  const { key } = await keyOf(person);
  const program = api.bearing(key);
  assert.equal((await program.get("/events")).status, 200);
  const json = { "content-type": "application/json" };
  const beyond: readonly (readonly [string, string])[] = [
    ["POST", "/events"],
    ["GET", "/accounts/me"],
    ["POST", "/accounts/deposits"],
    ["GET", "/webhooks"],
    ["GET", "/dead-letters"],
    ["GET", "/supervision"],
  ];
  for (const [method, path] of beyond) {
    const body = method === "GET" ? undefined : "{}";
    const answer = await program.send(method, path, body, method === "GET" ? {} : json);
    assertProblem(answer, 403, FORBIDDEN);
  }
});

Deno.test("no key is good for passwords, sessions, keys or roles", async () => {
  await using api = new Api(database);
  const person = await somebodyWho(api, "admin");
  const { key } = await keyOf(person, { scopes: [...scopes] });
  const program = api.bearing(key);
  const json = { "content-type": "application/json" };
  const identity = api.operations.filter(({ tag, access }) => {
    return tag === "identity" && access !== "anyone";
  });
  assert(identity.length >= 15);
  for (const { method, path } of identity) {
    const whole = path.replaceAll(/\{\w+\}/g, person.id);
    const body = method === "get" ? undefined : "{}";
    const answer = await program.send(method.toUpperCase(), whole, body, body ? json : {});
    assertProblem(answer, 403, FORBIDDEN);
  }
});

Deno.test("every route has a scope that a key can have, or is about who one is", async () => {
  await using api = new Api(database);
  const known: readonly string[] = scopes;
  const strange = api.operations
    .filter(({ tag, access }) => tag !== "identity" && access !== "anyone")
    .map(scopeOf)
    .filter((scope) => !known.includes(scope));
  assert.deepEqual([...new Set(strange)], []);
});

Deno.test("a key loses to its owner what the owner loses", async () => {
  await using api = new Api(database);
  const person = await somebodyWho(api, "organizer");
  const { key } = await keyOf(person, { scopes: ["events:read", "events:write"] });
  const program = api.bearing(key);
  assertProblem(await program.post("/events", {}), 400, INVALID);
  const root = api.as("root", "admin");
  const json = { "content-type": "application/json" };
  await root.send("PUT", `/users/${person.id}/roles`, JSON.stringify({ roles: [] }), json);
  assertProblem(await program.post("/events", {}), 403, FORBIDDEN);
  await root.post(`/users/${person.id}/disable`);
  assert.equal((await program.get("/events")).status, 401);
  await root.post(`/users/${person.id}/enable`);
  assert.equal((await program.get("/events")).status, 200);
});

Deno.test("a key that is revoked counts no more, and is revoked once", async () => {
  await using api = new Api(database);
  const person = await somebody(api);
  const { id, key } = await keyOf(person);
  const other = await keyOf(person);
  assert.equal((await api.bearing(key).get("/events")).status, 200);
  const stranger = await somebody(api);
  assertProblem(
    await stranger.client.delete(`/api-keys/${id}`),
    404,
    "/problems/user/no-such-key",
  );
  assert.equal((await api.bearing(key).get("/events")).status, 200);
  assert.equal((await person.client.delete(`/api-keys/${id}`)).status, 204);
  assert.equal((await api.bearing(key).get("/events")).status, 401);
  assert.equal((await api.bearing(other.key).get("/events")).status, 200);
  assertProblem(
    await person.client.delete(`/api-keys/${id}`),
    404,
    "/problems/user/no-such-key",
  );
});

Deno.test("a key ends when it was to end", async () => {
  await using api = new Api(database);
  const person = await somebody(api);
  const { key } = await keyOf(person);
  assert.equal((await api.bearing(key).get("/events")).status, 200);
  api.advance(DAY_MS + 1_000);
  assert.equal((await api.bearing(key).get("/events")).status, 401);
});

Deno.test("what only looks like a key lets nobody in", async () => {
  await using api = new Api(database);
  const person = await somebody(api);
  const { key } = await keyOf(person);
  const other = await keyOf(await somebody(api));
  const [, ids, secret] = /^trp_([0-9a-f]{64})_(.+)$/.exec(key)!;
  const [, otherIds, otherSecret] = /^trp_([0-9a-f]{64})_(.+)$/.exec(other.key)!;
  const forged = [
    `trp_${ids}_${"A".repeat(43)}`,
    `trp_${ids}_${otherSecret}`,
    `trp_${otherIds}_${secret}`,
    `trp_${ids!.slice(0, 32)}${otherIds!.slice(32)}_${secret}`,
    `trp_${"0".repeat(64)}_${secret}`,
    `trp_${ids!.toUpperCase()}_${secret}`,
    `trp_${ids}_${secret!.slice(1)}`,
    `${key}A`,
  ];
  for (const imitation of forged) {
    assert.equal((await api.bearing(imitation).get("/events")).status, 401, imitation);
  }
  assert.equal((await api.bearing(key).get("/events")).status, 200);
});

Deno.test("keys have bounds: how many, for how long, and for what", async () => {
  await using api = new Api(database);
  const person = await somebody(api);
  const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString();
  const bad = [
    { scopes: [] },
    { scopes: ["identity:write"] },
    { scopes: ["*"] },
    { scopes: ["events:read", "events:read"] },
    { expiresAt: inDays(-1) },
    { expiresAt: inDays(367) },
    { name: "" },
    { name: "a\nb" },
    { secret: "mine" },
  ];
  for (const changes of bad) {
    assertProblem(await person.client.post("/api-keys", newKey(changes)), 400, INVALID);
  }
  for (let count = 0; count < KEYS_MAX; count++) await keyOf(person);
  const answer = await person.client.post("/api-keys", newKey());
  assertProblem(answer, 409, "/problems/user/too-many-keys");
});

Deno.test("a repeated request makes no other key, and shows none again", async () => {
  await using api = new Api(database);
  const { client } = await somebody(api);
  const body = newKey();
  const once = { "idempotency-key": "once" };
  assert.equal((await client.post("/api-keys", body, once)).status, 201);
  assertProblem(await client.post("/api-keys", body, once), 409, "/problems/user/key-exists");
  assert.equal((await client.get("/api-keys")).body.items.length, 1);
});

Deno.test("a repeated request makes no other key after the first was revoked", async () => {
  await using api = new Api(database);
  const { client } = await somebody(api);
  const body = newKey();
  const once = { "idempotency-key": "once" };
  const { body: { id } } = await client.post("/api-keys", body, once);
  assert.equal((await client.delete(`/api-keys/${id}`)).status, 204);
  assertProblem(await client.post("/api-keys", body, once), 409, "/problems/user/key-exists");
  assert.deepEqual((await client.get("/api-keys")).body.items, []);
  const another = await client.post("/api-keys", newKey({ name: "another" }), once);
  assertProblem(another, 409, "/problems/user/key-exists");
});

Deno.test("whoever owns a key hears by mail that it was made, and of nothing secret", async () => {
  await using api = new Api(database);
  const person = await somebody(api);
  const before = api.letters.length;
  const name = "Call +1 555 0100 at once";
  const { id, key } = await keyOf(person, { name, scopes: ["events:read", "trading:write"] });
  const [letter, ...others] = api.letters.slice(before);
  assert.deepEqual([letter!.to, others], [person.email, []]);
  for (const said of [id, "events:read", "trading:write"]) assert(letter!.text.includes(said));
  assert(!letter!.text.includes(key.slice(-43)));
  assert(!letter!.text.includes(name), "what it is called is not for whoever made it to say here");
  assertProblem(await person.client.post("/api-keys", newKey({ scopes: [] })), 400, INVALID);
  assert.equal(api.letters.length, before + 1);
});

Deno.test("a new password revokes the keys made before, unless they are to be kept", async () => {
  await using api = new Api(database);
  const person = await somebody(api);
  const { key } = await keyOf(person);
  const status = async () => (await api.bearing(key).get("/events")).status;
  const change = (password: string, newPassword: string, more: object = {}) =>
    person.client.post("/auth/password", { password, newPassword, ...more });
  const [second, third] = ["a murmuration of starlings", "a parliament of owls"] as const;
  assert.equal((await change(PASSWORD, second, { keepApiKeys: true })).status, 204);
  assert.equal(await status(), 200);
  assert.equal((await person.client.post("/api-keys", newKey())).status, 201);
  assert.equal((await change(second, third)).status, 204);
  assert.equal(await status(), 401);
  assert.deepEqual((await person.client.get("/api-keys")).body.items, []);
});

Deno.test("signing out everywhere leaves keys, which are no sessions", async () => {
  await using api = new Api(database);
  const person = await somebody(api);
  const { key } = await keyOf(person);
  assert.equal((await person.client.post("/auth/logout-everywhere")).status, 204);
  assert.equal((await api.bearing(key).get("/events")).status, 200);
});
