/**
 * Bearer tokens: JWTs signed with Ed25519, under keys of a closed set.
 *
 * Nothing in a token says how it is to be verified: its header is only compared, never obeyed.
 *
 * @module
 */
import { errors, type JWTHeaderParameters, jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { Env } from "../env.ts";
import type { Credentials, Verifier } from "./credentials.ts";
import type { Revocations } from "./revocations.ts";
import type { TokenKeys } from "./token_keys.ts";

/** Longer tokens are refused before anything is computed from them. */
export const TOKEN_CHARS_MAX = 8_192;

/** Beyond it the token unused for longest is verified again at its next use. */
export const VERIFIED_TOKENS_MAX = 50_000;
/** Of all that are remembered; most are of 400. */
const VERIFIED_CHARS_MAX = 32_000_000;

const ALGORITHM = "EdDSA";
/** RFC 9068: an id token or a mail link signed with the same key is no access token. */
const TYPE = "at+jwt";
export const CLOCK_TOLERANCE_MS = 5_000;
/** So much longer a token is written down to last: its times are in whole seconds. */
const ROUNDING_MS = 2_000;

// `1e999` is JSON and reads as Infinity: a token without an end.
const NumericDate = z.number().min(0).max(Number.MAX_SAFE_INTEGER);

const Claims = z.object({
  exp: NumericDate,
  iat: NumericDate,
  sub: z.string().regex(/^[^\p{C}]{1,200}$/u),
  roles: z.array(z.string().regex(/^[a-z][a-z0-9-]{0,63}$/)).max(32).default([]),
  sid: z.uuid().optional(),
});

export interface TokenOptions {
  readonly keys: TokenKeys;
  readonly issuer: string;
  readonly audience: string;
  readonly env: Pick<Env, "now" | "uuid">;
}

/** How long a token may last, of a session and without one. */
export interface TokenLives {
  readonly sessionMs: number;
  readonly subjectMs: number;
}

export interface TokenContent {
  /** Who the token speaks for; the id of the principal. */
  readonly sub: string;
  readonly roles: readonly string[];
  readonly ttlMs: number;
  /** The session that the token ends with; a UUID. */
  readonly sessionId?: string;
}

/** A signed token that {@linkcode TokenVerifier} takes, under the same options, until it ends. */
export function mintToken(options: TokenOptions, content: TokenContent): Promise<string> {
  const { keys: { signing }, issuer, audience, env } = options;
  const iat = Math.floor(env.now() / 1_000);
  const exp = Math.ceil((env.now() + content.ttlMs) / 1_000);
  // Parsed so that nothing is minted which would not be believed.
  const { sub, roles, sid } = Claims.parse({
    sub: content.sub,
    roles: content.roles,
    exp,
    iat,
    sid: content.sessionId,
  });
  return new SignJWT({ roles, ...(sid !== undefined && { sid }) })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: signing.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(sub)
    .setJti(env.uuid())
    .setIssuedAt(iat)
    .setExpirationTime(exp)
    .sign(signing.key);
}

interface VerifiedToken extends Credentials {
  readonly subject: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export interface VerifierOptions extends Omit<TokenOptions, "env"> {
  readonly env: Pick<Env, "now">;
  /** Asked at every use; without them a token holds until it ends. */
  readonly revocations?: Pick<Revocations, "covers">;
  /**
   * What was made to last longer is refused, by whoever and whenever it was made: it would outlive
   * what is known of its revocation.
   */
  readonly longest?: TokenLives;
}

/** A token that held is remembered until it ends; whether it was revoked is asked each time. */
export class TokenVerifier implements Verifier {
  readonly #options: VerifierOptions;
  // Under themselves: a digest of each would cost a request 3 µs, and hide nothing from whoever reads
  // this memory, in which the key lies.
  readonly #verified = new LRUCache<string, VerifiedToken>({
    max: VERIFIED_TOKENS_MAX,
    maxSize: VERIFIED_CHARS_MAX,
    sizeCalculation: (_, token) => token.length,
  });
  readonly #inFlight = new Map<string, Promise<VerifiedToken | undefined>>();

  constructor(options: VerifierOptions) {
    this.#options = options;
  }

  async verify(token: string): Promise<Credentials | undefined> {
    if (token.length > TOKEN_CHARS_MAX) return undefined;
    const known = this.#verified.get(token) ?? await this.#verifyOnce(token);
    if (known === undefined) return undefined;
    const { env, revocations } = this.#options;
    if (env.now() < known.expiresAt && revocations?.covers(known) !== true) return known;
    this.#verified.delete(token);
    return undefined;
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

/** Ends with 64 bytes in their one spelling: the last character could be any of 16 that mean the same. */
const FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]$/;

async function verified(
  { keys, issuer, audience, env, longest }: VerifierOptions,
  token: string,
): Promise<VerifiedToken | undefined> {
  if (!FORM.test(token)) return undefined;
  try {
    const { payload } = await jwtVerify(token, (header) => keyNamedBy(header, keys), {
      algorithms: [ALGORITHM],
      typ: TYPE,
      issuer,
      audience,
      clockTolerance: CLOCK_TOLERANCE_MS / 1_000,
      currentDate: new Date(env.now()),
    });
    const claims = Claims.safeParse(payload);
    if (!claims.success) return undefined;
    const { sub, roles, exp, iat, sid } = claims.data;
    const longestMs = sid === undefined ? longest?.subjectMs : longest?.sessionMs;
    const lastsMs = (exp - iat) * 1_000;
    if (longestMs !== undefined && lastsMs >= longestMs + ROUNDING_MS) return undefined;
    return {
      principal: { id: sub, roles },
      subject: sub,
      issuedAt: iat * 1_000,
      expiresAt: exp * 1_000 + CLOCK_TOLERANCE_MS,
      ...(sid !== undefined && { sessionId: sid }),
    };
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

function keyNamedBy({ kid }: JWTHeaderParameters, { verifying }: TokenKeys): CryptoKey {
  const key = typeof kid === "string" ? verifying.get(kid) : undefined;
  if (key === undefined) throw new errors.JWKSNoMatchingKey();
  return key;
}
