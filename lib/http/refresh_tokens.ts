/**
 * Refresh tokens: opaque to whoever holds one, and of this service's own making.
 *
 * A token names its user, its session, and how often that was refreshed; beside them lie bytes that
 * only its holder has, and a seal over all of it. The next token follows from the one shown, so that a
 * client whose answer got lost is given the same again, and the store needs to know nothing but
 * digests: neither it nor the key alone is enough to make a token.
 *
 * @module
 */
import type { TokenKeys } from "./token_keys.ts";
import { bareUuid, digestOf, uuidOfBare } from "./secrets.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface RefreshToken {
  readonly userId: string;
  readonly sessionId: string;
  readonly generation: number;
  readonly text: string;
  readonly digest: string;
}

interface Content {
  readonly userId: string;
  readonly sessionId: string;
  readonly generation: number;
  /** The same in all tokens of a session. */
  readonly nonce: Bytes;
}

const PREFIX = "trr_";
const UUID_BYTES = 16;
const NONCE_BYTES = 16;
const CONTENT_BYTES = 2 * UUID_BYTES + 4 + NONCE_BYTES;
const SEAL_BYTES = 32;
export const REFRESH_TOKEN_CHARS = PREFIX.length + (CONTENT_BYTES + SEAL_BYTES) / 3 * 4;

export class RefreshTokens {
  readonly #sealing: TokenKeys["sealing"];

  constructor({ sealing }: Pick<TokenKeys, "sealing">) {
    this.#sealing = sealing;
  }

  /** The first of a session. */
  async first(userId: string, sessionId: string): Promise<RefreshToken> {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    return await this.#sealed({ userId, sessionId, generation: 0, nonce }, this.#sealing[0]!);
  }

  /** Undefined for whatever this service has not made, under one of its keys. */
  async read(text: string): Promise<RefreshToken | undefined> {
    const bytes = bytesIn(text);
    if (bytes === undefined) return undefined;
    const content = bytes.slice(0, CONTENT_BYTES);
    const seal = bytes.slice(CONTENT_BYTES);
    for (const key of this.#sealing) {
      if (!await crypto.subtle.verify("HMAC", key, seal, content)) continue;
      const { userId, sessionId, generation } = contentIn(content);
      return { userId, sessionId, generation, text, digest: digestOf(text) };
    }
    return undefined;
  }

  /**
   * What may follow a token that was read, the one that is given out now first: others only where
   * keys are several, and one was put first since.
   */
  async successors({ text }: RefreshToken): Promise<readonly RefreshToken[]> {
    const { generation, ...content } = contentIn(bytesIn(text)!.slice(0, CONTENT_BYTES));
    const next = { ...content, generation: generation + 1 };
    return await Promise.all(this.#sealing.map((key) => this.#sealed(next, key)));
  }

  async #sealed(content: Content, key: CryptoKey): Promise<RefreshToken> {
    const bytes = bytesOf(content);
    const seal = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes));
    const sealed = new Uint8Array([...bytes, ...seal]);
    const text = PREFIX + sealed.toBase64({ alphabet: "base64url" });
    const { userId, sessionId, generation } = content;
    return { userId, sessionId, generation, text, digest: digestOf(text) };
  }
}

function bytesOf({ userId, sessionId, generation, nonce }: Content): Bytes {
  const bytes = new Uint8Array(CONTENT_BYTES);
  bytes.set(Uint8Array.fromHex(bareUuid(userId)), 0);
  bytes.set(Uint8Array.fromHex(bareUuid(sessionId)), UUID_BYTES);
  new DataView(bytes.buffer).setUint32(2 * UUID_BYTES, generation);
  bytes.set(nonce, 2 * UUID_BYTES + 4);
  return bytes;
}

function contentIn(bytes: Bytes): Content {
  const uuidAt = (start: number) => uuidOfBare(bytes.slice(start, start + UUID_BYTES).toHex());
  return {
    userId: uuidAt(0),
    sessionId: uuidAt(UUID_BYTES),
    generation: new DataView(bytes.buffer).getUint32(2 * UUID_BYTES),
    nonce: bytes.slice(2 * UUID_BYTES + 4),
  };
}

const FORM = /^trr_([A-Za-z0-9_-]{112})$/;

function bytesIn(text: string): Bytes | undefined {
  const [, encoded] = FORM.exec(text) ?? [];
  return encoded === undefined
    ? undefined
    : Uint8Array.fromBase64(encoded, { alphabet: "base64url" });
}
