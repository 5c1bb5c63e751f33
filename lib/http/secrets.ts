/** Secrets that this service makes up and hands out once: it keeps what they hash to, and no more. */
import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";

const SECRET_BYTES = 32;

/** 43 characters that nobody can guess. Not from Env: what a seed can repeat is no secret. */
export function newSecret(): string {
  return crypto.getRandomValues(new Uint8Array(SECRET_BYTES))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Enough for what has as many bits as the digest: only what people choose takes a slow hash. */
export function digestOf(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}

/** Takes as long wherever they differ. */
export function isSameDigest(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

/** A UUID without what separates its parts, and back. */
export function bareUuid(uuid: string): string {
  return uuid.replaceAll("-", "");
}

export function uuidOfBare(bare: string): string {
  return bare.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
