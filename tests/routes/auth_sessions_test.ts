/** Signing in, staying in, and getting out. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import {
  ACCESS_MS,
  DAY_MS,
  RETRY_APART_MS,
  RETRY_MS,
  SESSION_IDLE_MS,
  SESSION_MS,
  SESSIONS_MAX,
} from "../../actors/user/state.ts";
import { type Answer, Api, assertProblem } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { PASSWORD, personOf, refresh, signIn, somebody, verified } from "../support/people.ts";

const database = await databaseOfThisFile();

const ENDED = "/problems/user/session-ended";
const WRONG = "/problems/user/wrong-credentials";

async function isLetIn(api: Api, accessToken: string): Promise<boolean> {
  const { status } = await api.bearing(accessToken).get("/users/me");
  assert(status === 200 || status === 401, String(status));
  return status === 200;
}

async function acts(userId: string): Promise<string[]> {
  const { rows } = await sql<{ act: string; outcome: string }>`
    select act, outcome from audit where subject = ${`user/${userId}`} order by id`
    .execute(database.db);
  return rows.map(({ act, outcome }) => `${act}: ${outcome}`);
}

function assertTokens({ status, body, headers, text }: Answer): void {
  assert.equal(status, 200, text);
  assert.equal(headers.get("cache-control"), "private, no-store");
  assert.equal(body.expiresIn, ACCESS_MS / 1_000);
}

Deno.test("who signs in is known by the token, until that ends", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  const answer = await signIn(api, email.toUpperCase());
  assertTokens(answer);
  const { accessToken, userId } = answer.body;
  const me = await api.bearing(accessToken).get("/users/me");
  assert.equal(me.status, 200);
  assert.deepEqual([me.body.id, me.body.email, me.body.roles], [userId, email, ["user"]]);
  api.advance(ACCESS_MS + 60_000);
  assert.equal(await isLetIn(api, accessToken), false);
});

Deno.test("a session goes on by its refresh tokens, each of them good once", async () => {
  await using api = new Api(database);
  const { refreshToken, sessionId } = await somebody(api);
  let newest = refreshToken;
  const shown = new Set([newest]);
  for (let turn = 0; turn < 5; turn++) {
    const answer = await refresh(api, newest);
    assertTokens(answer);
    assert.equal(answer.body.sessionId, sessionId);
    assert(await isLetIn(api, answer.body.accessToken));
    newest = answer.body.refreshToken;
    assert(!shown.has(newest));
    shown.add(newest);
  }
});

Deno.test("a refresh token that comes back ends its session, and no other of its user", async () => {
  await using api = new Api(database);
  const { email, id, refreshToken, accessToken, sessionId } = await somebody(api);
  const other = await personOf(api, email);
  const next = (await refresh(api, refreshToken)).body;
  api.advance(RETRY_MS + RETRY_APART_MS + 1);
  assertProblem(await refresh(api, refreshToken), 401, ENDED);

  assertProblem(await refresh(api, next.refreshToken), 401, ENDED);
  for (const token of [accessToken, next.accessToken]) {
    assert.equal(await isLetIn(api, token), false);
  }
  assert(await isLetIn(api, other.accessToken));
  assertTokens(await refresh(api, other.refreshToken));
  assert.equal((await acts(id)).filter((act) => act === "token reused: refused").length, 1);
  const { rows } = await sql<{ data: { because: string; sessionIds: string[] } }>`
    select data from event where kind = 'user' and key = ${id} and type = 'SessionsEnded'`
    .execute(database.db);
  assert.deepEqual(rows.map(({ data }) => [data.because, data.sessionIds]), [
    ["token-reused", [sessionId]],
  ]);
});

Deno.test("an older token than the one before ends the session, however soon it comes", async () => {
  await using api = new Api(database);
  const { refreshToken } = await somebody(api);
  const second = (await refresh(api, refreshToken)).body.refreshToken;
  const third = (await refresh(api, second)).body.refreshToken;
  assertProblem(await refresh(api, refreshToken), 401, ENDED);
  assertProblem(await refresh(api, third), 401, ENDED);
});

Deno.test("a retry within seconds gets the same token again, and is no theft", async () => {
  await using api = new Api(database);
  const { refreshToken } = await somebody(api);
  const first = await refresh(api, refreshToken);
  api.advance(RETRY_MS / 2);
  const again = await refresh(api, refreshToken);
  assertTokens(again);
  assert.equal(again.body.refreshToken, first.body.refreshToken);
  assertTokens(await refresh(api, again.body.refreshToken));
});

Deno.test("a retry is no theft to a node whose clock is ahead", async () => {
  await using api = new Api(database);
  await using ahead = api.anotherNode();
  ahead.advance(15_000);
  const { refreshToken } = await somebody(api);
  const first = await refresh(api, refreshToken);
  const again = await refresh(ahead, refreshToken);
  assertTokens(again);
  assert.equal(again.body.refreshToken, first.body.refreshToken);
  assertTokens(await refresh(api, again.body.refreshToken));
});

Deno.test("of twenty who refresh at once one does it, and all go on with what that one got", async () => {
  await using api = new Api(database);
  const { id, refreshToken } = await somebody(api);
  const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(api, refreshToken)));
  for (const answer of answers) assertTokens(answer);
  const next = new Set(answers.map(({ body }) => body.refreshToken));
  assert.equal(next.size, 1);
  const { rows } = await sql`
    select from event where kind = 'user' and key = ${id} and type = 'SessionRefreshed'`
    .execute(database.db);
  assert.equal(rows.length, 1);
  assertTokens(await refresh(api, [...next][0]!));
});

Deno.test("what was never given out refreshes nothing, and ends nothing", async () => {
  await using api = new Api(database);
  const { refreshToken, accessToken } = await somebody(api);
  const bytes = Uint8Array.fromBase64(refreshToken.slice(4), { alphabet: "base64url" });
  for (const at of [0, 20, 35, 50, 83]) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    const forged = `trr_${changed.toBase64({ alphabet: "base64url" })}`;
    assertProblem(await refresh(api, forged), 401, ENDED);
  }
  for (const garbage of ["", "trr_", "a.b.c", `${refreshToken}A`, "trr_" + "!".repeat(112)]) {
    assertProblem(await refresh(api, garbage), 401, ENDED);
  }
  assert(await isLetIn(api, accessToken));
  assertTokens(await refresh(api, refreshToken));
});

Deno.test("a session ends when nobody has refreshed it for a week", async () => {
  await using api = new Api(database);
  const { refreshToken } = await somebody(api);
  api.advance(SESSION_IDLE_MS - 1_000);
  const next = await refresh(api, refreshToken);
  assertTokens(next);
  api.advance(SESSION_IDLE_MS + 1_000);
  assertProblem(await refresh(api, next.body.refreshToken), 401, ENDED);
});

Deno.test("a session ends after thirty days, however often it was refreshed", async () => {
  await using api = new Api(database);
  const { refreshToken } = await somebody(api);
  let newest = refreshToken;
  for (let day = 0; day < SESSION_MS / DAY_MS; day += 5) {
    const answer = await refresh(api, newest);
    assertTokens(answer);
    newest = answer.body.refreshToken;
    api.advance(5 * DAY_MS);
  }
  assertProblem(await refresh(api, newest), 401, ENDED);
});

Deno.test("who signs out is out at once, and only there", async () => {
  await using api = new Api(database);
  const here = await somebody(api);
  const there = await personOf(api, here.email);
  assert.equal((await here.client.post("/auth/logout")).status, 204);
  assert.equal(await isLetIn(api, here.accessToken), false);
  assertProblem(await refresh(api, here.refreshToken), 401, ENDED);
  assert(await isLetIn(api, there.accessToken));
  assert((await acts(here.id)).includes("sign out: done"));
});

Deno.test("who signs out everywhere is out everywhere", async () => {
  await using api = new Api(database);
  const first = await somebody(api);
  const others = [await personOf(api, first.email), await personOf(api, first.email)];
  assert.equal((await first.client.post("/auth/logout-everywhere")).status, 204);
  for (const { accessToken, refreshToken } of [first, ...others]) {
    assert.equal(await isLetIn(api, accessToken), false);
    assertProblem(await refresh(api, refreshToken), 401, ENDED);
  }
  assert((await acts(first.id)).includes("sign out everywhere: done"));
  assert(await isLetIn(api, (await personOf(api, first.email)).accessToken));
});

Deno.test("a token that an operator made is of no session, and of no account", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  assertProblem(await alice.post("/auth/logout"), 409, "/problems/user/no-session");
  assertProblem(await alice.post("/auth/logout-everywhere"), 404, "/problems/user/no-account");
  assertProblem(await alice.get("/users/me"), 404, "/problems/user/no-account");
  assertProblem(
    await alice.patch("/users/me", { profile: { displayName: "Alice" } }),
    404,
    "/problems/user/no-account",
  );
});

Deno.test("sessions are listed to whose they are, and ended one by one", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  const device = "Ada's telephone";
  const signedIn = await api.bearing(undefined).post("/auth/login", {
    email,
    password: PASSWORD,
    device,
  });
  const here = await personOf(api, email);
  const { items } = (await here.client.get("/users/me/sessions")).body;
  assert.deepEqual(
    items.map(({ id, device, isCurrent }: Record<string, unknown>) => [id, device, isCurrent]),
    [[signedIn.body.sessionId, device, false], [here.sessionId, undefined, true]],
  );
  const path = `/users/me/sessions/${signedIn.body.sessionId}`;
  const stranger = await somebody(api);
  const NONE = "/problems/user/no-such-session";
  assertProblem(await stranger.client.delete(path), 404, NONE);
  assert(await isLetIn(api, signedIn.body.accessToken), "nobody ends what is another's");
  assert.equal((await here.client.delete(path)).status, 204);
  assert.equal(await isLetIn(api, signedIn.body.accessToken), false);
  assertProblem(await here.client.delete(path), 404, NONE);
});

Deno.test("of too many sessions the one that was used least of late goes", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  const people = [];
  for (let count = 0; count < SESSIONS_MAX; count++) {
    people.push(await personOf(api, email));
    api.advance(1_000);
  }
  await refresh(api, people[0]!.refreshToken);
  await personOf(api, email);
  const areIn = await Promise.all(people.map(({ accessToken }) => isLetIn(api, accessToken)));
  assert.deepEqual(areIn, people.map((_, index) => index !== 1));
});

Deno.test("a new password ends every other session, and the old one is good no more", async () => {
  await using api = new Api(database);
  const here = await somebody(api);
  const there = await personOf(api, here.email);
  const newPassword = "a murmuration of starlings";
  const wrong = { password: "not the right one", newPassword };
  assertProblem(await here.client.post("/auth/password", wrong), 401, WRONG);
  const changed = await here.client.post("/auth/password", { password: PASSWORD, newPassword });
  assert.equal(changed.status, 204, changed.text);
  assert(await isLetIn(api, here.accessToken));
  assert.equal(await isLetIn(api, there.accessToken), false);
  assertProblem(await refresh(api, there.refreshToken), 401, ENDED);
  assertTokens(await refresh(api, here.refreshToken));
  assertProblem(await signIn(api, here.email), 401, WRONG);
  assertTokens(await signIn(api, here.email, newPassword));
  const changes = (await acts(here.id)).filter((act) => act.startsWith("password change"));
  assert.deepEqual(changes, ["password change: refused", "password change: done"]);
});

Deno.test("a burst of guesses at the old password is no way past the pause", async () => {
  await using api = new Api(database);
  const { email, client } = await somebody(api);
  const newPassword = "a murmuration of starlings";
  const guesses = Array.from({ length: 40 }, () => "not the right one");
  const answers = await Promise.all([...guesses, PASSWORD].map((password) => {
    return client.post("/auth/password", { password, newPassword });
  }));
  for (const answer of answers) assertProblem(answer, 401, WRONG);
  api.advance(15 * 60_000);
  assert.equal((await signIn(api, email)).status, 200, "nothing has changed");
});

Deno.test("guesses at the old password count as those at a sign-in", async () => {
  await using api = new Api(database, { rateLimits: "login=4/h" });
  const { email, client } = await somebody(api);
  const body = { password: "not the right one", newPassword: "a murmuration of starlings" };
  const statuses = [];
  for (let guess = 0; guess < 3; guess++) {
    statuses.push((await client.post("/auth/password", body)).status);
  }
  // Verifying the address and signing in have been counted before.
  assert.deepEqual(statuses, [401, 401, 429]);
  assert.equal((await signIn(api, email)).status, 429);
});
