/**
 * The key that signs tokens: given, or made in the data directory at the first start.
 *
 * @module
 */
import { join } from "node:path";
import { ConfigurationError } from "../config.ts";

export const TOKEN_KEY_BYTES = 32;

/**
 * The signing key: `secret` if there is one, otherwise that of `token.key` in `dataDir`.
 *
 * The file is made if it is missing. Processes that start at once end up with the same key.
 *
 * @throws {ConfigurationError} where the file holds something else.
 */
export async function openTokenKey(
  { secret, dataDir }: {
    readonly secret: Uint8Array<ArrayBuffer> | undefined;
    readonly dataDir: string;
  },
): Promise<CryptoKey> {
  const bytes = secret ?? await keptSecret(dataDir);
  return await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}

async function keptSecret(dataDir: string): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(dataDir, "token.key");
  const text = await textIn(path) ?? await made(dataDir, path);
  const bytes = decoded(text.trim());
  if (bytes.length < TOKEN_KEY_BYTES) {
    throw new ConfigurationError([
      { name: path, expected: `a key of at least ${TOKEN_KEY_BYTES} bytes in base64url` },
    ]);
  }
  return bytes;
}

/** No bytes at all for what is not base64url: a damaged key must not become a weaker one. */
function decoded(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch (error) {
    if (error instanceof SyntaxError) return new Uint8Array();
    throw error;
  }
}

async function textIn(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Makes the file and tells what is in it, which is another process's key if that came first. */
async function made(dataDir: string, path: string): Promise<string> {
  await Deno.mkdir(dataDir, { recursive: true });
  // Not from Env: a key that a seed can repeat is no secret.
  const bytes = crypto.getRandomValues(new Uint8Array(TOKEN_KEY_BYTES));
  const draft = `${path}.${crypto.randomUUID()}`;
  using file = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
  try {
    const text = bytes.toBase64({ alphabet: "base64url", omitPadding: true }) + "\n";
    await file.write(new TextEncoder().encode(text));
    await file.sync();
    // Linking, unlike renaming, fails where the name is taken, and the name never shows
    // half a key: whoever reads it, now or after a crash, reads the one that won.
    await Deno.link(draft, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(draft);
  }
  return await Deno.readTextFile(path);
}
