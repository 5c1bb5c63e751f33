/** What accounts hold to that no route says: no defaults, no rules for passwords but length, one letter. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import { PasswordHashing } from "../../lib/passwords/hashing.ts";
import { Api, assertProblem } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { PASSWORD, personOf, signIn, someAddress, tokenIn, verified } from "../support/people.ts";

const database = await databaseOfThisFile();

const INVALID = "/problems/invalid-request";
const YEAR_MS = 366 * 86_400_000;

Deno.test("a new service has no accounts, and none of the usual names sign in", async () => {
  await using api = new Api(database);
  const { status, body } = await api.as("root", "admin").get("/users");
  assert.equal(status, 200);
  assert.deepEqual(body.items, []);
  for (const name of ["admin", "root", "troupe", "administrator", "test", "user"]) {
    for (const password of [name, "admin", "password", "changeme", ""]) {
      const email = `${name}@example.org`;
      const answer = await api.bearing(undefined).post("/auth/login", { email, password });
      assert([400, 401].includes(answer.status), answer.text);
    }
  }
});

/** None of them popular; of one sort of character each, or of many. */
const passwords = [
  "lowercaseonlyelephants",
  "UPPERCASEONLYELEPHANTS",
  "90417720485126663071",
  "!§$%&/()=?{[]}~+*#'",
  "        eight spaces and more        ",
  "parapluie d'éléphants",
  "слоны под зонтиком",
  "象の傘の下で眠る",
  "🐘☂️🐘☂️🐘☂️🐘☂️",
  "\ttabs\tand\nlines",
  "'; drop table event; --",
  `${"long ".repeat(12)}word`,
  "x7".repeat(64),
];

Deno.test("a password may be of any characters, and counts with all of them as they are", async () => {
  await using api = new Api(database);
  for (const password of passwords) {
    const email = someAddress();
    const anyone = api.bearing(undefined);
    const asked = await anyone.post("/auth/sign-up", { email, password });
    assert.equal(asked.status, 202, `${password}: ${asked.text}`);
    const token = tokenIn(api.letters.findLast(({ to }) => to === email)!);
    assert.equal((await anyone.post("/auth/verify", { token, password })).status, 204);
    const others = [
      password.slice(0, -1),
      `${password} `,
      password.trim(),
      password.toLowerCase(),
      password.toUpperCase(),
      password.slice(0, 72),
      password.slice(0, 64),
    ];
    for (const other of new Set(others)) {
      if (other === password) continue;
      assert.equal((await signIn(api, email, other)).status, 401, `${other} for ${password}`);
      // Failures in a row make a pause, which is not what this is about.
      api.advance(YEAR_MS);
    }
    assert.equal((await signIn(api, email, password)).status, 200, password);
  }
});

Deno.test("a password does not end by itself", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  for (let year = 0; year < 5; year++) {
    api.advance(YEAR_MS);
    assert.equal((await signIn(api, email)).status, 200);
  }
});

Deno.test("each sign-in gives tokens of its own", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  const answers: Readonly<Record<string, unknown>>[] = [];
  for (let n = 0; n < 10; n++) answers.push((await signIn(api, email)).body);
  for (const name of ["accessToken", "refreshToken", "sessionId"]) {
    const given = answers.map((body) => body[name]);
    assert.equal(new Set(given).size, given.length, name);
  }
});

/** Of what the platform's generator gives while `use` runs, in hexadecimal digits. */
async function drawnIn(use: () => Promise<unknown>): Promise<ReadonlySet<string>> {
  const drawn = new Set<string>();
  const { getRandomValues } = crypto;
  crypto.getRandomValues = <T extends ArrayBufferView>(array: T): T => {
    getRandomValues.call(crypto, array);
    const { buffer, byteOffset, byteLength } = array;
    drawn.add(new Uint8Array(buffer, byteOffset, byteLength).toHex());
    return array;
  };
  try {
    await use();
  } finally {
    crypto.getRandomValues = getRandomValues;
  }
  return drawn;
}

const BITS_LEAST = 128;
/** Where its seal begins. */
const REFRESH_CONTENT_BYTES = 52;

/** What is secret of each, as bytes: all else of it is ids. */
const secretIn: Readonly<Record<string, (text: string) => Uint8Array>> = {
  "a refresh token": (text) =>
    bytesIn(text.replace(/^trr_/, "")).slice(REFRESH_CONTENT_BYTES - 16, REFRESH_CONTENT_BYTES),
  "an API key": (text) => bytesIn(text.replace(/^trp_[0-9a-f]{64}_/, "")),
  "a code in a letter": (text) => bytesIn(text.replace(/^trv_[0-9a-f]{32}_/, "")),
  "the secret of a webhook": (text) => bytesIn(text.replace(/^whsec_/, "")),
};

function bytesIn(text: string): Uint8Array {
  return Uint8Array.from(
    atob(text.replaceAll("-", "+").replaceAll("_", "/")),
    (c) => c.charCodeAt(0),
  );
}

Deno.test("what lets somebody in holds 128 bits or more that the platform's generator drew for it alone", async () => {
  const webhooks = { allowedHosts: ["sink.test"], resolve: () => Promise.resolve(["127.0.0.1"]) };
  await using api = new Api(database, { webhooks });
  const given: [what: string, text: string][] = [];
  const drawn = await drawnIn(async () => {
    const expiresAt = new Date(Date.now() + YEAR_MS / 2).toISOString();
    for (let n = 0; n < 3; n++) {
      const email = await verified(api);
      const { accessToken, refreshToken } = (await signIn(api, email)).body;
      const client = api.bearing(accessToken);
      const key = await client.post("/api-keys", {
        name: "CI",
        scopes: ["events:read"],
        expiresAt,
      });
      const organizer = api.as(`otto-${n}`, "organizer");
      const endpoint = { url: `http://sink.test:1/${n}`, types: ["live_event.published"] };
      const webhook = await organizer.post("/webhooks", endpoint);
      assert.deepEqual([key.status, webhook.status], [201, 201], webhook.text);
      given.push(
        ["a refresh token", refreshToken],
        ["an API key", key.body.key],
        ["a code in a letter", tokenIn(api.letters.findLast(({ text }) => text.includes("trv_"))!)],
        ["the secret of a webhook", webhook.body.secret],
      );
    }
  });
  const used = new Set<string>();
  for (const [what, text] of given) {
    const secret = secretIn[what]!(text);
    assert(secret.length * 8 >= BITS_LEAST, `${what} holds ${secret.length} bytes`);
    assert(drawn.has(secret.toHex()), `${what} is made of something else`);
    used.add(secret.toHex());
  }
  assert.equal(used.size, given.length);
});

Deno.test("signing in again ends no other session, and leaves each its own", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  const first = await personOf(api, email);
  const second = await personOf(api, email);
  assert.notEqual(second.sessionId, first.sessionId);
  await second.client.post("/auth/logout");
  assert.equal((await second.client.get("/users/me")).status, 401);
  assert.equal((await first.client.get("/users/me")).status, 200);
});

interface Kept {
  readonly principal: string;
  readonly subject: string;
  readonly outcome: string;
  readonly correlation_id: string;
}

Deno.test("every sign-in is kept, be it right or wrong, and no password or address with it", async () => {
  await using api = new Api(database);
  const email = await verified(api);
  const right = await signIn(api, email);
  const wrong = await signIn(api, email, "not the password at all");
  const stranger = await signIn(api, someAddress(), "not the password at all");
  const correlations = [right, wrong, stranger].map(({ headers }) =>
    headers.get("x-correlation-id")
  );
  const { rows } = await sql<Kept>`
    select principal, subject, outcome, correlation_id::text from audit where act = 'sign in'
      and correlation_id::text = any(${correlations}::text[]) order by id`.execute(database.db);
  assert.deepEqual(rows.map((row) => row.correlation_id), correlations);
  assert.deepEqual(rows.map(({ outcome }) => outcome), ["done", "refused", "refused"]);
  const user = right.body.userId;
  assert.deepEqual(rows.map(({ principal }) => principal === user), [true, false, false]);
  assert.deepEqual(rows.slice(0, 2).map(({ subject }) => subject), [
    `user/${user}`,
    `user/${user}`,
  ]);
  assert.doesNotMatch(JSON.stringify(rows), /example\.org|not the password/);
});

/** What would be a second recipient, a header or a command of SMTP, to whoever took it as it is. */
const addresses = [
  "ada@example.org\r\nBcc: mallory@example.org",
  "ada@example.org\nBcc: mallory@example.org",
  "ada@example.org\r\n\r\nanother body",
  "ada@example.org%0d%0aBcc:mallory@example.org",
  "ada@example.org, mallory@example.org",
  "ada@example.org;mallory@example.org",
  "ada@example.org mallory@example.org",
  "Ada <mallory@example.org>",
  "<ada@example.org>",
  "ada@example.org>\r\nRCPT TO:<mallory@example.org",
  '"ada\r\nBcc: x"@example.org',
  "ada@[127.0.0.1]",
  "ada@localhost",
  "ada@example.org\u0000",
  "ada@example.org\u2028Bcc: x",
  "-oQ/tmp/x@example.org -X/var/www/x.php",
  "ada@exam\tple.org",
  "@example.org",
  "ada@",
  "",
];

Deno.test("an address that says more than one address is none, and nobody gets a letter", async () => {
  await using api = new Api(database);
  for (const email of addresses) {
    const body = { email, password: "an umbrella of elephants" };
    assertProblem(await api.bearing(undefined).post("/auth/sign-up", body), 400, INVALID);
  }
  assert.deepEqual(api.letters, []);
  const email = await verified(api);
  assert.equal(api.letters.length, 1);
  const [{ to, subject }] = api.letters as [typeof api.letters[number]];
  assert.equal(to, email);
  assert.doesNotMatch(`${to}${subject}`, /[\r\n]/);
});

/** In the form of PHC: what it took, its salt, itself. */
const FORM = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

Deno.test("a password is hashed at the cost that OWASP asks for, with a salt of its own", async () => {
  using hashing = new PasswordHashing({ env: systemEnv });
  const parts = [await hashing.hash(PASSWORD), await hashing.hash(PASSWORD)]
    .map((hash) => FORM.exec(hash) ?? assert.fail(hash));
  for (const [, memoryKiB, passes, , salt, hash] of parts) {
    assert(Number(passes) >= 2 && Number(memoryKiB) >= 19 * 1_024, `${memoryKiB}, ${passes}`);
    assert.deepEqual([salt!.length * 6 >= 128, hash!.length * 6 >= 256], [true, true]);
  }
  assert.notEqual(parts[0]![4], parts[1]![4]);
});

Deno.test("a hash that took less is right still, and known to be made anew", async () => {
  using cheap = new PasswordHashing({ env: systemEnv, cost: { memoryKiB: 64, passes: 1 } });
  using hashing = new PasswordHashing({ env: systemEnv });
  assert.deepEqual(await hashing.verify(PASSWORD, await cheap.hash(PASSWORD)), {
    isRight: true,
    isOutdated: true,
  });
  const present = await hashing.hash(PASSWORD);
  assert.deepEqual(await hashing.verify(PASSWORD, present), { isRight: true, isOutdated: false });
  assert.equal((await hashing.verify(`${PASSWORD}s`, present)).isRight, false);
});
