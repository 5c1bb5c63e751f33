/** How a Redis names the scripts that it was sent. */
import { createHash } from "node:crypto";
import type { Script } from "./key_value.ts";

const hashes = new WeakMap<Script, string>();

/** The name under which a Redis keeps it. */
export function hashOf(script: Script): string {
  let hash = hashes.get(script);
  if (hash === undefined) {
    hash = createHash("sha1").update(script.lua).digest("hex");
    hashes.set(script, hash);
  }
  return hash;
}

/** The Redis was never sent it, or has forgotten it in a restart: nothing was done. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && /\bNOSCRIPT\b/.test(error.message);
}
