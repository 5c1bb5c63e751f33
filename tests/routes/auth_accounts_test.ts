/** How accounts come to be, whom they let in, and what nobody learns of them. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { FAILURES_FREE, VERIFICATION_MS } from "../../actors/user/state.ts";
import {
  type Answer,
  Api,
  assertProblem,
  eventually,
  eventuallyEqual,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import {
  PASSWORD,
  personOf,
  refresh,
  signedUp,
  signIn,
  someAddress,
  somebody,
  tokenIn,
  verified,
} from "../support/people.ts";
import { forgedTokens } from "../security/forged_tokens.ts";
import { openTokenKeys } from "../../lib/http/token_keys.ts";

const database = await databaseOfThisFile();

const WRONG = "/problems/user/wrong-credentials";
const WRONG_TOKEN = "/problems/user/wrong-token";
const INVALID = "/problems/invalid-request";

function verify(api: Api, token: string, password = PASSWORD): Promise<Answer> {
  return api.bearing(undefined).post("/auth/verify", { token, password });
}

/** All but what is different for every request. */
function sameness({ status, body, headers }: Answer): unknown {
  const { instance: _, ...said } = body;
  const kept = [...headers].filter(([name]) => name !== "x-correlation-id");
  return { status, said, kept };
}

Deno.test("an account lets nobody in before its address is verified", async () => {
  await using api = new Api(database);
  const email = await signedUp(api);
  assertProblem(await signIn(api, email), 403, "/problems/user/not-verified");
  assertProblem(await signIn(api, email, "not the right one"), 401, WRONG);
  const token = tokenIn(api.letters.at(-1)!);
  assert.equal((await verify(api, token)).status, 204);
  assert.equal((await signIn(api, email)).status, 200);
  assertProblem(await verify(api, token), 422, WRONG_TOKEN);
});

Deno.test("an entity tag is nothing to those who sign up or in: no one thing was read", async () => {
  await using api = new Api(database);
  const anyone = api.bearing(undefined);
  const tagged = { "If-Match": '"999999"' };
  const body = { email: someAddress(), password: PASSWORD };
  assert.equal((await anyone.post("/auth/sign-up", body, tagged)).status, 202);
  assertProblem(await anyone.post("/auth/login", body, tagged), 403, "/problems/user/not-verified");
  assert.deepEqual(api.bugs, []);
});

Deno.test("a verification takes the token, the password that was chosen with it, and a day", async () => {
  await using api = new Api(database);
  await signedUp(api);
  const token = tokenIn(api.letters.at(-1)!);
  assertProblem(await verify(api, token, "another password"), 422, WRONG_TOKEN);
  const changed = token.slice(0, -1) + (token.endsWith("A") ? "B" : "A");
  for (const wrong of [changed, "", "trv_", token.slice(0, 36) + "_" + "A".repeat(43)]) {
    assertProblem(await verify(api, wrong), 422, WRONG_TOKEN);
  }
  api.advance(VERIFICATION_MS + 1_000);
  assertProblem(await verify(api, token), 422, WRONG_TOKEN);
});

Deno.test("who signs up before the owner of an address gets nothing by the owner's verifying it", async () => {
  await using api = new Api(database);
  const email = someAddress();
  const anyone = api.bearing(undefined);
  await anyone.post("/auth/sign-up", { email, password: "the attacker's choice" });
  await anyone.post("/auth/sign-up", { email, password: PASSWORD });
  await anyone.post("/auth/sign-up", { email, password: "the attacker's choice" });
  const letters = api.letters.filter(({ to }) => to === email);
  for (const letter of letters) {
    assertProblem(await verify(api, tokenIn(letter)), 422, WRONG_TOKEN);
  }
  await anyone.post("/auth/sign-up", { email, password: PASSWORD });
  assert.equal((await verify(api, tokenIn(api.letters.at(-1)!))).status, 204);
  assert.equal((await signIn(api, email)).status, 200);
});

Deno.test("of many who sign up with one address at once one account comes", async () => {
  await using api = new Api(database);
  await using other = api.anotherNode();
  const email = someAddress();
  await Promise.all([api, other, api, other].map((node) => signedUp(node, email)));
  const { rows } = await sql<{ key: string }>`
    select distinct key from event where kind = 'user' and data ->> 'email' = ${email}`
    .execute(database.db);
  assert.equal(rows.length, 1);
});

Deno.test("who asks learns nothing of whether there is such an account", async () => {
  await using api = new Api(database);
  const known = await verified(api);
  const unverified = await signedUp(api);
  const unknown = someAddress();
  const anyone = api.bearing(undefined);

  const answers = await Promise.all(
    [known, unverified, unknown].map((email) => signIn(api, email, "not the right one")),
  );
  for (const answer of answers) {
    assertProblem(answer, 401, WRONG);
    assert.deepEqual(sameness(answer), sameness(answers[0]!));
  }
  const signUps = await Promise.all(
    [known, unverified, unknown].map((email) => {
      return anyone.post("/auth/sign-up", { email, password: "a flock of flamingos" });
    }),
  );
  for (const answer of signUps) {
    assert.deepEqual(sameness(answer), sameness(signUps[0]!));
    assert.equal(answer.status, 202);
  }
  await eventually(() => api.letters.some(({ to }) => to === unknown));
  const toKnown = api.letters.findLast(({ to }) => to === known)!;
  assert.doesNotMatch(toKnown.text, /trv_/, "there is nothing to verify");
  assert.equal((await signIn(api, known)).status, 200, "and nothing has changed");
});

/** How often a request goes to the store for actors, and how many of them record something. */
async function costOf({ store }: Api, ask: () => Promise<Answer>) {
  const [loads, batches] = [store.loads.length, store.batches.length];
  await ask();
  const commits = store.batches.slice(batches).flat();
  return {
    trips: store.loads.slice(loads).flat().length + commits.length,
    recorded: commits.filter(({ events }) => events.length > 0).length,
  };
}

Deno.test("whoever is known and whoever is not costs as many commits, so that no clock tells them apart", async () => {
  await using api = new Api(database);
  const anyone = api.bearing(undefined);
  const signUp = (email: string) => () => {
    return anyone.post("/auth/sign-up", { email, password: "a flock of flamingos" });
  };
  const known = await verified(api);
  const unverified = await signedUp(api);
  const unknown = someAddress();
  for (const email of [unknown, known, unverified, known]) {
    assert.equal((await costOf(api, signUp(email))).recorded, 2, email);
  }

  for (const email of [known, unverified, someAddress()]) {
    const wrong = () => signIn(api, email, "not the right one");
    for (let guess = 0; guess < FAILURES_FREE; guess++) {
      assert.deepEqual(await costOf(api, wrong), { trips: 3, recorded: 1 }, `${email}, ${guess}`);
    }
    const inPause = await costOf(api, wrong);
    assert.deepEqual(inPause, { trips: 3, recorded: 0 }, `${email}, in the pause`);
  }
});

Deno.test("the audit names nobody who has not shown to be there", async () => {
  await using api = new Api(database);
  const email = await signedUp(api);
  const token = tokenIn(api.letters.at(-1)!);
  const id = token.slice(4, 36).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  await verify(api, `${token.slice(0, 37)}${"A".repeat(43)}`);
  await verify(api, token, "another password");
  await verify(api, token);
  assert.equal((await signIn(api, email)).status, 200);
  const { rows } = await sql<{ principal: string; outcome: string }>`
    select principal, outcome from audit
      where act = 'email verify' and subject = ${`user/${id}`} order by id`.execute(database.db);
  assert.deepEqual(rows.map(({ principal, outcome }) => [principal === id, outcome]), [
    [false, "refused"],
    [false, "refused"],
    [true, "done"],
  ]);
});

Deno.test("too many failures make a pause, in which the right password is as good as a wrong one", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  for (let failure = 0; failure < FAILURES_FREE; failure++) {
    assertProblem(await signIn(api, email, "not the right one"), 401, WRONG);
  }
  const right = await signIn(api, email);
  assertProblem(right, 401, WRONG);
  const unknown = await signIn(api, someAddress());
  assert.deepEqual(sameness(right), sameness(unknown));
  api.advance(6_000);
  assert.equal((await signIn(api, email)).status, 200);
  assertProblem(await signIn(api, email, "not the right one"), 401, WRONG);
  assert.equal((await signIn(api, email)).status, 200, "a success ends the row of failures");
});

Deno.test("a pause grows, and has an end", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  for (let failure = 0; failure < 20; failure++) {
    await signIn(api, email, "not the right one");
    api.advance(15 * 60_000);
  }
  assert.equal((await signIn(api, email)).status, 200);
});

const weak: readonly [why: string, password: string, message: RegExp][] = [
  ["seven characters", "abcdefg", /8 to 128/],
  ["seven emojis", "🐘".repeat(7), /8 to 128/],
  ["129 characters", "x".repeat(129), /8 to 128|Too big/],
  ["a common one", "password123", /common/],
  ["a common one in another case", "PassWord123", /common/],
  ["a common one in full width", "ｐａｓｓｗｏｒｄ１２３", /common/],
];

for (const [why, password, message] of weak) {
  Deno.test(`a password of ${why} is refused`, async () => {
    await using api = new Api(database);
    const body = { email: someAddress(), password };
    const answer = await api.bearing(undefined).post("/auth/sign-up", body);
    assertProblem(answer, 400, INVALID);
    assert.deepEqual(answer.body.errors[0].path, ["password"]);
    assert.match(answer.body.errors[0].message, message);
    assert(!answer.text.includes(password));
  });
}

Deno.test("a password is not the address it belongs to", async () => {
  await using api = new Api(database);
  const email = someAddress("elephants");
  for (const password of [email, email.toUpperCase(), email.split("@")[0]!]) {
    assertProblem(
      await api.bearing(undefined).post("/auth/sign-up", { email, password }),
      400,
      INVALID,
    );
  }
});

Deno.test("a long password counts to its last character, in whatever form it is typed", async () => {
  await using api = new Api(database);
  const email = someAddress();
  const anyone = api.bearing(undefined);
  const password = "é".repeat(127) + "a";
  await anyone.post("/auth/sign-up", { email, password });
  const token = tokenIn(api.letters.at(-1)!);
  assertProblem(await verify(api, token, "é".repeat(127) + "b"), 422, WRONG_TOKEN);
  assert.equal((await verify(api, token, password)).status, 204);
  const decomposed = "e\u0301".repeat(127) + "a";
  assert.equal((await signIn(api, email, decomposed)).status, 200);
});

Deno.test("what is no request of these routes is refused", async () => {
  await using api = new Api(database);
  const anyone = api.bearing(undefined);
  const bad: readonly [string, unknown][] = [
    ["/auth/sign-up", { email: "no address", password: PASSWORD }],
    ["/auth/sign-up", { email: someAddress(), password: PASSWORD, roles: ["admin"] }],
    ["/auth/sign-up", { email: someAddress() }],
    ["/auth/login", { email: someAddress(), password: 12345678 }],
    ["/auth/login", { email: [someAddress()], password: PASSWORD }],
    ["/auth/login", { email: someAddress(), password: PASSWORD, device: "a\nb" }],
    ["/auth/refresh", { refreshToken: null }],
    ["/auth/refresh", {}],
    ["/auth/verify", { token: "x".repeat(201), password: PASSWORD }],
  ];
  for (const [path, body] of bad) assertProblem(await anyone.post(path, body), 400, INVALID);
});

Deno.test("nothing that was secret lies in the store, or in the audit", async () => {
  await using api = new Api(database);
  const { email, refreshToken, accessToken, client } = await somebody(api);
  const token = tokenIn(api.letters.find(({ to }) => to === email)!);
  const scopes = ["events:read"];
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const { key } = (await client.post("/api-keys", { name: "CI", scopes, expiresAt }, {
    "idempotency-key": "once",
  })).body;
  await refresh(api, refreshToken);
  const { rows: [row] } = await sql<{ text: string }>`
    select concat((select string_agg(data::text, '') from event),
      (select string_agg(state::text, '') from snapshot),
      (select string_agg(outcome::text, '') from reply),
      (select string_agg(concat(principal, subject, detail), '') from audit)) as text`
    .execute(database.db);
  const { text } = row!;
  assert(text.includes("$argon2id$"));
  const secrets = [
    PASSWORD,
    refreshToken.slice(4),
    accessToken.split(".")[2]!,
    token.slice(-43),
    key.slice(-43),
  ];
  for (const secret of secrets) assert(!text.includes(secret), secret);
  const { rows } = await sql<{ text: string }>`
    select concat(principal, subject, detail) as text from audit`.execute(database.db);
  for (const { text } of rows) assert(!text.includes("@"), `the audit names nobody: ${text}`);
});

Deno.test("administrators list users, and nobody else does", async () => {
  await using api = new Api(database);
  const { id, email, client } = await somebody(api);
  const root = api.as("root", "admin");
  for (const caller of [client, api.as("olga", "organizer")]) {
    for (const path of ["/users", `/users/${id}`]) {
      assertProblem(await caller.get(path), 403, "/problems/forbidden");
    }
  }
  const roles = await setRoles(api, id, ["organizer"]);
  const listed = await root.get("/users?hasRole=organizer&status=active", since(roles));
  const item = listed.body.items.find((user: { id: string }) => user.id === id);
  const { registeredAt, ...rest } = item;
  assert.deepEqual(rest, { id, email, status: "active", roles: ["user", "organizer"] });
  assert(Date.parse(registeredAt) > 0);
  assert.deepEqual((await root.get(`/users/${id}`)).body, item);
  assertProblem(await root.get(`/users/${crypto.randomUUID()}`), 404, "/problems/user/not-found");
});

function setRoles(api: Api, id: string, roles: readonly string[]): Promise<Answer> {
  const json = { "content-type": "application/json" };
  return api.as("root", "admin").send("PUT", `/users/${id}/roles`, JSON.stringify({ roles }), json);
}

Deno.test("roles count from the next sign-in on, and the sessions before end at once", async () => {
  await using api = new Api(database);
  const before = await somebody(api);
  assertProblem(await before.client.post("/events", {}), 403, "/problems/forbidden");
  assert.equal((await setRoles(api, before.id, ["organizer"])).status, 200);
  assert.equal((await before.client.get("/users/me")).status, 401);
  const after = await personOf(api, before.email);
  assertProblem(await after.client.post("/events", {}), 400, INVALID);
  assert.equal((await setRoles(api, before.id, [])).status, 200);
  assert.equal((await after.client.get("/users/me")).status, 401);
});

Deno.test("who is disabled is out, and stays so until enabled", async () => {
  await using api = new Api(database);
  const person = await somebody(api);
  const root = api.as("root", "admin");
  const path = `/users/${person.id}`;
  assert.equal((await root.post(`${path}/disable`)).body.status, "disabled");
  assert.equal((await person.client.get("/users/me")).status, 401);
  assert.equal((await refresh(api, person.refreshToken)).status, 401);
  assertProblem(await signIn(api, person.email), 403, "/problems/user/disabled");
  assertProblem(await signIn(api, person.email, "not the right one"), 401, WRONG);
  assert.equal((await root.post(`${path}/enable`)).body.status, "active");
  assert.equal((await signIn(api, person.email)).status, 200);
  assert.equal((await person.client.get("/users/me")).status, 401, "old sessions stay ended");
});

Deno.test("nobody decides on their own account", async () => {
  await using api = new Api(database);
  const { id, email } = await somebody(api);
  await setRoles(api, id, ["admin"]);
  const admin = await personOf(api, email);
  for (const act of ["disable", "enable"]) {
    const answer = await admin.client.post(`/users/${id}/${act}`);
    assertProblem(answer, 409, "/problems/user/not-oneself");
  }
  const json = { "content-type": "application/json" };
  const own = JSON.stringify({ roles: [] });
  const answer = await admin.client.send("PUT", `/users/${id}/roles`, own, json);
  assertProblem(answer, 409, "/problems/user/not-oneself");
});

Deno.test("profile, preferences and settings change in part, and null takes away", async () => {
  await using api = new Api(database);
  const { client } = await somebody(api);
  const first = await client.patch("/users/me", {
    profile: { displayName: "Ada", about: "Counts" },
    preferences: { locale: "de-CH", timeZone: "Europe/Zurich", theme: "dark" },
    settings: { mailNotices: false },
  });
  assert.equal(first.status, 200, first.text);
  const second = await client.patch("/users/me", {
    profile: { about: null },
    settings: { mailReminders: true },
  });
  assert.deepEqual(second.body, (await client.get("/users/me")).body);
  const { profile, preferences, settings } = second.body;
  assert.deepEqual([profile, preferences, settings], [
    { displayName: "Ada" },
    { locale: "de-CH", timeZone: "Europe/Zurich", theme: "dark" },
    { mailNotices: false, mailReminders: true },
  ]);
  const bad = [
    { preferences: { locale: "no such_tag" } },
    { preferences: { timeZone: "Mars/Olympus" } },
    { preferences: { theme: "pink" } },
    { profile: { displayName: "a\u0007b" } },
    { roles: ["admin"] },
    { email: "eve@example.org" },
    { profile: { role: "admin" } },
  ];
  for (const body of bad) assertProblem(await client.patch("/users/me", body), 400, INVALID);
});

Deno.test("every forged or broken token is refused, and kept once each", async () => {
  await using api = new Api(database);
  const keys = await openTokenKeys({ secrets: [new Uint8Array(32).fill(7)], dataDir: "" });
  const now = Math.floor(Date.now() / 1_000);
  const corpus = await forgedTokens({ keys, issuer: "troupe", audience: "troupe", now });
  const kept = async () => {
    const { rows: [row] } = await sql<{ denials: string | null }>`
      select sum((detail ->> 'denials')::int)::text as denials from audit
      where act = 'token denied'`.execute(database.db);
    return Number(row!.denials);
  };
  const anyone = api.bearing(undefined);
  const before = await kept();
  let shown = 0;
  for (const [name, authorization] of Object.entries(corpus)) {
    for (const path of ["/users/me", "/events"]) {
      const answer = await anyone.send("GET", path, undefined, { authorization });
      assert.equal(answer.status, 401, name);
      shown++;
    }
  }
  await eventuallyEqual(kept, before + shown);
});

Deno.test("anybody may fetch the keys that tokens are verified with", async () => {
  await using api = new Api(database);
  const { status, body, headers } = await api.bearing(undefined).get("/.well-known/jwks.json");
  assert.equal(status, 200);
  assert.equal(headers.get("cache-control"), "private, max-age=300");
  assert.equal(body.keys.length, 1);
  assert(!("d" in body.keys[0]));
});
