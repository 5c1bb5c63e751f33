/**
 * Signing up, in and out; and the keys by which anybody may verify tokens.
 *
 * Whoever asks learns nothing of whether there is such an account, not from the answer and not from
 * the time it takes: passwords are hashed in any case, and the rest goes by mail.
 *
 * @module
 */
import type { Context } from "hono";
import * as LoginName from "../actors/login_name/aggregate.ts";
import * as User from "../actors/user/aggregate.ts";
import { ACCESS_MS, SESSION_MS, sessionOf } from "../actors/user/state.ts";
import { answer, KEPT } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { RefreshToken } from "../lib/http/refresh_tokens.ts";
import { bareUuid, digestOf, newSecret, uuidOfBare } from "../lib/http/secrets.ts";
import { mintToken } from "../lib/http/tokens.ts";
import type { Cause } from "../lib/runtime/envelope.ts";
import { audited, record } from "./audited.ts";
import {
  causeOfSeveral,
  type IdentityOptions,
  loginKeyOf,
  ownState,
  requireGoodPassword,
  stateOf,
  userNamed,
} from "./identity.ts";
import { alreadyRegisteredLetter, verificationLetter } from "./letters.ts";
import { sessionEnded, users as problems, wrongCredentials } from "./user_problems.ts";
import * as Schema from "./user_schemas.ts";

const identity = { tag: "identity" } as const;

export function auth(options: IdentityOptions): readonly Route[] {
  return [
    ...signingUp(options),
    ...signingIn(options),
    ...signingOut(options),
    ...keySet(options),
  ];
}

function signingUp(options: IdentityOptions): readonly Route[] {
  const { system, audit, env, admitAs } = options;
  const { hashing, mail, letters } = options.identity;
  return [
    route({
      ...identity,
      id: "signUp",
      method: "post",
      path: "/api/v1/auth/sign-up",
      summary: "Asks for an account; how to verify the address comes by mail",
      access: "anyone",
      limit: "sign-up",
      body: Schema.SignUp,
      answers: { 202: Schema.SignedUp },
    }, async (c, { body: { email, password } }) => {
      await admitAs?.(c, "sign-up", email);
      await requireGoodPassword(hashing, password, { email, field: "password" });
      const passwordHash = await hashing.hash(password);
      const cause = causeOfSeveral(c);
      return await audited(c, audit, { act: "sign up", subject: nameOf(email) }, async (say) => {
        const claim = { type: "Claim", userId: env.uuid() } as const;
        const key = loginKeyOf(email);
        const claimed = await system.ask(LoginName, key, claim, cause, ({ state }) => state.userId);
        if (!claimed.accepted) throw new Error(`A name was refused: ${claimed.reason}`);
        const userId = claimed.answer!;
        say({ subject: `user/${userId}` });
        const secret = newSecret();
        const verificationHash = digestOf(secret);
        const command = { type: "Register", email, passwordHash, verificationHash } as const;
        const outcome = await system.ask(User, userId, command, cause, ({ events }) => {
          return events.some(({ type }) => type === "Registered");
        });
        if (!outcome.accepted) throw new Error(`Nobody can sign up: ${outcome.reason}`);
        if (outcome.answer) {
          mail.post(verificationLetter(email, verificationToken(userId, secret), letters));
        } else {
          say({ outcome: "refused" });
          mail.post(alreadyRegisteredLetter(email));
        }
        return answer(c, 202, { status: "verification-sent" });
      });
    }),
    route({
      ...identity,
      id: "verifyEmail",
      method: "post",
      path: "/api/v1/auth/verify",
      summary: "Verifies an address by what was sent to it",
      access: "anyone",
      limit: "login",
      body: Schema.Verification,
      answers: { 204: null },
      problems: problems.known("wrong-token"),
    }, async (c, { body: { token, password } }) => {
      const wrong = () => problemResponse(c, ...problems.problemOf("wrong-token"));
      const { userId, secret } = verificationIn(token) ?? {};
      await admitAs?.(c, "login", userId ?? "");
      if (userId === undefined || secret === undefined) return wrong();
      const subject = `user/${userId}`;
      return await audited(c, audit, { act: "email verify", subject }, async (say) => {
        const cause = causeOfSeveral(c);
        const verificationHash = digestOf(secret);
        const state = await stateOf(system, userId, cause);
        // The token first: the password of somebody else's account cannot be tried here.
        if (state.verification?.hash !== verificationHash) return wrong();
        const { isRight } = await hashing.verify(password, state.passwordHash);
        if (!isRight) return wrong();
        say({ by: userId });
        const command = { type: "VerifyEmail", verificationHash } as const;
        const outcome = await system.ask(User, userId, command, cause, () => null);
        return outcome.accepted ? answer(c, 204) : wrong();
      });
    }),
  ];
}

function signingIn(options: IdentityOptions): readonly Route[] {
  const { system, audit, env, admitAs, admitSession } = options;
  const { hashing, refreshTokens } = options.identity;
  return [
    route({
      ...identity,
      id: "signIn",
      method: "post",
      path: "/api/v1/auth/login",
      summary: "Begins a session: an access token for ten minutes, and one to refresh it with",
      access: "anyone",
      limit: "login",
      body: Schema.SignIn,
      answers: { 200: Schema.Tokens },
      problems: problems.known("wrong-credentials", "not-verified", "disabled"),
    }, async (c, { body: { email, password, device } }) => {
      await admitAs?.(c, "login", email);
      return await audited(c, audit, { act: "sign in", subject: nameOf(email) }, async (say) => {
        const cause = causeOfSeveral(c);
        // Where there is nobody, all that follows is done for somebody who is not there.
        const userId = await userNamed(system, email, cause) ?? loginKeyOf(email);
        const state = await stateOf(system, userId, cause);
        const isThere = state.status !== "absent";
        const { isRight, isOutdated } = await hashing.verify(
          password,
          isThere ? state.passwordHash : undefined,
        );
        if (isThere) say({ subject: `user/${userId}` });
        if (!isRight) {
          await system.ask(User, userId, { type: "FailSignIn" }, cause, () => null);
          return wrongCredentials(c);
        }
        say({ by: userId });
        const sessionId = env.uuid();
        const first = await refreshTokens.first(userId, sessionId);
        const outcome = await system.ask(
          User,
          userId,
          {
            type: "SignIn",
            passwordHash: state.passwordHash,
            ...(isOutdated && { rehashed: await hashing.hash(password) }),
            sessionId,
            tokenHash: first.digest,
            ...(device !== undefined && { device }),
          },
          { ...cause, principal: { id: userId, roles: [] } },
          ({ state }) => state,
        );
        if (outcome.accepted) return await tokensFor(c, first, outcome.answer, options);
        const { reason } = outcome;
        return reason === "not-verified" || reason === "disabled"
          ? problems.refused(c, outcome)
          : wrongCredentials(c);
      });
    }),
    route({
      ...identity,
      id: "refreshSession",
      method: "post",
      path: "/api/v1/auth/refresh",
      summary: "Gives the next tokens of a session for its newest refresh token",
      description: "A refresh token is good once. Within ten seconds the same request gets the " +
        "same next refresh token again; after that it is taken for stolen, and the session ends.",
      access: "anyone",
      limit: "refresh",
      body: Schema.Refresh,
      answers: { 200: Schema.Tokens },
      problems: problems.known("session-ended"),
    }, async (c, { body: { refreshToken } }) => {
      const shown = await refreshTokens.read(refreshToken);
      // By the session that it is sealed for: an office has one address.
      await admitSession?.(c, shown?.sessionId);
      if (shown === undefined) return sessionEnded(c);
      return await refreshed(c, shown, options);
    }),
  ];
}

async function refreshed(
  c: Context<CallerEnv>,
  shown: RefreshToken,
  options: IdentityOptions,
): Promise<Response> {
  const { system, audit, identity: { refreshTokens } } = options;
  const { userId, sessionId, generation, digest: tokenHash } = shown;
  const successors = await refreshTokens.successors(shown);
  const nextHash = successors[0]!.digest;
  const outcome = await system.ask(
    User,
    userId,
    { type: "Refresh", sessionId, generation, tokenHash, nextHash },
    asUser(causeOfSeveral(c), userId),
    ({ state, events }) => ({
      state,
      isEnded: events.some(({ type }) => type === "SessionsEnded"),
    }),
  );
  if (!outcome.accepted) return sessionEnded(c);
  const { state, isEnded } = outcome.answer;
  if (isEnded) {
    const subject = `user/${userId}`;
    const detail = { sessionId };
    await record(c, audit, {
      act: "token reused",
      subject,
      detail,
      outcome: "refused",
      by: userId,
    });
    return sessionEnded(c);
  }
  const inForce = sessionOf(state, sessionId, options.env.now())?.tokenHash;
  const next = successors.find(({ digest }) => digest === inForce);
  return next === undefined ? sessionEnded(c) : await tokensFor(c, next, state, options);
}

/** The answer to whoever may go on: tokens of that session. */
async function tokensFor(
  c: Context<CallerEnv>,
  refresh: RefreshToken,
  state: User.State,
  { env, identity: { tokens } }: IdentityOptions,
): Promise<Response> {
  const { userId, sessionId } = refresh;
  const session = sessionOf(state, sessionId, env.now());
  if (session === undefined) return sessionEnded(c);
  const leftMs = Date.parse(session.startedAt) + SESSION_MS - env.now();
  const ttlMs = Math.min(ACCESS_MS, leftMs);
  const { roles } = state;
  return answer(c, 200, {
    tokenType: "Bearer",
    accessToken: await mintToken(tokens, { sub: userId, roles, ttlMs, sessionId }),
    expiresIn: Math.floor(ttlMs / 1_000),
    refreshToken: refresh.text,
    sessionId,
    userId,
    roles,
  });
}

function signingOut(options: IdentityOptions): readonly Route[] {
  const { system, audit, admitAs } = options;
  const { hashing } = options.identity;
  return [
    route({
      ...identity,
      id: "signOut",
      method: "post",
      path: "/api/v1/auth/logout",
      summary: "Ends the session that the token belongs to",
      access: "caller",
      answers: { 204: null },
      problems: problems.known("no-session"),
    }, async (c) => {
      const { principal: { id }, sessionId } = c.get("caller");
      if (sessionId === undefined) return problemResponse(c, ...problems.problemOf("no-session"));
      const command = { type: "EndSession", sessionId } as const;
      return await audited(c, audit, { act: "sign out", subject: `user/${id}` }, async () => {
        const outcome = await system.ask(User, id, command, causeOfSeveral(c), () => null);
        // What has ended before is not to be ended again.
        const isOver = outcome.accepted || outcome.reason === "no-such-session";
        return isOver ? answer(c, 204) : problems.refused(c, outcome);
      });
    }),
    route({
      ...identity,
      id: "signOutEverywhere",
      method: "post",
      path: "/api/v1/auth/logout-everywhere",
      summary: "Ends all sessions of the caller",
      access: "caller",
      answers: { 204: null },
      problems: problems.known("no-account"),
    }, async (c) => {
      await ownState(c, system);
      const { id } = c.get("caller").principal;
      const act = { act: "sign out everywhere", subject: `user/${id}` };
      return await audited(c, audit, act, async () => {
        const command = { type: "EndAllSessions" } as const;
        const outcome = await system.ask(User, id, command, causeOfSeveral(c), () => null);
        return outcome.accepted ? answer(c, 204) : problems.refused(c, outcome);
      });
    }),
    route({
      ...identity,
      id: "changePassword",
      method: "post",
      path: "/api/v1/auth/password",
      summary: "Changes the caller's password, and ends all other sessions and API keys",
      access: "caller",
      limit: "login",
      body: Schema.PasswordChange,
      answers: { 204: null },
      problems: problems.known("wrong-credentials", "no-account", "disabled"),
    }, async (c, { body: { password, newPassword, keepApiKeys = false } }) => {
      const { principal: { id }, sessionId } = c.get("caller");
      const { email } = await ownState(c, system);
      await admitAs?.(c, "login", email);
      await requireGoodPassword(hashing, newPassword, { email, field: "newPassword" });
      const detail = { keepApiKeys };
      const act = { act: "password change", subject: `user/${id}`, detail };
      return await audited(c, audit, act, async () => {
        const cause = causeOfSeveral(c);
        const state = await stateOf(system, id, cause);
        const { isRight } = await hashing.verify(password, state.passwordHash);
        if (!isRight) {
          await system.ask(User, id, { type: "FailSignIn" }, cause, () => null);
          return wrongCredentials(c);
        }
        const outcome = await system.ask(
          User,
          id,
          {
            type: "ChangePassword",
            passwordHash: state.passwordHash,
            newPasswordHash: await hashing.hash(newPassword),
            ...(sessionId !== undefined && { sessionId }),
            keepsKeys: keepApiKeys,
          },
          cause,
          () => null,
        );
        if (outcome.accepted) return answer(c, 204);
        const { reason } = outcome;
        return reason === "wrong-credentials" || reason === "paused"
          ? wrongCredentials(c)
          : problems.refused(c, outcome);
      });
    }),
  ];
}

function keySet({ identity: { tokens } }: IdentityOptions): readonly Route[] {
  const keys = { keys: tokens.keys.published };
  return [
    route({
      ...identity,
      id: "getKeySet",
      method: "get",
      path: "/.well-known/jwks.json",
      summary: "The public keys that tokens are verified with, the one that signs now first",
      access: "anyone",
      answers: { 200: Schema.KeySet },
    }, (c) => answer(c, 200, keys, KEPT)),
  ];
}

function asUser(cause: Cause, id: string): Cause {
  return { ...cause, principal: { id, roles: [] } };
}

/** For the audit, where nobody is known by it: not the name, but what it is kept under. */
function nameOf(email: string): string {
  return `login/${loginKeyOf(email)}`;
}

function verificationToken(userId: string, secret: string): string {
  return `trv_${bareUuid(userId)}_${secret}`;
}

const VERIFICATION_FORM = /^trv_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

function verificationIn(token: string) {
  const [, bareUserId, secret] = VERIFICATION_FORM.exec(token) ?? [];
  if (bareUserId === undefined || secret === undefined) return undefined;
  return { userId: uuidOfBare(bareUserId), secret };
}
