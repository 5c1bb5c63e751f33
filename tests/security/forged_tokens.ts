/**
 * What must not let anyone in, though it looks like a token: one way to forge or to break one each.
 *
 * @module
 */
import { type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";
import { openTokenKeys, type TokenKeys } from "../../lib/http/token_keys.ts";
import { TOKEN_CHARS_MAX } from "../../lib/http/tokens.ts";

export interface ForgeryOptions {
  /** Those of the service. */
  readonly keys: TokenKeys;
  readonly issuer: string;
  readonly audience: string;
  /** In epoch seconds. */
  readonly now: number;
}

interface Forgery {
  readonly claims?: JWTPayload;
  readonly without?: keyof JWTPayload;
  readonly header?: Record<string, unknown>;
  readonly signedWith?: CryptoKey;
  /** Text of the payload, where JSON can say what JavaScript cannot. */
  readonly payload?: string;
}

export function base64url(content: unknown): string {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  return encoded(new TextEncoder().encode(text));
}

function encoded(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Signs by hand, so that no library keeps a token from being wrong. */
export class Forger {
  readonly #options: ForgeryOptions;
  readonly good: JWTPayload;

  constructor(options: ForgeryOptions) {
    this.#options = options;
    const { issuer: iss, audience: aud, now } = options;
    this.good = {
      sub: "alice",
      roles: ["organizer", "admin"],
      iss,
      aud,
      jti: "1",
      iat: now,
      exp: now + 600,
    };
  }

  async token({ claims, without, header, signedWith, payload }: Forgery = {}): Promise<string> {
    const { signing } = this.#options.keys;
    const content = { ...this.good, ...claims };
    if (without !== undefined) delete content[without];
    const head = base64url({ alg: "EdDSA", typ: "at+jwt", kid: signing.kid, ...header });
    const signed = `${head}.${payload === undefined ? base64url(content) : base64url(payload)}`;
    const bytes = new TextEncoder().encode(signed);
    const key = signedWith ?? signing.key;
    const signature = await crypto.subtle.sign(key.algorithm.name, key, bytes);
    return `${signed}.${encoded(new Uint8Array(signature))}`;
  }
}

/** What stands in the Authorization header of each, by what is wrong with it. */
export async function forgedTokens(
  options: ForgeryOptions,
): Promise<Readonly<Record<string, string>>> {
  const forger = new Forger(options);
  const valid = await forger.token();
  return {
    ...await ofAlgorithms(forger, options, valid),
    ...await ofKeys(forger, options),
    ...await ofHeaders(forger),
    ...await ofTimes(forger, options),
    ...await ofNames(forger, options),
    ...await ofForms(forger, valid),
  };
}

async function ofAlgorithms(forger: Forger, { keys }: ForgeryOptions, valid: string) {
  const [, payload, signature] = valid.split(".") as [string, string, string];
  const { kid } = keys.signing;
  const unsigned = (alg: unknown) => base64url({ alg, typ: "at+jwt", kid });
  const { x } = keys.published[0]!;
  const raw = Uint8Array.fromBase64(x, { alphabet: "base64url" });
  const spki = Uint8Array.fromHex("302a300506032b6570032100" + raw.toHex());
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki.toBase64()}\n-----END PUBLIC KEY-----\n`;
  const hs256 = (key: CryptoKey) => forger.token({ header: { alg: "HS256" }, signedWith: key });
  const rsa = await generated({
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  });
  const ec = await generated({ name: "ECDSA", namedCurve: "P-256" });
  const signedBy = (alg: string, key: CryptoKey) => {
    const header: JWTHeaderParameters = { alg, typ: "at+jwt", kid };
    return new SignJWT(forger.good).setProtectedHeader(header).sign(key);
  };
  return bearing({
    "alg none": `${unsigned("none")}.${payload}.`,
    "alg None": `${unsigned("None")}.${payload}.`,
    "alg nOnE with the old signature": `${unsigned("nOnE")}.${payload}.${signature}`,
    "alg none with the old signature": `${unsigned("none")}.${payload}.${signature}`,
    "no alg": await forger.token({ header: { alg: undefined } }),
    "alg eddsa": await forger.token({ header: { alg: "eddsa" } }),
    "alg Ed25519, which is the same by another name": await forger.token({
      header: { alg: "Ed25519" },
    }),
    "alg Ed448": await forger.token({ header: { alg: "Ed448" } }),
    "alg as an array": await forger.token({ header: { alg: ["EdDSA"] } }),
    "HS256 under the public key": await hs256(await hmacKey(raw)),
    "HS256 under the public key as SPKI": await hs256(await hmacKey(spki)),
    "HS256 under the public key as PEM": await hs256(await hmacKey(new TextEncoder().encode(pem))),
    "HS256 under the key id": await hs256(await hmacKey(new TextEncoder().encode(kid))),
    "HS256 under nothing": await hs256(await hmacKey(new Uint8Array(32))),
    "RS256": await signedBy("RS256", rsa),
    "ES256": await signedBy("ES256", ec),
  });
}

async function ofKeys(forger: Forger, { keys }: ForgeryOptions) {
  const { signing: other } = await openTokenKeys({
    secrets: [new Uint8Array(32).fill(251)],
    dataDir: "",
  });
  const by = (header: Record<string, unknown>) => forger.token({ signedWith: other.key, header });
  const url = "https://attacker.example/keys";
  const jwk = { kty: "OKP", crv: "Ed25519", x: base64url("a".repeat(32)) };
  return bearing({
    "another key": await by({}),
    "another key under its own id": await by({ kid: other.kid }),
    "another key, sent as jwk": await by({ jwk }),
    "another key, sent as jwk in place of an id": await by({ jwk, kid: undefined }),
    "another key, at jku": await by({ jku: url }),
    "another key, at x5u": await by({ x5u: url }),
    "another key, in x5c": await by({ x5c: ["MIIB"] }),
    "no key id": await forger.token({ header: { kid: undefined } }),
    "an unknown key id": await forger.token({ header: { kid: "unknown" } }),
    "an empty key id": await forger.token({ header: { kid: "" } }),
    "a key id that is a path": await forger.token({ header: { kid: "../../dev/null" } }),
    "a key id that is SQL": await forger.token({ header: { kid: "' or 1=1 --" } }),
    "key id __proto__": await forger.token({ header: { kid: "__proto__" } }),
    "key id constructor": await forger.token({ header: { kid: "constructor" } }),
    "a key id in an array": await forger.token({ header: { kid: [keys.signing.kid] } }),
    "a key id in another case": await forger.token({
      header: { kid: keys.signing.kid.toUpperCase() },
    }),
  });
}

async function ofHeaders(forger: Forger) {
  const { exp } = forger.good;
  return bearing({
    "crit": await forger.token({ header: { crit: ["exp"], exp } }),
    "crit b64": await forger.token({ header: { crit: ["b64"], b64: false } }),
    "empty crit": await forger.token({ header: { crit: [] } }),
    "no typ": await forger.token({ header: { typ: undefined } }),
    "typ of an id token": await forger.token({ header: { typ: "JWT" } }),
    "typ of a logout token": await forger.token({ header: { typ: "logout+jwt" } }),
    "typ as an array": await forger.token({ header: { typ: ["at+jwt"] } }),
  });
}

async function ofTimes(forger: Forger, { now }: ForgeryOptions) {
  const saying = (claims: Record<string, unknown>) =>
    forger.token({ payload: JSON.stringify({ ...forger.good, ...claims }) });
  const endless = JSON.stringify({ ...forger.good, exp: 0 });
  return bearing({
    "expired": await forger.token({ claims: { exp: now - 10 } }),
    "expired for ever": await forger.token({ claims: { exp: -1 } }),
    "no exp": await forger.token({ without: "exp" }),
    "exp as text": await saying({ exp: "9999999999" }),
    "exp as an array": await saying({ exp: [9_999_999_999] }),
    "exp as an object": await saying({ exp: { valueOf: 9_999_999_999 } }),
    "exp null": await saying({ exp: null }),
    "exp true": await saying({ exp: true }),
    "exp NaN, which is no JSON": await forger.token({
      payload: endless.replace('"exp":0', '"exp":NaN'),
    }),
    "exp without end": await forger.token({ payload: endless.replace('"exp":0', '"exp":1e999') }),
    "exp of 1e400": await forger.token({ payload: endless.replace('"exp":0', '"exp":1e400') }),
    "exp twice, the second past": await forger.token({
      payload: endless.replace('"exp":0', `"exp":${now + 600},"exp":${now - 10}`),
    }),
    "not yet valid": await forger.token({ claims: { nbf: now + 10 } }),
    "nbf as text": await saying({ nbf: "0" }),
    "no iat": await forger.token({ without: "iat" }),
    "iat as text": await saying({ iat: String(now) }),
  });
}

async function ofNames(forger: Forger, { issuer, audience }: ForgeryOptions) {
  const saying = (claims: Record<string, unknown>) =>
    forger.token({ payload: JSON.stringify({ ...forger.good, ...claims }) });
  const idToken = { ...forger.good, nonce: "n", at_hash: "h", aud: "some-client" };
  return bearing({
    "another issuer": await forger.token({ claims: { iss: `${issuer}.example` } }),
    "no issuer": await forger.token({ without: "iss" }),
    "issuers in an array": await saying({ iss: [issuer] }),
    "another audience": await forger.token({ claims: { aud: "billing" } }),
    "other audiences": await forger.token({ claims: { aud: ["billing", `${audience}2`] } }),
    "no audience": await forger.token({ without: "aud" }),
    "an empty audience": await forger.token({ claims: { aud: [] } }),
    "an id token": await forger.token({
      header: { typ: "JWT" },
      payload: JSON.stringify(idToken),
    }),
    "no sub": await forger.token({ without: "sub" }),
    "empty sub": await forger.token({ claims: { sub: "" } }),
    "sub too long": await forger.token({ claims: { sub: "a".repeat(201) } }),
    "sub with a line break": await forger.token({ claims: { sub: "alice\nroot" } }),
    "sub with U+0000": await forger.token({ claims: { sub: "alice\0" } }),
    "sub with half a surrogate pair": await saying({ sub: "\ud800" }),
    "sub as a number": await saying({ sub: 1 }),
    "roles as text": await forger.token({ claims: { roles: "admin" } }),
    "roles that are no names": await forger.token({ claims: { roles: ["Admin; *"] } }),
    "roles without end": await forger.token({
      claims: { roles: Array.from({ length: 33 }, () => "organizer") },
    }),
    "sid as a path": await forger.token({ claims: { sid: "../1" } }),
    "sid as an array": await saying({ sid: [crypto.randomUUID()] }),
    "sid null": await saying({ sid: null }),
  });
}

async function ofForms(forger: Forger, valid: string) {
  const [head, payload, signature] = valid.split(".") as [string, string, string];
  const flipped = (signature[0] === "A" ? "B" : "A") + signature.slice(1);
  const asRoot = base64url({ ...forger.good, sub: "root" });
  // The last character of 64 bytes holds four bits that count for nothing.
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const sameBytes = signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.at(-1)!) ^ 1];
  return {
    ...bearing({
      "a payload that is no object": await forger.token({ payload: "[]" }),
      "a payload that is no JSON": await forger.token({ payload: "{" }),
      "another payload": `${head}.${asRoot}.${signature}`,
      "a flipped signature": `${head}.${payload}.${flipped}`,
      "an empty signature": `${head}.${payload}.`,
      "half a signature": `${head}.${payload}.${signature.slice(0, 20)}`,
      "a signature twice": `${head}.${payload}.${signature}${signature}`,
      "a signature in another spelling": `${head}.${payload}.${sameBytes}`,
      "a signature with padding": `${valid}=`,
      "a signature with two of them": `${valid}==`,
      "the alphabet of base64": `${head}.${payload}.${signature.slice(0, -1)}+`,
      "three dots": `${valid}.${signature}`,
      "only dots": "...",
      "one part": head,
      "two parts": `${head}.${payload}`,
      "an encrypted token's five parts": `${head}.a.b.c.d`,
      "white space inside": `${head}. ${payload}.${signature}`,
      "trailing data": `${valid} x`,
      "a trailing token": `${valid} ${valid}`,
      "quotes": `"${valid}"`,
      "a comma": `${valid},`,
      "garbage": "%%%",
      "latin letters": "sch\u00f6n",
      "a huge token": await forger.token({ claims: { filler: "x".repeat(TOKEN_CHARS_MAX) } }),
      "a token of a megabyte": `${head}.${"A".repeat(1_048_576)}.${signature}`,
      "a refresh token": `trr_${"A".repeat(112)}`,
      "an API key that nobody made": `trp_${"0".repeat(64)}_${"A".repeat(43)}`,
      "half an API key": `trp_${"0".repeat(64)}`,
    }),
    "a tab for the space": `Bearer\t${valid}`,
    "no scheme": valid,
    "another scheme": `Basic ${btoa("alice:secret")}`,
    "the scheme twice": `Bearer Bearer ${valid}`,
    "no token": "Bearer",
    "an empty header": "",
  };
}

function bearing(tokens: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tokens).map(([name, token]) => [name, `Bearer ${token}`]),
  );
}

async function generated(algorithm: RsaHashedKeyGenParams | EcKeyGenParams): Promise<CryptoKey> {
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return pair.privateKey;
}

function hmacKey(bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}
