import assert from "node:assert/strict";
import { join } from "node:path";
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from "jose";
import { ConfigurationError } from "../../../lib/config.ts";
import { openTokenKeys, rotateTokenKey, TOKEN_KEYS_MAX } from "../../../lib/http/token_keys.ts";
import { mintToken, TokenVerifier } from "../../../lib/http/tokens.ts";

const secretOf = (byte: number) => new Uint8Array(32).fill(byte);
const names = { issuer: "troupe", audience: "troupe" };
const env = { now: () => Date.now(), uuid: () => crypto.randomUUID() };
const content = { sub: "alice", roles: ["organizer"], ttlMs: 60_000 };

async function inNewDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const kept = (dataDir: string) => openTokenKeys({ secrets: [], dataDir });

Deno.test("starts that race for the first key end up with the same one", async () => {
  await inNewDirectory(async (directory) => {
    const dataDir = join(directory, "not", "there", "yet");
    const opened = await Promise.all(Array.from({ length: 20 }, () => kept(dataDir)));
    const kids = new Set(opened.map(({ signing }) => signing.kid));
    assert.equal(kids.size, 1);

    const names = [...Deno.readDirSync(dataDir)].map(({ name }) => name);
    assert.deepEqual(names, ["token.key"]);
    assert(kids.has((await kept(dataDir)).signing.kid));
  });
});

Deno.test("only its owner may read the key", { ignore: Deno.build.os === "windows" }, async () => {
  await inNewDirectory(async (dataDir) => {
    const mode = async () => (await Deno.stat(join(dataDir, "token.key"))).mode! & 0o777;
    await kept(dataDir);
    assert.equal(await mode(), 0o600);
    await rotateTokenKey(dataDir);
    assert.equal(await mode(), 0o600);
  });
});

Deno.test("a key given by configuration is used, and no file made", async () => {
  await inNewDirectory(async (dataDir) => {
    const given = await openTokenKeys({ secrets: [secretOf(1)], dataDir });
    const again = await openTokenKeys({ secrets: [secretOf(1)], dataDir });
    const other = await openTokenKeys({ secrets: [secretOf(2)], dataDir });
    assert.equal(given.signing.kid, again.signing.kid);
    assert.notEqual(given.signing.kid, other.signing.kid);
    assert.deepEqual([...Deno.readDirSync(dataDir)], []);
  });
});

Deno.test("a key cannot be read out of the process", async () => {
  const { signing, sealing } = await openTokenKeys({ secrets: [secretOf(1)], dataDir: "" });
  await assert.rejects(() => crypto.subtle.exportKey("jwk", signing.key));
  await assert.rejects(() => crypto.subtle.exportKey("pkcs8", signing.key));
  await assert.rejects(() => crypto.subtle.exportKey("raw", sealing[0]!));
});

Deno.test("a damaged key file stops the start, and its content stays secret", async () => {
  const good = secretOf(1).toBase64({ alphabet: "base64url" });
  const damaged = [
    "",
    "c2hvcnQ",
    "not base64url, but hunter2, and long enough to be a key",
    `${good}\nc2hvcnQ`,
    `${good}\n`.repeat(TOKEN_KEYS_MAX + 1),
  ];
  for (const content of damaged) {
    await inNewDirectory(async (dataDir) => {
      await Deno.writeTextFile(join(dataDir, "token.key"), content);
      await assert.rejects(
        () => kept(dataDir),
        (error) => error instanceof ConfigurationError && !error.message.includes("hunter2"),
      );
    });
  }
});

Deno.test("what is published is enough to verify a token, and tells nothing that is secret", async () => {
  const keys = await openTokenKeys({ secrets: [secretOf(1), secretOf(2)], dataDir: "" });
  for (const jwk of keys.published) {
    const { kty, crv, x } = jwk;
    assert.deepEqual(Object.keys(jwk).toSorted(), ["alg", "crv", "kid", "kty", "use", "x"]);
    assert.equal(jwk.kid, await calculateJwkThumbprint({ kty, crv, x }));
  }
  const set = createLocalJWKSet({ keys: keys.published.map((jwk) => ({ ...jwk })) });
  const token = await mintToken({ ...names, keys, env }, content);
  const { payload, protectedHeader } = await jwtVerify(token, set, names);
  assert.equal(payload.sub, "alice");
  assert.equal(protectedHeader.kid, keys.published[0]!.kid);
});

Deno.test("nobody is logged out while one key follows another, and the one gone is believed no more", async () => {
  const of = async (...bytes: number[]) =>
    await openTokenKeys({ secrets: bytes.map(secretOf), dataDir: "" });
  const stages = [await of(1), await of(1, 2), await of(2, 1), await of(2)];
  const believes = async (stage: number, token: string) => {
    const verifier = new TokenVerifier({ ...names, env, keys: stages[stage]! });
    return await verifier.verify(token) !== undefined;
  };
  const tokens = await Promise.all(
    stages.map((keys) => mintToken({ ...names, env, keys }, content)),
  );
  // Processes are restarted one by one: those of two stages serve together.
  for (let stage = 1; stage < stages.length - 1; stage++) {
    assert(await believes(stage, tokens[stage - 1]!), `${stage} takes the tokens before`);
    assert(await believes(stage - 1, tokens[stage]!), `${stage - 1} takes the tokens after`);
  }
  assert.equal(await believes(3, tokens[0]!), false);
});

Deno.test("a new key in the file signs, and what was signed before is believed", async () => {
  await inNewDirectory(async (dataDir) => {
    const before = await kept(dataDir);
    const token = await mintToken({ ...names, env, keys: before }, content);
    const kids = await rotateTokenKey(dataDir);
    const after = await kept(dataDir);
    assert.deepEqual(after.published.map(({ kid }) => kid), kids);
    assert.equal(after.signing.kid, kids[0]);
    assert.equal(kids[1], before.signing.kid);
    const verifier = new TokenVerifier({ ...names, env, keys: after });
    assert.notEqual(await verifier.verify(token), undefined);
    for (let count = kids.length; count < TOKEN_KEYS_MAX; count++) await rotateTokenKey(dataDir);
    // One more would log out whoever holds what the first one signed: that is said, and not done.
    await assert.rejects(() => rotateTokenKey(dataDir), ConfigurationError);
    const all = (await kept(dataDir)).published.map(({ kid }) => kid);
    assert.equal(all.length, TOKEN_KEYS_MAX);
    assert.equal(all.at(-1), before.signing.kid);
    assert.deepEqual([...Deno.readDirSync(dataDir)].map(({ name }) => name), ["token.key"]);
  });
});
