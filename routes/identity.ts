/**
 * What the routes of users share: who somebody is, by name or by token, and whether a password will do.
 *
 * @module
 */
import type { Context } from "hono";
import type { Kysely } from "kysely";
import * as LoginName from "../actors/login_name/aggregate.ts";
import * as User from "../actors/user/aggregate.ts";
import type { UserTables } from "../actors/user/projection.ts";
import type { Env } from "../lib/env.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { invalidBody } from "../lib/http/parsed.ts";
import type { RefreshTokens } from "../lib/http/refresh_tokens.ts";
import type { TokenOptions } from "../lib/http/tokens.ts";
import type { OutgoingMail } from "../lib/mail/mail.ts";
import type { PasswordHashing } from "../lib/passwords/hashing.ts";
import type { Audit } from "../lib/runtime/audit.ts";
import type { Cause } from "../lib/runtime/envelope.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { stableUuid } from "../lib/stable_uuid.ts";
import type { Showing } from "./consistency.ts";
import type { LetterOptions } from "./letters.ts";
import { noAccount } from "./user_problems.ts";

export interface IdentityOptions {
  readonly system: ActorSystem;
  readonly audit: Audit;
  readonly consistencyWaitMs: number;
  readonly env: Pick<Env, "now" | "uuid">;
  readonly identity: {
    readonly hashing: PasswordHashing;
    readonly tokens: TokenOptions;
    readonly refreshTokens: RefreshTokens;
    readonly mail: OutgoingMail;
    readonly letters: LetterOptions;
    readonly db: Kysely<UserTables>;
    readonly listing: Showing;
  };
  /**
   * Counts an attempt on an account by the name that it is made under.
   *
   * @throws {ProblemError} 429 where there were too many.
   */
  readonly admitAs?: (
    c: Context,
    limit: "login" | "sign-up",
    account: string,
  ) => void | Promise<void>;
  /** Counts a refresh for its session, or for the address of whoever shows no token of any. */
  readonly admitSession?: (c: Context, sessionId: string | undefined) => void | Promise<void>;
}

/** The key of the actor that a name is; the name cannot be told from it, only tried. */
export function loginKeyOf(email: string): string {
  return stableUuid(`login\n${email}`);
}

/**
 * Of a request that several actors have a part in, and whose answer may have a secret in it: nobody has
 * read them at one version, and it is remembered nowhere.
 */
export function causeOfSeveral(c: Context<CallerEnv>): Cause {
  const { expectedVersion: _, idempotency: __, ...cause } = causeOf(c);
  return cause;
}

/** Whose name it is, confirmed with the store; undefined for nobody's. */
export async function userNamed(
  system: ActorSystem,
  email: string,
  cause: Cause,
): Promise<string | undefined> {
  const key = loginKeyOf(email);
  const { view } = await system.read(LoginName, key, cause, ({ userId }) => userId, strong);
  return view;
}

/** Confirmed with the store: what another node has changed counts. */
export async function stateOf(
  system: ActorSystem,
  userId: string,
  cause: Cause,
): Promise<User.State> {
  return (await system.read(User, userId, cause, (state) => state, strong)).view;
}

const strong = { isStrong: true };

/** @throws {ProblemError} 404 for a caller who is somebody elsewhere, or a program's. */
export async function ownState(
  c: Context<CallerEnv>,
  system: ActorSystem,
): Promise<User.State> {
  const cause = causeOf(c);
  const { view } = await system.read(User, cause.principal.id, cause, (state) => state);
  if (view.status === "absent") throw noAccount();
  return view;
}

/** @throws {ProblemError} 400 for a password that would be guessed. */
export async function requireGoodPassword(
  hashing: PasswordHashing,
  password: string,
  { email, field }: { readonly email: string; readonly field: string },
): Promise<void> {
  const plain = password.normalize("NFKC").toLowerCase();
  if (plain === email || plain === email.split("@")[0]) {
    throw invalidBody([field], "Must not be the e-mail address or its name");
  }
  if (await hashing.isCommon(password)) {
    throw invalidBody([field], "Must not be one of the most common passwords");
  }
}
