import assert from "node:assert/strict";
import { join } from "node:path";
import { ConfigurationError } from "../../../lib/config.ts";
import { openTokenKey } from "../../../lib/http/token_key.ts";

async function signatureBy(key: CryptoKey): Promise<string> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new Uint8Array(8))).toHex();
}

async function inNewDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("starts that race for the first key end up with the same one", async () => {
  await inNewDirectory(async (directory) => {
    const dataDir = join(directory, "not", "there", "yet");
    const opening = Array.from({ length: 20 }, () => openTokenKey({ secret: undefined, dataDir }));
    const signatures = new Set(await Promise.all((await Promise.all(opening)).map(signatureBy)));
    assert.equal(signatures.size, 1);

    const names = [...Deno.readDirSync(dataDir)].map(({ name }) => name);
    assert.deepEqual(names, ["token.key"]);
    const next = await openTokenKey({ secret: undefined, dataDir });
    assert(signatures.has(await signatureBy(next)));
  });
});

Deno.test("only its owner may read the key", { ignore: Deno.build.os === "windows" }, async () => {
  await inNewDirectory(async (dataDir) => {
    await openTokenKey({ secret: undefined, dataDir });
    assert.equal((await Deno.stat(join(dataDir, "token.key"))).mode! & 0o777, 0o600);
  });
});

Deno.test("a key given by configuration is used, and no file made", async () => {
  await inNewDirectory(async (dataDir) => {
    const given = await openTokenKey({ secret: new Uint8Array(32).fill(1), dataDir });
    const other = await openTokenKey({ secret: new Uint8Array(32).fill(2), dataDir });
    assert.notEqual(await signatureBy(given), await signatureBy(other));
    assert.deepEqual([...Deno.readDirSync(dataDir)], []);
  });
});

Deno.test("a key cannot be read out of the process", async () => {
  const key = await openTokenKey({ secret: new Uint8Array(32), dataDir: "" });
  await assert.rejects(() => crypto.subtle.exportKey("raw", key));
});

Deno.test("a damaged key file stops the start, and its content stays secret", async () => {
  for (
    const content of ["", "c2hvcnQ", "not base64url, but hunter2, and long enough to be a key"]
  ) {
    await inNewDirectory(async (dataDir) => {
      await Deno.writeTextFile(join(dataDir, "token.key"), content);
      await assert.rejects(
        () => openTokenKey({ secret: undefined, dataDir }),
        (error) => error instanceof ConfigurationError && !error.message.includes("hunter2"),
      );
    });
  }
});
