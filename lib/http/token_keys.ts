/**
 * The keys that sign tokens: made from what is configured, or kept in the data directory.
 *
 * There may be several. The first signs; what any of them signed is believed, so that a key is
 * replaced without logging anyone out: the new one comes before the old, which goes once all that it
 * signed has ended.
 *
 * @module
 */
import { join } from "node:path";
import { calculateJwkThumbprint } from "jose";
import { ConfigurationError } from "../config.ts";
import { keptText, newSecret, replaceSecrets, SECRET_BYTES, secretIn } from "../kept_secret.ts";

/** Of what is derived from a secret. */
const KEY_BYTES = 32;
/** Of those that may be believed at a time, the one that signs included. */
export const TOKEN_KEYS_MAX = 8;

type Bytes = Uint8Array<ArrayBuffer>;

/** What anybody may know of a key; enough to verify what it signed. */
export interface PublicJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
  readonly kid: string;
  readonly alg: "EdDSA";
  readonly use: "sig";
}

export interface TokenKeys {
  readonly signing: { readonly kid: string; readonly key: CryptoKey };
  /** By key id. A map: whatever an id in a token says, it finds one of these or nothing. */
  readonly verifying: ReadonlyMap<string, CryptoKey>;
  readonly published: readonly PublicJwk[];
  /** For what only this service reads, such as refresh tokens; in the order of the keys. */
  readonly sealing: readonly CryptoKey[];
}

/**
 * The keys that follow from `secrets`, if there are any, otherwise from `token.key` in `dataDir`.
 *
 * The file is made if it is missing. Processes that start at once end up with the same key.
 *
 * @throws {ConfigurationError} where the file holds something else.
 */
export async function openTokenKeys(
  { secrets, dataDir }: { readonly secrets: readonly Bytes[]; readonly dataDir: string },
): Promise<TokenKeys> {
  return await tokenKeysOf(secrets.length > 0 ? secrets : await keptSecrets(dataDir));
}

/**
 * Puts a new key first in the file of `dataDir`, and gives the ids of all, the new one first.
 *
 * @throws {ConfigurationError} where one would have to go for it, which may log people out: that is
 * for whoever knows how old it is.
 */
export async function rotateTokenKey(dataDir: string): Promise<readonly string[]> {
  const before = await keptSecrets(dataDir);
  if (before.length >= TOKEN_KEYS_MAX) {
    const expected = `at most ${TOKEN_KEYS_MAX - 1} keys before another is added: take out the ` +
      "last line, once all that it signed has ended, 30 days after the one before it was added";
    throw new ConfigurationError([{ name: pathIn(dataDir), expected }]);
  }
  const secrets = [newSecret(), ...before];
  await replaceSecrets(pathIn(dataDir), secrets);
  return (await tokenKeysOf(secrets)).published.map(({ kid }) => kid);
}

async function tokenKeysOf(secrets: readonly Bytes[]): Promise<TokenKeys> {
  const pairs = await Promise.all(secrets.map(keyPairOf));
  const [first] = pairs;
  if (first === undefined) throw new Error("Cannot sign tokens without a secret");
  return {
    signing: { kid: first.published.kid, key: first.signing },
    verifying: new Map(pairs.map(({ published, verifying }) => [published.kid, verifying])),
    published: pairs.map(({ published }) => published),
    sealing: await Promise.all(secrets.map(sealingKeyOf)),
  };
}

/** What comes before the 32 bytes of a private Ed25519 key in PKCS #8 (RFC 8410, 7). */
const PKCS8_HEAD = Uint8Array.fromHex("302e020100300506032b657004220420");
const ED25519 = { name: "Ed25519" };

async function keyPairOf(secret: Bytes) {
  const seed = await derived(secret, "troupe tokens Ed25519");
  const pkcs8 = new Uint8Array([...PKCS8_HEAD, ...seed]);
  // Taken apart once, to learn the public half; the key that stays can never be read again.
  const open = await crypto.subtle.importKey("pkcs8", pkcs8, ED25519, true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", open);
  if (x === undefined) throw new Error("A private Ed25519 key has no public half");
  const jwk = { kty: "OKP", crv: "Ed25519", x } as const;
  const kid = await calculateJwkThumbprint(jwk);
  const published: PublicJwk = { ...jwk, kid, alg: "EdDSA", use: "sig" };
  return {
    signing: await crypto.subtle.importKey("pkcs8", pkcs8, ED25519, false, ["sign"]),
    verifying: await crypto.subtle.importKey("jwk", { ...jwk }, ED25519, false, ["verify"]),
    published,
  };
}

async function sealingKeyOf(secret: Bytes): Promise<CryptoKey> {
  const bytes = await derived(secret, "troupe seals HMAC-SHA-256");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign", "verify"]);
}

/** Each purpose has a key of its own, and none tells anything of the secret or of another. */
async function derived(secret: Bytes, purpose: string): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode(purpose);
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, 8 * KEY_BYTES));
}

function pathIn(dataDir: string): string {
  return join(dataDir, "token.key");
}

async function keptSecrets(dataDir: string): Promise<readonly Bytes[]> {
  const path = pathIn(dataDir);
  const secrets = (await keptText(path)).split("\n").map((line) => secretIn(line.trim()));
  const isGood = secrets.length <= TOKEN_KEYS_MAX &&
    secrets.every(({ length }) => length >= SECRET_BYTES);
  if (!isGood) {
    const each = `a key of at least ${SECRET_BYTES} bytes in base64url`;
    throw new ConfigurationError([
      { name: path, expected: `${each}, or up to ${TOKEN_KEYS_MAX}, one a line` },
    ]);
  }
  return secrets;
}
