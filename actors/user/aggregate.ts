/**
 * A user: who signs in with a password, and what that person has been given to show for it.
 *
 * What `decide` upholds and everyone else may assume:
 * - nobody signs in before the address is verified, while disabled, or in a pause after failures;
 * - of a session the newest refresh token is good, and the one before for a retry within seconds; an
 *   older one ends the session;
 * - what is recorded of whoever is not there is as much as of others, so that it takes as long;
 * - whatever takes something from a user ends the sessions in which it could still be used;
 * - nobody changes their own roles, or disables themselves.
 *
 * @module
 */
import {
  accept,
  type Decision,
  type DecisionContext,
  reject,
} from "../../lib/runtime/aggregate.ts";
import type { Command, CommandOf } from "./commands.ts";
import type { Ending, Event } from "./events.ts";
import {
  endOf,
  isActive,
  isPaused,
  keyOf,
  KEYS_MAX,
  RETRY_APART_MS,
  RETRY_MS,
  type Role,
  type Session,
  sessionOf,
  SESSIONS_MAX,
  type State,
  VERIFICATION_MS,
} from "./state.ts";

export type { Command } from "./commands.ts";
export { Event } from "./events.ts";
export { evolve } from "./evolve.ts";
export { snapshot } from "./snapshot.ts";
export { initial, type State } from "./state.ts";

export const kind = "user";

export type Reason =
  | "not-found"
  | "not-verified"
  | "disabled"
  /** The password, or the token, is not the one in force. */
  | "wrong-credentials"
  | "paused"
  | "session-ended"
  | "no-such-session"
  | "too-many-keys"
  | "no-such-key"
  | "key-exists"
  | "not-oneself";

type Verdict = Decision<Event, Reason>;

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  if (command.type === "Register") return register(state, command, context);
  if (command.type === "Appoint") return appoint(state, command, context);
  if (command.type === "FailSignIn") return failSignIn(state, context);
  if (state.status === "absent") return reject("not-found");
  switch (command.type) {
    case "VerifyEmail":
      return verifyEmail(state, command, context);
    case "SignIn":
      return signIn(state, command, context);
    case "Refresh":
      return refresh(state, command, context);
    case "EndSession":
      return sessionOf(state, command.sessionId, context.at) === undefined
        ? reject("no-such-session")
        : accept(ended([command.sessionId], "signed-out", context));
    case "EndAllSessions":
      return accept(allEnded(state, "signed-out-everywhere", context));
    case "ChangePassword":
      return changePassword(state, command, context);
    case "Revise":
      return revise(state, command);
    case "MakeKey":
      return makeKey(state, command, context);
    case "RevokeKey":
      return keyOf(state, command.keyId, context.at) === undefined
        ? reject("no-such-key")
        : accept(keyRevoked(command.keyId, context));
    case "Disable":
    case "Enable":
    case "SetRoles":
      return administer(state, command, context);
  }
}

function register(state: State, command: CommandOf<"Register">, context: DecisionContext): Verdict {
  if (state.status !== "absent" && state.status !== "unverified") {
    return accept({ type: "SignUpRefused", at: timeOf(context) });
  }
  const { email, passwordHash, verificationHash: hash } = command;
  const verification = { hash, until: new Date(context.at + VERIFICATION_MS).toISOString() };
  return accept({ type: "Registered", email, passwordHash, verification, at: timeOf(context) });
}

function appoint(state: State, command: CommandOf<"Appoint">, context: DecisionContext): Verdict {
  const at = timeOf(context);
  const { email, passwordHash } = command;
  const roles = [...new Set<Role>(["user", ...state.roles, ...command.roles])];
  const isVerified = isActive(state) ||
    (state.status === "disabled" && state.verification === undefined);
  const before: readonly Event[] = !isVerified
    ? [{ type: "Registered", email, passwordHash, at }, { type: "EmailVerified", at }]
    : isActive(state)
    ? []
    : [enabled(state)];
  return accept<Event>(
    ...before,
    { type: "RolesChanged", roles },
    allEnded(state, "roles-changed", context),
  );
}

function verifyEmail(
  { status, verification }: State,
  { verificationHash }: CommandOf<"VerifyEmail">,
  context: DecisionContext,
): Verdict {
  if (status === "disabled") return reject("disabled");
  const isRight = verification?.hash === verificationHash &&
    Date.parse(verification.until) > context.at;
  return isRight
    ? accept({ type: "EmailVerified", at: timeOf(context) })
    : reject("wrong-credentials");
}

function failSignIn(state: State, context: DecisionContext): Verdict {
  return isPaused(state, context.at)
    ? accept()
    : accept({ type: "SignInFailed", at: timeOf(context) });
}

function signIn(state: State, command: CommandOf<"SignIn">, context: DecisionContext): Verdict {
  const { passwordHash, rehashed, type: _, ...session } = command;
  if (passwordHash !== state.passwordHash) return reject("wrong-credentials");
  if (isPaused(state, context.at)) return reject("paused");
  if (state.status === "disabled") return reject("disabled");
  if (!isActive(state)) return reject("not-verified");
  const going = state.sessions.filter((each) => endOf(each) > context.at);
  const tooMany = Math.max(0, going.length + 1 - SESSIONS_MAX);
  const displaced = going.toSorted(byLastUse).slice(0, tooMany).map(({ id }) => id);
  return accept<Event>(
    ...displaced.length === 0 ? [] : [ended(displaced, "displaced", context)],
    ...rehashed === undefined
      ? []
      : [{ type: "PasswordRehashed", passwordHash: rehashed } as const],
    { ...session, type: "SignedIn", at: timeOf(context) },
  );
}

function byLastUse(a: Session, b: Session): number {
  return Date.parse(a.refreshedAt) - Date.parse(b.refreshedAt);
}

function refresh(state: State, command: CommandOf<"Refresh">, context: DecisionContext): Verdict {
  const { sessionId, generation, tokenHash, nextHash } = command;
  const session = sessionOf(state, sessionId, context.at);
  if (session === undefined || !isActive(state)) return reject("session-ended");
  if (tokenHash === session.tokenHash) {
    const at = timeOf(context);
    return accept({ type: "SessionRefreshed", sessionId, tokenHash: nextHash, at });
  }
  const isRetry = tokenHash === session.previousHash &&
    context.at - Date.parse(session.refreshedAt) <= RETRY_MS + RETRY_APART_MS;
  if (isRetry) return accept();
  return generation < session.generation
    ? accept(ended([sessionId], "token-reused", context))
    : reject("session-ended");
}

function changePassword(
  state: State,
  command: CommandOf<"ChangePassword">,
  context: DecisionContext,
): Verdict {
  if (command.passwordHash !== state.passwordHash) return reject("wrong-credentials");
  if (isPaused(state, context.at)) return reject("paused");
  if (!isActive(state)) return reject("disabled");
  const keys = command.keepsKeys ? [] : state.keys;
  const others = state.sessions.map(({ id }) => id).filter((id) => id !== command.sessionId);
  return accept<Event>(
    { type: "PasswordChanged", passwordHash: command.newPasswordHash },
    ...keys.map(({ id: keyId }) => keyRevoked(keyId, context)),
    { ...ended(others, "password-changed", context), isWhole: true },
  );
}

/** What is already so is no change. */
function revise(
  state: State,
  { profile = {}, preferences = {}, settings = {} }: CommandOf<"Revise">,
): Verdict {
  const changes = {
    ...part("profile", state.profile, profile),
    ...part("preferences", state.preferences, preferences),
    ...part("settings", state.settings, settings),
  };
  return Object.keys(changes).length === 0 ? accept() : accept({ type: "Revised", ...changes });
}

type Change = string | boolean | null;

function part(name: "profile" | "preferences" | "settings", before: object, wanted: object) {
  const now = new Map<string, Change>(Object.entries(before));
  const changes = Object.entries(wanted as Readonly<Record<string, Change | undefined>>)
    .filter((entry): entry is [string, Change] => entry[1] !== undefined)
    .filter(([field, value]) => (now.get(field) ?? null) !== value);
  return changes.length === 0 ? {} : { [name]: Object.fromEntries(changes) };
}

function makeKey(state: State, command: CommandOf<"MakeKey">, context: DecisionContext): Verdict {
  if (!isActive(state)) return reject("disabled");
  if (state.keys.some(({ id }) => id === command.keyId)) return reject("key-exists");
  const good = state.keys.filter(({ expiresAt }) => Date.parse(expiresAt) > context.at);
  if (good.length >= KEYS_MAX) return reject("too-many-keys");
  const { type: _, scopes, ...key } = command;
  return accept({ type: "KeyMade", ...key, scopes: [...scopes], at: timeOf(context) });
}

function administer(
  state: State,
  command: CommandOf<"Disable" | "Enable" | "SetRoles">,
  context: DecisionContext,
): Verdict {
  if (context.principal.id === context.key) return reject("not-oneself");
  switch (command.type) {
    case "Disable":
      return state.status === "disabled"
        ? accept()
        : accept({ type: "Disabled" }, allEnded(state, "disabled", context));
    case "Enable":
      return state.status === "disabled" ? accept(enabled(state)) : accept();
    case "SetRoles": {
      const roles = [...new Set<Role>(["user", ...command.roles])];
      const isSame = roles.toSorted().join() === state.roles.toSorted().join();
      if (isSame) return accept();
      return accept({ type: "RolesChanged", roles }, allEnded(state, "roles-changed", context));
    }
  }
}

function enabled({ verification }: State): Event {
  return { type: "Enabled", status: verification === undefined ? "active" : "unverified" };
}

function allEnded({ sessions }: State, because: Ending, context: DecisionContext): Event {
  return { ...ended(sessions.map(({ id }) => id), because, context), isWhole: true };
}

function ended(sessionIds: readonly string[], because: Ending, context: DecisionContext) {
  const at = timeOf(context);
  const end = { type: "SessionsEnded", because, isWhole: false, at } as const;
  return { ...end, sessionIds: [...sessionIds] };
}

function keyRevoked(keyId: string, context: DecisionContext) {
  return { type: "KeyRevoked", keyId, at: timeOf(context) } as const;
}

function timeOf({ at }: DecisionContext): string {
  return new Date(at).toISOString();
}
