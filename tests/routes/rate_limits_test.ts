/** How often one may ask: who counts as one, what one hears of it, and what is no way around it. */
import assert from "node:assert/strict";
import { type Answer, Api, assertProblem, eventually } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { PASSWORD, somebody, verified } from "../support/people.ts";

const database = await databaseOfThisFile();
const TOO_MANY = "/problems/too-many-requests";

const me = "/accounts/me";
const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status);

async function times(count: number, ask: (time: number) => Promise<Answer>): Promise<Answer[]> {
  const answers = [];
  for (let time = 0; time < count; time++) answers.push(await ask(time));
  return answers;
}

Deno.test("whoever asks too often is told so, how often one may and when to come back", async () => {
  await using api = new Api(database, { rateLimits: "general=3/h" });
  const ana = api.as("ana");
  const answers = await times(5, () => ana.get(me));
  assert.deepEqual(statuses(answers), [200, 200, 200, 429, 429]);
  assertProblem(answers[3]!, 429, TOO_MANY);
  const seconds = answers[3]!.headers.get("retry-after")!;
  assert.match(seconds, /^3[56][0-9]{2}$/);
  assert.equal(answers[3]!.body.detail, `There may be 3 in 3600 s; the next in ${seconds} s`);
  for (const { headers } of answers) {
    assert.equal(headers.get("ratelimit-policy"), '"general";q=3;w=3600');
    assert.match(headers.get("ratelimit")!, /^"general";r=[0-3];t=3[56][0-9]{2}$/);
  }
  const remaining = answers.map(({ headers }) => /r=(\d)/.exec(headers.get("ratelimit")!)![1]);
  assert.deepEqual(remaining, ["2", "1", "0", "0", "0"]);
  assert.equal((await api.as("ben").get(me)).status, 200, "another is not held up by it");
});

Deno.test("each limit counts by itself, refusals count too, and their answers say so as well", async () => {
  await using api = new Api(database, { rateLimits: "trading=3/h" });
  const [cho, visitor] = [api.as("cho", "trader"), api.as("visitor")];
  const answers = [
    await cho.post("/accounts/deposits", { amount: "5.00", currency: "USD" }),
    await cho.post("/accounts/deposits", { amount: "nothing", currency: "USD" }),
    await cho.post("/accounts/withdrawals", { amount: "900.00", currency: "USD" }),
    await cho.post("/accounts/withdrawals", { amount: "1.00", currency: "USD" }),
    await visitor.post("/accounts/deposits", { amount: "1.00", currency: "USD" }),
  ];
  assert.deepEqual(statuses(answers), [200, 400, 409, 429, 403]);
  for (const { headers } of answers) {
    assert.equal(headers.get("ratelimit-policy"), '"trading";q=3;w=3600');
  }
  const { status, headers } = await cho.get(me);
  assert.equal(status, 200);
  assert.equal(headers.get("ratelimit-policy"), '"general";q=100;w=60');
});

Deno.test("what is not read is not waited for: a refusal comes before the body", async () => {
  await using api = new Api(database, { rateLimits: "trading=1/h" });
  const dan = api.as("dan", "trader");
  await dan.post("/accounts/deposits", { amount: "5.00", currency: "USD" });
  const endless = new ReadableStream({ pull: () => new Promise<void>(() => {}) });
  const answer = await dan.send("POST", "/accounts/deposits", endless, {
    "content-type": "application/json",
  });
  assertProblem(answer, 429, TOO_MANY);
});

Deno.test("without limits nothing is said of any", async () => {
  await using api = new Api(database);
  const { status, headers } = await api.as("eve").get(me);
  assert.equal(status, 200);
  assert.equal(headers.get("ratelimit"), null);
  assert.equal(headers.get("ratelimit-policy"), null);
});

/** Asks from an address, with further headers. */
async function from(
  api: Api,
  address: string,
  { path = `/api/v1${me}`, method = "GET", headers = {}, body }: {
    readonly path?: string;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: object;
  } = {},
): Promise<Response> {
  const peer = { remoteAddress: address, isLeaving: false };
  const request = body === undefined ? { method, headers } : {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await api.http.request(`http://localhost${path}`, request, { peer });
  await response.body?.cancel();
  return response;
}

Deno.test("strangers count by their address; whoever comes from there with a token that holds does not", async () => {
  await using api = new Api(database, { rateLimits: "general=3/h" });
  const forged = { authorization: "Bearer a.b.c" };
  const answers = [
    await from(api, "192.0.2.1"),
    await from(api, "192.0.2.1", { headers: forged }),
    await from(api, "192.0.2.1", { path: "/api/v1/none" }),
    await from(api, "192.0.2.1", { headers: forged }),
    await from(api, "192.0.2.1"),
    await from(api, "192.0.2.2"),
  ];
  assert.deepEqual(answers.map(({ status }) => status), [401, 401, 401, 429, 429, 401]);
  assert(answers[3]!.headers.has("retry-after"));
  assert.match(answers[3]!.headers.get("x-correlation-id") ?? "none", /^[0-9a-f-]{36}$/);
  const authorization = `Bearer ${await api.token({ sub: "fay" })}`;
  assert.equal((await from(api, "192.0.2.1", { headers: { authorization } })).status, 200);
});

Deno.test("no header, spelling or address of one's own network makes a stranger another", async () => {
  await using api = new Api(database, {
    rateLimits: "general=2/h",
    trustedProxies: "10.0.0.0/8",
  });
  await from(api, "192.0.2.1");
  await from(api, "192.0.2.1");
  for (
    const headers of [
      { "x-forwarded-for": "198.51.100.1" },
      { "x-forwarded-for": "10.0.0.1, 198.51.100.1" },
      { "x-real-ip": "198.51.100.1" },
      { forwarded: "for=198.51.100.1" },
      { "x-forwarded-host": "elsewhere", "x-original-url": "/health/live" },
      { "cf-connecting-ip": "198.51.100.1", "true-client-ip": "198.51.100.1" },
      { authorization: "Bearer a.b.c", "x-correlation-id": crypto.randomUUID() },
    ]
  ) {
    const { status } = await from(api, "192.0.2.1", { headers });
    assert.equal(status, 429, JSON.stringify(headers));
  }
  assert.equal((await from(api, "::ffff:192.0.2.1")).status, 429);
  // Behind a proxy, the last hop that is not one.
  const through = (hops: string) => from(api, "10.0.0.1", { headers: { "x-forwarded-for": hops } });
  for (const spoof of ["", "1.2.3.4, ", "1.2.3.4, 5.6.7.8, ", "10.0.0.9, ", "x, ", ","]) {
    assert.equal((await through(`${spoof}192.0.2.1`)).status, 429, spoof);
  }
  assert.equal((await through("192.0.2.1, 198.51.100.9")).status, 401);
  // A whole /64 is one.
  const fromNetwork = await Promise.all(
    Array.from({ length: 20 }, (_, index) => from(api, `2001:db8:1:2:${index}::${index}`)),
  );
  assert.equal(fromNetwork.filter(({ status }) => status === 401).length, 2);
  assert.equal((await from(api, "2001:db8:1:3::1")).status, 401);
});

Deno.test("no spelling of a path, and no method, is served once the limit is reached", async () => {
  await using api = new Api(database, { rateLimits: "general=2/h" });
  const authorization = `Bearer ${await api.token({ sub: `gil-${crypto.randomUUID()}` })}`;
  const ask = (path: string, method = "GET", headers = {}) =>
    from(api, "192.0.2.77", { path, method, headers: { authorization, ...headers } });
  assert.equal((await ask("/api/v1/accounts/me")).status, 200);
  assert.equal((await ask("/api/v1/accounts/me")).status, 200);
  for (
    const path of [
      "/api/v1/accounts/me",
      "/api/v1/accounts/me/",
      "/api/v1//accounts/me",
      "//api/v1/accounts/me",
      "/api/v1/accounts/%6de",
      "/api/v1/accounts/m%65",
      "/api/v1/accounts/me?",
      "/api/v1/accounts/me?accountId=",
      "/api/v1/accounts/me#x",
      "/api/v1/./accounts/me",
      "/api/v1/x/%2e%2e/accounts/me",
      "/api/v1/accounts/me%20",
      "/api/v1/Accounts/me",
      "/API/v1/accounts/me",
      "/api/v1/accounts/me;x=1",
    ]
  ) {
    for (const method of ["GET", "HEAD"]) {
      const { status } = await ask(path, method);
      assert([400, 404, 429].includes(status), `${method} ${path} is answered ${status}`);
    }
  }
  for (const name of ["x-http-method-override", "x-original-url", "x-rewrite-url"]) {
    assert.equal((await ask("/api/v1/accounts/me", "GET", { [name]: "/x" })).status, 429);
  }
  assert.equal((await ask("/api/v1/accounts/me", "HEAD")).status, 429);
});

Deno.test("nothing is asked for without being counted: no page, and not what is not there", async (t) => {
  const unheard = [
    ["GET", "/docs"],
    ["HEAD", "/docs"],
    ["GET", "/docs/swagger-ui-bundle.js"],
    ["GET", "/docs/start.js"],
    ["GET", "/openapi.json"],
    ["GET", "/nowhere"],
    ["POST", "/nowhere"],
    ["DELETE", "/health/live"],
  ] as const;
  await using api = new Api(database, { rateLimits: "general=2/h" });
  for (const [place, [method, path]] of unheard.entries()) {
    await t.step(`${method} ${path}`, async () => {
      const address = `192.0.2.${100 + place}`;
      const answers = [];
      for (let time = 0; time < 3; time++) answers.push(await from(api, address, { path, method }));
      const [first, second, third] = answers.map(({ status }) => status);
      assert.notEqual(first, 429);
      assert.equal(second, first);
      assert.equal(third, 429);
      assert(answers[2]!.headers.has("retry-after"));
    });
  }
  await t.step("whoever is known counts as who they are, wherever they come from", async () => {
    const authorization = `Bearer ${await api.token({ sub: `jo-${crypto.randomUUID()}` })}`;
    const ask = (address: string) =>
      from(api, address, { path: "/api/v1/none", headers: { authorization } });
    const answers = [await ask("192.0.2.91"), await ask("192.0.2.92"), await ask("192.0.2.93")];
    assert.deepEqual(answers.map(({ status }) => status), [404, 404, 429]);
    assert.equal((await from(api, "192.0.2.91")).status, 401, "and not against the address");
  });
});

function madeUpKey(): string {
  const uuid = () => crypto.randomUUID().replaceAll("-", "");
  return `trp_${uuid()}${uuid()}_${"A".repeat(43)}`;
}

Deno.test("keys that are made up cost an address what it may ask, and the service no more than that", async () => {
  await using api = new Api(database, { rateLimits: "general=3/h" });
  const guess = () =>
    from(api, "192.0.2.1", { headers: { authorization: `Bearer ${madeUpKey()}` } });
  const before = api.system.residents;
  const answers = [];
  for (let time = 0; time < 20; time++) answers.push(await guess());
  assert.deepEqual(answers.map(({ status }) => status), [
    ...Array.from({ length: 3 }, () => 401),
    ...Array.from({ length: 17 }, () => 429),
  ]);
  assert.equal(answers[2]!.headers.get("ratelimit")?.slice(0, 13), '"general";r=0');
  assert.match(answers[9]!.headers.get("x-correlation-id") ?? "none", /^[0-9a-f-]{36}$/);
  assert(api.system.residents - before <= 3, "nobody is looked up for whoever is refused");
});

async function keyOf({ client }: Awaited<ReturnType<typeof somebody>>): Promise<string> {
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const asked = { name: "CI", scopes: ["events:read"], expiresAt };
  const answer = await client.post("/api-keys", asked);
  assert.equal(answer.status, 201, answer.text);
  return answer.body.key;
}

const authorizedBy = (credential: string) => ({
  path: "/api/v1/events",
  headers: { authorization: `Bearer ${credential}` },
});

Deno.test("a key that holds counts for its address once, and for its owner from then on", async () => {
  await using api = new Api(database, { rateLimits: "general=5/h" });
  const key = await keyOf(await somebody(api));
  const ask = (credential: string) => from(api, "192.0.2.1", authorizedBy(credential));
  // Of five for the owner, the key that was made took one.
  const ofOwner = await Promise.all(Array.from({ length: 4 }, () => ask(key)));
  assert.deepEqual(ofOwner.map(({ status }) => status), [200, 200, 200, 200]);
  assert.equal((await ask(key)).status, 429);
  const strangers = [];
  for (let time = 0; time < 5; time++) strangers.push(await ask(madeUpKey()));
  assert.deepEqual(strangers.map(({ status }) => status), [401, 401, 401, 401, 429]);
});

Deno.test("however many keys somebody has, all of them and the owner have one limit together", async () => {
  await using api = new Api(database, { rateLimits: "general=7/h" });
  const owner = await somebody(api);
  const keys = [await keyOf(owner), await keyOf(owner), await keyOf(owner)];
  const answers = [];
  for (const credential of [...keys, owner.accessToken, ...keys]) {
    answers.push(await from(api, "192.0.2.1", authorizedBy(credential)));
  }
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200, 429, 429, 429]);
});

Deno.test("a key has a limit of its own over all that it asks", async () => {
  await using api = new Api(database, { rateLimits: "api-key=2/h" });
  const owner = await somebody(api);
  const [busy, idle] = [await keyOf(owner), await keyOf(owner)];
  const answers = [];
  for (const credential of [busy, busy, busy, idle, owner.accessToken]) {
    answers.push(await from(api, "192.0.2.1", authorizedBy(credential)));
  }
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 429, 200, 200]);
  assert.equal(answers[2]!.headers.get("ratelimit-policy"), '"api-key";q=2;w=3600');
});

Deno.test("who guesses at an account from one address does not keep its owner out", async () => {
  await using api = new Api(database, { rateLimits: "login=4/h login-account=6/h" });
  const email = await verified(api);
  const path = "/api/v1/auth/login";
  const login = async (address: string, password: string) =>
    (await from(api, address, { path, body: { email, password } })).status;
  const guesses = [];
  for (let time = 0; time < 6; time++) guesses.push(await login("192.0.2.1", "a guess of mine"));
  assert.deepEqual(guesses, [401, 401, 401, 401, 429, 429]);
  assert.equal(await login("192.0.2.2", PASSWORD), 200);
  // That was five of six; from many addresses there are no more for all that.
  assert.equal(await login("192.0.2.3", PASSWORD), 200);
  assert.equal(await login("192.0.2.4", PASSWORD), 429);
});

Deno.test("who shows refresh tokens that never were does not keep his neighbours from theirs", async () => {
  await using api = new Api(database, { rateLimits: "refresh=3/h general=3/h" });
  const [ana, ben] = [await somebody(api), await somebody(api)];
  const path = "/api/v1/auth/refresh";
  const refresh = async (refreshToken: string) =>
    (await from(api, "192.0.2.1", { path, body: { refreshToken } })).status;
  const forged = `trr_${"A".repeat(112)}`;
  const statuses = [];
  for (let time = 0; time < 5; time++) statuses.push(await refresh(forged));
  assert.deepEqual(statuses, [401, 401, 401, 429, 429]);
  assert.equal(await refresh(ana.refreshToken), 200);
  // The same again within ten seconds is the same answer, and counts.
  assert.equal(await refresh(ana.refreshToken), 200);
  assert.equal(await refresh(ana.refreshToken), 200);
  assert.equal(await refresh(ana.refreshToken), 429);
  assert.equal(await refresh(ben.refreshToken), 200);
});

Deno.test("limits tighten while the service sheds", async () => {
  // Whatever the event loop is late by is too much, so it sheds within some intervals.
  await using api = new Api(database, {
    rateLimits: "general=1000/h",
    shedding: { loopTargetMs: 1e-9, least: Infinity },
  });
  const hal = api.as("hal");
  const until = performance.now() + 20_000;
  for (;;) {
    const { headers } = await hal.get(me);
    if (headers.get("ratelimit-policy") === '"general";q=500;w=3600') break;
    assert(performance.now() < until, `still ${headers.get("ratelimit-policy")}`);
    await new Promise<void>((resolve) => setTimeout(resolve, 100));
  }
});

Deno.test("refusals are told of, in sums", async () => {
  await using api = new Api(database, { rateLimits: "general=1/h" });
  const ida = api.as("ida");
  await times(5, () => ida.get(me));
  const told = () => api.observed.filter((event) => event.type === "limited");
  const sum = () => told().reduce((sum, { requests }) => sum + requests, 0);
  await eventually(() => sum() === 4);
  assert(told().every(({ limit }) => limit === "general"));
});
