import assert from "node:assert/strict";
import { join } from "node:path";
import { keptSecret, SECRET_BYTES } from "../../lib/kept_secret.ts";

Deno.test("a secret is made once, for all who ask at the same time, and for its owner only", async () => {
  const dir = await Deno.makeTempDir({ prefix: "troupe_secret_" });
  try {
    const path = join(dir, "deep", "audit.key");
    const secrets = await Promise.all(Array.from({ length: 8 }, () => keptSecret(path)));
    assert.equal(secrets[0]!.length, SECRET_BYTES);
    for (const secret of secrets) assert.deepEqual(secret, secrets[0]);
    assert.deepEqual(await keptSecret(path), secrets[0]);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    const left = await Array.fromAsync(Deno.readDir(join(dir, "deep")), ({ name }) => name);
    assert.deepEqual(left, ["audit.key"]);
    for (const damaged of ["", "short", "no base64url!", "A".repeat(42)]) {
      await Deno.writeTextFile(path, damaged);
      assert.equal(await keptSecret(path), undefined);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
