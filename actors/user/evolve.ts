/** Where recorded events lead. */
import type { Event } from "./events.ts";
import { endOf, failuresAt, type Role, type Scope, type Session, type State } from "./state.ts";

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "Registered": {
      const { email, passwordHash, verification, at } = event;
      const { verification: _, ...rest } = state;
      return {
        ...rest,
        status: "unverified",
        email,
        passwordHash,
        roles: ["user"],
        registeredAt: at,
        ...(verification !== undefined && { verification }),
      };
    }
    case "EmailVerified": {
      const { verification: _, ...rest } = state;
      return { ...rest, status: "active" };
    }
    case "SignUpRefused":
      return state;
    case "SignedIn":
      return signedIn(state, event);
    case "SignInFailed":
      return {
        ...state,
        failures: failuresAt(state, Date.parse(event.at)) + 1,
        lastFailedAt: event.at,
      };
    case "PasswordRehashed":
      return { ...state, passwordHash: event.passwordHash };
    case "PasswordChanged": {
      const { lastFailedAt: _, ...rest } = state;
      return { ...rest, failures: 0, passwordHash: event.passwordHash };
    }
    case "SessionRefreshed":
      return withSession(state, event.sessionId, ({ generation, tokenHash, ...session }) => ({
        ...session,
        generation: generation + 1,
        tokenHash: event.tokenHash,
        previousHash: tokenHash,
        refreshedAt: event.at,
      }));
    case "SessionsEnded": {
      const ended = new Set(event.sessionIds);
      return { ...state, sessions: state.sessions.filter(({ id }) => !ended.has(id)) };
    }
    case "KeyMade":
      return keyMade(state, event);
    case "KeyRevoked":
      return { ...state, keys: state.keys.filter(({ id }) => id !== event.keyId) };
    case "Disabled":
      return { ...state, status: "disabled" };
    case "Enabled":
      return { ...state, status: event.status };
    case "RolesChanged":
      return { ...state, roles: event.roles as readonly Role[] };
    case "Revised":
      return {
        ...state,
        profile: changed(state.profile, event.profile),
        preferences: changed(state.preferences, event.preferences),
        settings: changed(state.settings, event.settings),
      };
  }
}

type EventOf<Type extends Event["type"]> = Extract<Event, { readonly type: Type }>;

function signedIn(state: State, { sessionId, tokenHash, device, at }: EventOf<"SignedIn">): State {
  const { lastFailedAt: _, ...rest } = state;
  const session: Session = {
    id: sessionId,
    generation: 0,
    tokenHash,
    startedAt: at,
    refreshedAt: at,
    ...(device !== undefined && { device }),
  };
  const now = Date.parse(at);
  const going = state.sessions.filter((each) => endOf(each) > now);
  return { ...rest, failures: 0, sessions: [...going, session] };
}

function keyMade(state: State, event: EventOf<"KeyMade">): State {
  const { type: _, keyId: id, at: madeAt, scopes, ...key } = event;
  const now = Date.parse(madeAt);
  const good = state.keys.filter(({ expiresAt }) => Date.parse(expiresAt) > now);
  return { ...state, keys: [...good, { ...key, id, madeAt, scopes: scopes as readonly Scope[] }] };
}

function withSession(state: State, id: string, change: (session: Session) => Session): State {
  const sessions = state.sessions.map((session) => session.id === id ? change(session) : session);
  return { ...state, sessions };
}

function changed<T extends object>(
  before: T,
  changes: Readonly<Record<string, string | boolean | null>> = {},
): T {
  const entries = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(entries) as T;
}
