/**
 * Bearer tokens: JWTs signed with one key, under one algorithm.
 *
 * Nothing in a token says how it is to be verified: its header is only compared, never obeyed.
 *
 * @module
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { Env } from "../env.ts";
import type { Principal } from "../runtime/envelope.ts";

/** Longer tokens are refused before anything is computed from them. */
export const TOKEN_CHARS_MAX = 8_192;

/** Beyond it the token unused for longest is verified again at its next use. */
export const VERIFIED_TOKENS_MAX = 50_000;
/** Of all that are remembered; most are of 300. */
const VERIFIED_CHARS_MAX = 32_000_000;

const ALGORITHM = "HS256";
/** RFC 9068: an id token or a mail link signed with the same key is no access token. */
const TYPE = "at+jwt";
const CLOCK_TOLERANCE_SECONDS = 5;

const Claims = z.object({
  // `1e999` is JSON and reads as Infinity: a token without an end.
  exp: z.number().max(Number.MAX_SAFE_INTEGER),
  sub: z.string().regex(/^[^\p{C}]{1,200}$/u),
  roles: z.array(z.string().regex(/^[a-z][a-z0-9-]{0,63}$/)).max(32).default([]),
});

export interface TokenOptions {
  readonly key: CryptoKey;
  readonly issuer: string;
  readonly audience: string;
  readonly env: Pick<Env, "now">;
}

export interface TokenContent {
  /** Who the token speaks for; the id of the principal. */
  readonly sub: string;
  readonly roles: readonly string[];
  readonly ttlMs: number;
}

/** A signed token that {@linkcode TokenVerifier} takes, under the same options, until it ends. */
export function mintToken(options: TokenOptions, content: TokenContent): Promise<string> {
  const { key, issuer, audience, env } = options;
  const issuedAt = Math.floor(env.now() / 1_000);
  const exp = Math.ceil((env.now() + content.ttlMs) / 1_000);
  // Parsed so that nothing is minted which would not be believed.
  const { sub, roles } = Claims.parse({ sub: content.sub, roles: content.roles, exp });
  return new SignJWT({ roles })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(sub)
    .setIssuedAt(issuedAt)
    .setExpirationTime(exp)
    .sign(key);
}

interface VerifiedToken {
  readonly principal: Principal;
  readonly expiresAt: number;
}

/** Tells whom a token speaks for. A token that held is remembered until it ends. */
export class TokenVerifier {
  readonly #options: TokenOptions;
  // Under themselves: a digest of each would cost a request 3 µs, and hide nothing from whoever reads
  // this memory, in which the key lies.
  readonly #verified = new LRUCache<string, VerifiedToken>({
    max: VERIFIED_TOKENS_MAX,
    maxSize: VERIFIED_CHARS_MAX,
    sizeCalculation: (_, token) => token.length,
  });
  readonly #inFlight = new Map<string, Promise<VerifiedToken | undefined>>();

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** The principal, or `undefined` for whatever is not a valid token. */
  async verify(token: string): Promise<Principal | undefined> {
    if (token.length > TOKEN_CHARS_MAX) return undefined;
    const known = this.#verified.get(token);
    if (known !== undefined) {
      if (this.#options.env.now() < known.expiresAt) return known.principal;
      this.#verified.delete(token);
      return undefined;
    }
    return (await this.#verifyOnce(token))?.principal;
  }

  /** A rush begins with the same token on many requests: they share one computation. */
  #verifyOnce(token: string): Promise<VerifiedToken | undefined> {
    const underWay = this.#inFlight.get(token);
    if (underWay !== undefined) return underWay;
    const verification = verified(this.#options, token).then((result) => {
      // What did not hold is not kept: forgers would crowd out everybody else.
      if (result !== undefined) this.#verified.set(token, result);
      return result;
    }).finally(() => this.#inFlight.delete(token));
    this.#inFlight.set(token, verification);
    return verification;
  }
}

async function verified(
  { key, issuer, audience, env }: TokenOptions,
  token: string,
): Promise<VerifiedToken | undefined> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [ALGORITHM],
      typ: TYPE,
      issuer,
      audience,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(env.now()),
    });
    const claims = Claims.safeParse(payload);
    if (!claims.success) return undefined;
    const { sub, roles, exp } = claims.data;
    return {
      principal: { id: sub, roles },
      expiresAt: (exp + CLOCK_TOLERANCE_SECONDS) * 1_000,
    };
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}
