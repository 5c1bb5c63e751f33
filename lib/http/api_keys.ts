/**
 * API keys: what programs show in the place of a token, good for what their owner made them for.
 *
 * @module
 */
import { LRUCache } from "lru-cache";
import type { Env } from "../env.ts";
import type { Principal } from "../runtime/envelope.ts";
import type { Credentials, Verifier } from "./credentials.ts";
import type { Revocation, Revocations } from "./revocations.ts";
import { bareUuid, digestOf, isSameDigest, newSecret, uuidOfBare } from "./secrets.ts";

/** So that whoever finds one, and programs that look for such, know what it is. */
export const API_KEY_PREFIX = "trp_";

/** Beyond it the key unused for longest is looked up again at its next use. */
const VERIFIED_KEYS_MAX = 10_000;
/** A key is looked up again after that, whatever was or was not heard of it. */
const VERIFIED_MS = 600_000;

/** What is kept of a key, and of whom it speaks for. */
export interface KeptKey {
  readonly principal: Principal;
  readonly scopes: readonly string[];
  readonly secretHash: string;
  /** In epoch milliseconds. */
  readonly expiresAt: number;
}

export interface ApiKeyOptions {
  /** Confirmed with the store; undefined where there is no such key, or it is good no more. */
  readonly find: (userId: string, keyId: string) => Promise<KeptKey | undefined>;
  readonly revocations: Pick<Revocations, "onRevoked">;
  readonly env: Pick<Env, "now">;
}

type Admit = Parameters<Verifier["verify"]>[1];

interface VerifiedKey extends Credentials {
  readonly keyId: string;
  readonly until: number;
}

/** A key, to be shown once, and what to keep of it. */
export function newApiKey(userId: string, keyId: string): { text: string; secretHash: string } {
  const secret = newSecret();
  const text = `${API_KEY_PREFIX}${bareUuid(userId)}${bareUuid(keyId)}_${secret}`;
  return { text, secretHash: digestOf(secret) };
}

const FORM = /^trp_([0-9a-f]{32})([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** A key that held is remembered until something of its owner's is revoked. */
export class ApiKeyVerifier implements Verifier {
  readonly #options: ApiKeyOptions;
  readonly #verified = new LRUCache<string, VerifiedKey>({ max: VERIFIED_KEYS_MAX });
  readonly #inFlight = new Map<string, Promise<VerifiedKey | undefined>>();
  #revocations = 0;

  constructor(options: ApiKeyOptions) {
    this.#options = options;
    options.revocations.onRevoked((revocation) => this.#forget(revocation));
  }

  async verify(key: string, admit?: Admit): Promise<Credentials | undefined> {
    const known = this.#verified.get(key);
    if (known !== undefined && this.#options.env.now() < known.until) return known;
    return await this.#lookUpOnce(key, admit);
  }

  #lookUpOnce(key: string, admit?: Admit): Promise<VerifiedKey | undefined> {
    const underWay = this.#inFlight.get(key);
    if (underWay !== undefined) return underWay;
    const revocations = this.#revocations;
    const lookUp = this.#lookUp(key, admit).then((found) => {
      // What was revoked while it was looked up may have been found as it was before.
      if (found !== undefined && revocations === this.#revocations) this.#verified.set(key, found);
      return found;
    }).finally(() => this.#inFlight.delete(key));
    this.#inFlight.set(key, lookUp);
    return lookUp;
  }

  async #lookUp(key: string, admit?: Admit): Promise<VerifiedKey | undefined> {
    const [, bareUserId, bareKeyId, secret] = FORM.exec(key) ?? [];
    if (bareUserId === undefined || bareKeyId === undefined || secret === undefined) {
      return undefined;
    }
    // Anybody can make one up that is to be looked up.
    await admit?.();
    const keyId = uuidOfBare(bareKeyId);
    const kept = await this.#options.find(uuidOfBare(bareUserId), keyId);
    if (kept === undefined || !isSameDigest(kept.secretHash, digestOf(secret))) return undefined;
    const { principal, scopes, expiresAt } = kept;
    const now = this.#options.env.now();
    if (now >= expiresAt) return undefined;
    return { principal, scopes, keyId, until: Math.min(expiresAt, now + VERIFIED_MS) };
  }

  #forget({ subject, keys, isWhole }: Revocation): void {
    if (!isWhole && keys.length === 0) return;
    this.#revocations++;
    for (const [key, { principal, keyId }] of this.#verified.entries()) {
      const isConcerned = principal.id === subject && (isWhole || keys.includes(keyId));
      if (isConcerned) this.#verified.delete(key);
    }
  }
}
