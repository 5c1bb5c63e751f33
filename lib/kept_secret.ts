/**
 * Secrets that a machine makes for itself at the first start, and keeps in a file.
 *
 * @module
 */
import { dirname } from "node:path";

export const SECRET_BYTES = 32;

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * What is in the file, which is made if it is missing. Processes that start at once end up with the
 * same. Undefined where the file holds something else than at least 32 bytes in base64url.
 */
export async function keptSecret(path: string): Promise<Bytes | undefined> {
  const bytes = secretIn(await keptText(path));
  return bytes.length < SECRET_BYTES ? undefined : bytes;
}

/** The same as it is written; in a file that was just made it is one secret. */
export async function keptText(path: string): Promise<string> {
  return (await textIn(path) ?? await made(path)).trim();
}

/** No bytes at all for what is not base64url: a damaged key must not become a weaker one. */
export function secretIn(text: string): Bytes {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch (error) {
    if (error instanceof SyntaxError) return new Uint8Array();
    throw error;
  }
}

/** Not from Env: a secret that a seed can repeat is none. */
export function newSecret(): Bytes {
  return crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
}

/** Has the file hold these, one a line. Whoever reads it meanwhile reads the old file or the new one, whole. */
export async function replaceSecrets(path: string, secrets: readonly Bytes[]): Promise<void> {
  const draft = await drafted(path, secrets);
  try {
    await Deno.rename(draft, path);
  } catch (error) {
    await Deno.remove(draft);
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

/** Makes the file and tells what is in it, which is another process's secret if that came first. */
async function made(path: string): Promise<string> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const draft = await drafted(path, [newSecret()]);
  try {
    // Linking, unlike renaming, fails where the name is taken, and the name never shows half a
    // secret: whoever reads it, now or after a crash, reads the one that won.
    await Deno.link(draft, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(draft);
  }
  return await Deno.readTextFile(path);
}

/** The path of a file beside that one, on the disk, which only its owner may read. */
async function drafted(path: string, secrets: readonly Bytes[]): Promise<string> {
  const draft = `${path}.${crypto.randomUUID()}`;
  using file = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
  const lines = secrets.map((bytes) =>
    bytes.toBase64({ alphabet: "base64url", omitPadding: true })
  );
  await file.write(new TextEncoder().encode(lines.join("\n") + "\n"));
  await file.sync();
  return draft;
}
