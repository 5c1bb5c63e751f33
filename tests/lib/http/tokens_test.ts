import assert from "node:assert/strict";
import { Hono } from "hono";
import { authenticated, type CallerEnv } from "../../../lib/http/caller.ts";
import { Revocations } from "../../../lib/http/revocations.ts";
import { openTokenKeys } from "../../../lib/http/token_keys.ts";
import { mintToken, TOKEN_CHARS_MAX, TokenVerifier } from "../../../lib/http/tokens.ts";
import { forgedTokens, Forger } from "../../security/forged_tokens.ts";

const NOW = 1_900_000_000;
const env = { now: () => NOW * 1_000, monotonic: () => 0, uuid: () => crypto.randomUUID() };
const keysOf = (byte: number) =>
  openTokenKeys({ secrets: [new Uint8Array(32).fill(byte)], dataDir: "" });
const keys = await keysOf(7);
const otherKeys = await keysOf(8);
const names = { issuer: "troupe", audience: "troupe" };
const options = { keys, ...names, env };
const forger = new Forger({ keys, ...names, now: NOW });
const forged = forger.token.bind(forger);
const valid = await forged();
const corpus = await forgedTokens({ keys, ...names, now: NOW });

const app = new Hono<CallerEnv>()
  .use(authenticated({ verifier: new TokenVerifier(options), env, requestTimeoutMs: 1_000 }))
  .get("/", (c) => c.json(c.get("caller").principal));

async function assertUnauthenticated(response: Response) {
  assert.equal(response.status, 401);
  const challenge = 'Bearer realm="api", error="invalid_token"';
  assert.equal(response.headers.get("www-authenticate"), challenge);
  assert.deepEqual(await response.json(), {
    type: "/problems/unauthenticated",
    instance: "/",
    status: 401,
    title: "A valid bearer token is required",
  });
}

Deno.test("the corpus has the forgeries that are known, and what they are made of holds", async () => {
  assert(Object.keys(corpus).length >= 100);
  assert.equal(
    (await app.request("/", { headers: { authorization: `Bearer ${valid}` } })).status,
    200,
  );
});

for (const [name, authorization] of Object.entries(corpus)) {
  Deno.test(`no entry with ${name}`, async () => {
    if (authorization.startsWith("Bearer ")) {
      const verifier = new TokenVerifier(options);
      assert.equal(await verifier.verify(authorization.slice("Bearer ".length)), undefined);
    }
    await assertUnauthenticated(await app.request("/", { headers: { authorization } }));
  });
}

Deno.test("no entry with two Authorization headers, though each of them holds", async () => {
  const headers = new Headers([
    ["authorization", `Bearer ${valid}`],
    ["authorization", `Bearer ${valid}`],
  ]);
  await assertUnauthenticated(await app.request("/", { headers }));
});

const welcome: Record<string, string> = {
  "a plain token": valid,
  "an audience among others": await forged({ claims: { aud: ["billing", "troupe"] } }),
  "no roles": await forged({ claims: { roles: undefined } }),
  "a typ in full": await forged({ header: { typ: "application/at+jwt" } }),
  "a session": await forged({ claims: { sid: crypto.randomUUID() } }),
  "an end within the clock's tolerance": await forged({ claims: { exp: NOW - 4 } }),
  "a sub in any script": await forged({ claims: { sub: "Zoë 北京 🎟" } }),
};

for (const [name, token] of Object.entries(welcome)) {
  Deno.test(`entry with ${name}`, async () => {
    const verifier = new TokenVerifier(options);
    assert.notEqual(await verifier.verify(token), undefined);
  });
}

Deno.test("a minted token is believed, to the word", async () => {
  const content = { sub: "Zoë", roles: ["organizer", "feed"], ttlMs: 1_000 };
  const token = await mintToken(options, content);
  const { principal, sessionId } = (await new TokenVerifier(options).verify(token))!;
  assert.deepEqual(principal, { id: "Zoë", roles: ["organizer", "feed"] });
  assert.equal(sessionId, undefined);
});

Deno.test("nothing is minted that would not be believed", async () => {
  const mint = async (sub: string, roles: string[]) => {
    await mintToken(options, { sub, roles, ttlMs: 1_000 });
  };
  await assert.rejects(() => mint("", []));
  await assert.rejects(() => mint("alice\n", []));
  await assert.rejects(() => mint("alice", ["Admin"]));
});

/** How often `work` verifies a signature. */
async function signaturesVerified(work: () => Promise<unknown>): Promise<number> {
  const { subtle } = crypto;
  const verify = subtle.verify;
  let verified = 0;
  subtle.verify = (...args: Parameters<SubtleCrypto["verify"]>) => {
    verified++;
    return verify.apply(subtle, args);
  };
  try {
    await work();
  } finally {
    subtle.verify = verify;
  }
  return verified;
}

Deno.test("a token is verified once, however many requests bring it at once or later", async () => {
  const verifier = new TokenVerifier(options);
  const verified = await signaturesVerified(async () => {
    await Promise.all(Array.from({ length: 100 }, () => verifier.verify(valid)));
    await verifier.verify(valid);
  });
  assert.equal(verified, 1);
});

Deno.test("a token that does not hold is not remembered", async () => {
  const verifier = new TokenVerifier(options);
  const token = await forged({ signedWith: otherKeys.signing.key });
  const verified = await signaturesVerified(async () => {
    assert.equal(await verifier.verify(token), undefined);
    assert.equal(await verifier.verify(token), undefined);
  });
  assert.equal(verified, 2);
});

Deno.test("a huge token costs no computation", async () => {
  const token = await forged({ claims: { filler: "x".repeat(TOKEN_CHARS_MAX) } });
  const verifier = new TokenVerifier(options);
  assert.equal(await signaturesVerified(() => verifier.verify(token)), 0);
});

Deno.test("a remembered token is refused from the moment it ends", async () => {
  const brief = await forged({ claims: { exp: NOW + 60 } });
  const clock = { now: () => NOW * 1_000 };
  const verifier = new TokenVerifier({ ...options, env: { now: () => clock.now() } });
  assert.notEqual(await verifier.verify(brief), undefined);
  clock.now = () => (NOW + 64) * 1_000;
  assert.notEqual(await verifier.verify(brief), undefined);
  clock.now = () => (NOW + 65) * 1_000;
  assert.equal(await verifier.verify(brief), undefined);
  assert.equal(await verifier.verify(brief), undefined);
});

const HOUR_MS = 3_600_000;
const longest = { sessionMs: 600_000, subjectMs: HOUR_MS };

Deno.test("a token that would outlive what is known of its revocation is refused", async () => {
  const verifier = new TokenVerifier({ ...options, longest });
  const lasting = (ttlMs: number, sessionId?: string) =>
    mintToken(options, {
      sub: "alice",
      roles: [],
      ttlMs,
      ...(sessionId !== undefined && { sessionId }),
    });
  const sid = crypto.randomUUID();
  assert.notEqual(await verifier.verify(await lasting(HOUR_MS)), undefined);
  assert.notEqual(await verifier.verify(await lasting(HOUR_MS - 1)), undefined);
  assert.notEqual(await verifier.verify(await lasting(600_000, sid)), undefined);
  assert.equal(await verifier.verify(await lasting(HOUR_MS + 10_000)), undefined);
  assert.equal(await verifier.verify(await lasting(24 * HOUR_MS)), undefined);
  assert.equal(await verifier.verify(await lasting(HOUR_MS, sid)), undefined);
  // However little of it is left.
  const old = await forged({ claims: { iat: NOW - 86_400, exp: NOW + 60 } });
  assert.equal(await verifier.verify(old), undefined);
});

const limits = { sessionMs: 600_000, subjectMs: HOUR_MS };
const nothing = { subject: "alice", sessions: [], keys: [], isWhole: false, at: NOW * 1_000 };

Deno.test("a remembered token is refused from the moment its session has ended", async () => {
  const revocations = new Revocations(limits, env);
  const verifier = new TokenVerifier({ ...options, revocations });
  const [mine, other] = [crypto.randomUUID(), crypto.randomUUID()];
  const [ending, going] = await Promise.all([
    forged({ claims: { sid: mine } }),
    forged({ claims: { sid: other } }),
  ]);
  for (const token of [ending, going, valid]) {
    assert.notEqual(await verifier.verify(token), undefined);
  }
  revocations.note({ ...nothing, sessions: [mine] });
  assert.equal(await verifier.verify(ending), undefined);
  assert.equal(await verifier.verify(ending), undefined);
  assert.equal((await verifier.verify(going))?.sessionId, other);
  assert.notEqual(await verifier.verify(valid), undefined);
});

Deno.test("a token that comes for the first time is refused if its session has ended before", async () => {
  const revocations = new Revocations(limits, env);
  const sid = crypto.randomUUID();
  revocations.note({ ...nothing, sessions: [sid] });
  const verifier = new TokenVerifier({ ...options, revocations });
  assert.equal(await verifier.verify(await forged({ claims: { sid } })), undefined);
});

Deno.test("a token without a session ends with all else that its subject had been given", async () => {
  const revocations = new Revocations(limits, env);
  const verifier = new TokenVerifier({ ...options, revocations });
  const others = await forged({ claims: { sub: "bob" } });
  const later = await forged({ claims: { iat: NOW + 1 } });
  revocations.note({ ...nothing, isWhole: true });
  assert.equal(await verifier.verify(valid), undefined);
  assert.notEqual(await verifier.verify(others), undefined);
  assert.notEqual(await verifier.verify(later), undefined);
});
