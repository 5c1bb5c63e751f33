import { createHash } from "node:crypto";

/** The same UUID for the same text, another for any other. */
export function stableUuid(text: string): string {
  const hash = createHash("sha256").update(text).digest("hex");
  // RFC 9562, version 8: made by rules of one's own.
  const variant = "89ab"[parseInt(hash[16]!, 16) & 3];
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-${variant}${
    hash.slice(17, 20)
  }-${hash.slice(20, 32)}`;
}
