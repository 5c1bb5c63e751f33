import assert from "node:assert/strict";
import { Hono } from "hono";
import { type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";
import { authenticated, type CallerEnv } from "../../../lib/http/caller.ts";
import { openTokenKey } from "../../../lib/http/token_key.ts";
import { mintToken, TOKEN_CHARS_MAX, TokenVerifier } from "../../../lib/http/tokens.ts";

const NOW = 1_900_000_000;
const SECRET = new Uint8Array(32).fill(7);
const env = { now: () => NOW * 1_000, monotonic: () => 0, uuid: () => crypto.randomUUID() };
const keyOf = (secret: Uint8Array<ArrayBuffer>) => openTokenKey({ secret, dataDir: "" });
const key = await keyOf(SECRET);
const options = { key, issuer: "troupe", audience: "troupe", env };

const good: JWTPayload = {
  sub: "alice",
  roles: ["organizer"],
  iss: "troupe",
  aud: "troupe",
  iat: NOW,
  exp: NOW + 60,
};

function base64url(content: unknown): string {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

interface Forgery {
  readonly claims?: JWTPayload;
  readonly without?: keyof JWTPayload;
  readonly header?: Record<string, unknown>;
  readonly signedWith?: CryptoKey;
  /** Text of the payload, where JSON can say what JavaScript cannot. */
  readonly payload?: string;
}

/** A token signed by hand, so that no library keeps it from being wrong. */
async function forged({ claims, without, header, signedWith, payload }: Forgery): Promise<string> {
  const content = { ...good, ...claims };
  if (without !== undefined) delete content[without];
  const head = base64url({ alg: "HS256", typ: "at+jwt", ...header });
  const signed = `${head}.${payload === undefined ? base64url(content) : base64url(payload)}`;
  const bytes = new TextEncoder().encode(signed);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", signedWith ?? key, bytes));
  return `${signed}.${signature.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

async function rsaToken(alg: string): Promise<{ token: string; publicKeyAsSecret: string }> {
  const usage: KeyUsage[] = ["sign", "verify"];
  const { privateKey, publicKey } = await crypto.subtle.generateKey(
    {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: "SHA-256",
    },
    true,
    usage,
  );
  const header: JWTHeaderParameters = { alg, typ: "at+jwt" };
  const token = await new SignJWT(good).setProtectedHeader(header).sign(privateKey);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const publicKeyAsSecret = await forged({ signedWith: await keyOf(spki) });
  return { token, publicKeyAsSecret };
}

const valid = await forged({});
const [head, payload, signature] = valid.split(".") as [string, string, string];
const otherKey = await keyOf(new Uint8Array(32).fill(8));
const rsa = await rsaToken("RS256");
const jwk = { kty: "oct", k: base64url("attacker"), alg: "HS256" };
const url = "https://attacker.example/keys";
const longRoles = Array.from({ length: 33 }, () => "organizer");
const flipped = (signature[0] === "A" ? "B" : "A") + signature.slice(1);

/** What stands in the Authorization header of each, and must not let anyone in. */
const corpus: Record<string, string> = {
  "alg none": `Bearer ${base64url({ alg: "none", typ: "at+jwt" })}.${payload}.`,
  "alg None": `Bearer ${base64url({ alg: "None", typ: "at+jwt" })}.${payload}.`,
  "alg none with the old signature": `Bearer ${base64url({ alg: "none" })}.${payload}.${signature}`,
  "no alg": `Bearer ${await forged({ header: { alg: undefined } })}`,
  "alg HS512": `Bearer ${await forged({ header: { alg: "HS512" } })}`,
  "alg hs256": `Bearer ${await forged({ header: { alg: "hs256" } })}`,
  "alg as an array": `Bearer ${await forged({ header: { alg: ["HS256"] } })}`,
  "RS256": `Bearer ${rsa.token}`,
  "HS256 under a public key": `Bearer ${rsa.publicKeyAsSecret}`,
  "another key": `Bearer ${await forged({ signedWith: otherKey })}`,
  "another key, named by kid": `Bearer ${await forged({
    signedWith: otherKey,
    header: { kid: "../../dev/null" },
  })}`,
  "another key, sent as jwk": `Bearer ${await forged({ signedWith: otherKey, header: { jwk } })}`,
  "another key, at jku": `Bearer ${await forged({ signedWith: otherKey, header: { jku: url } })}`,
  "another key, at x5u": `Bearer ${await forged({ signedWith: otherKey, header: { x5u: url } })}`,
  "another key, kid __proto__": `Bearer ${await forged({
    signedWith: otherKey,
    header: { kid: "__proto__" },
  })}`,
  "crit": `Bearer ${await forged({ header: { crit: ["exp"], exp: NOW } })}`,
  "crit b64": `Bearer ${await forged({ header: { crit: ["b64"], b64: false } })}`,
  "empty crit": `Bearer ${await forged({ header: { crit: [] } })}`,
  "no typ": `Bearer ${await forged({ header: { typ: undefined } })}`,
  "typ of an id token": `Bearer ${await forged({ header: { typ: "JWT" } })}`,
  "expired": `Bearer ${await forged({ claims: { exp: NOW - 10 } })}`,
  "no exp": `Bearer ${await forged({ without: "exp" })}`,
  "exp as text": `Bearer ${await forged({ payload: JSON.stringify({ ...good, exp: "9e9" }) })}`,
  "exp as an array": `Bearer ${await forged({ payload: JSON.stringify({ ...good, exp: [9e9] }) })}`,
  "exp without end": `Bearer ${await forged({
    payload: JSON.stringify({ ...good, exp: 0 }).replace('"exp":0', '"exp":1e999'),
  })}`,
  "exp null": `Bearer ${await forged({ payload: JSON.stringify({ ...good, exp: null }) })}`,
  "not yet valid": `Bearer ${await forged({ claims: { nbf: NOW + 10 } })}`,
  "nbf as text": `Bearer ${await forged({ payload: JSON.stringify({ ...good, nbf: "0" }) })}`,
  "another issuer": `Bearer ${await forged({ claims: { iss: "troupe.example" } })}`,
  "no issuer": `Bearer ${await forged({ without: "iss" })}`,
  "another audience": `Bearer ${await forged({ claims: { aud: "billing" } })}`,
  "other audiences": `Bearer ${await forged({ claims: { aud: ["billing", "troupe2"] } })}`,
  "no audience": `Bearer ${await forged({ without: "aud" })}`,
  "no sub": `Bearer ${await forged({ without: "sub" })}`,
  "empty sub": `Bearer ${await forged({ claims: { sub: "" } })}`,
  "sub too long": `Bearer ${await forged({ claims: { sub: "a".repeat(201) } })}`,
  "sub with a line break": `Bearer ${await forged({ claims: { sub: "alice\nroot" } })}`,
  "sub with U+0000": `Bearer ${await forged({ claims: { sub: "alice\0" } })}`,
  "sub with half a surrogate pair": `Bearer ${await forged({
    payload: JSON.stringify({ ...good, sub: "\ud800" }),
  })}`,
  "sub as a number": `Bearer ${await forged({ payload: JSON.stringify({ ...good, sub: 1 }) })}`,
  "roles as text": `Bearer ${await forged({ claims: { roles: "admin" } })}`,
  "roles that are no names": `Bearer ${await forged({ claims: { roles: ["Admin; *"] } })}`,
  "roles without end": `Bearer ${await forged({ claims: { roles: longRoles } })}`,
  "a payload that is no object": `Bearer ${await forged({ payload: "[]" })}`,
  "a payload that is no JSON": `Bearer ${await forged({ payload: "{" })}`,
  "another payload": `Bearer ${head}.${base64url({ ...good, sub: "root" })}.${signature}`,
  "a flipped signature": `Bearer ${head}.${payload}.${flipped}`,
  "an empty signature": `Bearer ${head}.${payload}.`,
  "half a signature": `Bearer ${head}.${payload}.${signature.slice(0, 20)}`,
  "three dots": `Bearer ${valid}.${signature}`,
  "only dots": "Bearer ...",
  "one part": `Bearer ${head}`,
  "an encrypted token's five parts": `Bearer ${head}.a.b.c.d`,
  "trailing data": `Bearer ${valid} x`,
  "a trailing token": `Bearer ${valid} ${valid}`,
  "padding": `Bearer ${valid}=`,
  "white space inside": `Bearer ${head}. ${payload}.${signature}`,
  "a tab for the space": `Bearer\t${valid}`,
  "quotes": `Bearer "${valid}"`,
  "a comma": `Bearer ${valid},`,
  "no scheme": valid,
  "another scheme": `Basic ${btoa("alice:secret")}`,
  "the scheme twice": `Bearer Bearer ${valid}`,
  "no token": "Bearer",
  "an empty header": "",
  "garbage": "Bearer %%%",
  "latin letters": "Bearer sch\u00f6n",
  "a huge token": `Bearer ${await forged({ claims: { filler: "x".repeat(TOKEN_CHARS_MAX) } })}`,
};

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

for (const [name, authorization] of Object.entries(corpus)) {
  Deno.test(`no entry with ${name}`, async () => {
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
  "a kid, which is not looked at": await forged({ header: { kid: "../../dev/null" } }),
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
  const principal = await new TokenVerifier(options).verify(token);
  assert.deepEqual(principal, { id: "Zoë", roles: ["organizer", "feed"] });
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
  const token = await forged({ signedWith: otherKey });
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
  const clock = { now: () => NOW * 1_000 };
  const verifier = new TokenVerifier({ ...options, env: { now: () => clock.now() } });
  assert.notEqual(await verifier.verify(valid), undefined);
  clock.now = () => (NOW + 64) * 1_000;
  assert.notEqual(await verifier.verify(valid), undefined);
  clock.now = () => (NOW + 65) * 1_000;
  assert.equal(await verifier.verify(valid), undefined);
  assert.equal(await verifier.verify(valid), undefined);
});
