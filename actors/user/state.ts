/** What there is to a user, and what follows from it. */

export const roles = ["user", "organizer", "trader", "feed", "admin"] as const;
export type Role = typeof roles[number];

/** What a key can be good for. Who one is, and what secrets one has, is never among it. */
export const scopes = [
  "events:read",
  "events:write",
  "trading:read",
  "trading:write",
  "webhooks:read",
  "webhooks:write",
  "jobs:read",
  "jobs:write",
  "flows:read",
  "flows:write",
  "schedules:read",
  "schedules:write",
  "operations:read",
  "operations:write",
] as const;
export type Scope = typeof scopes[number];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** How long a token of a session is good for; then it takes a refresh. */
export const ACCESS_MS = 10 * MINUTE_MS;
/** Since one signed in, however often it was refreshed. */
export const SESSION_MS = 30 * DAY_MS;
/** Since it was last refreshed. */
export const SESSION_IDLE_MS = 7 * DAY_MS;
/** The one refreshed longest ago goes for a new one. */
export const SESSIONS_MAX = 20;
/** A client whose answer got lost asks again with the same token: that is no theft. */
export const RETRY_MS = 10_000;
/**
 * So much later by the clock it is a retry still, as another node's may be ahead. No more than that:
 * for as long whoever has stolen a token that was used shares in the session, and nobody notices.
 */
export const RETRY_APART_MS = 20_000;

/** Whatever else depends on the clocks of two nodes holds while they are no further apart. */
export const CLOCKS_APART_MS = 5 * MINUTE_MS;

export const VERIFICATION_MS = DAY_MS;

export const KEYS_MAX = 20;
export const KEY_DAYS_MAX = 366;

/** Failures in a row before there is a pause. */
export const FAILURES_FREE = 5;
const PAUSE_FIRST_MS = 5_000;
const PAUSE_MOST_MS = 15 * MINUTE_MS;
/** After such a quiet time failures are not in a row. */
const FAILURES_APART_MS = DAY_MS;

export interface Profile {
  readonly displayName?: string;
  readonly about?: string;
}

export interface Preferences {
  readonly locale?: string;
  readonly timeZone?: string;
  readonly theme?: "light" | "dark" | "system";
}

export interface Settings {
  readonly mailNotices?: boolean;
  readonly mailReminders?: boolean;
}

/** A family of refresh tokens, of which the newest is good. All times are ISO 8601. */
export interface Session {
  readonly id: string;
  /** How often it was refreshed. */
  readonly generation: number;
  readonly tokenHash: string;
  readonly previousHash?: string;
  readonly startedAt: string;
  readonly refreshedAt: string;
  readonly device?: string;
}

export interface ApiKey {
  readonly id: string;
  readonly secretHash: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly madeAt: string;
  readonly expiresAt: string;
}

export interface State {
  readonly status: "absent" | "unverified" | "active" | "disabled";
  readonly email: string;
  readonly passwordHash: string;
  readonly roles: readonly Role[];
  readonly registeredAt: string;
  readonly verification?: { readonly hash: string; readonly until: string };
  /** In a row. */
  readonly failures: number;
  readonly lastFailedAt?: string;
  /** In the order in which they began. */
  readonly sessions: readonly Session[];
  readonly keys: readonly ApiKey[];
  readonly profile: Profile;
  readonly preferences: Preferences;
  readonly settings: Settings;
}

export const initial: State = {
  status: "absent",
  email: "",
  passwordHash: "",
  roles: [],
  registeredAt: "",
  failures: 0,
  sessions: [],
  keys: [],
  profile: {},
  preferences: {},
  settings: {},
};

/** When it ends unless it is refreshed, in epoch milliseconds. */
export function endOf({ startedAt, refreshedAt }: Session): number {
  return Math.min(Date.parse(startedAt) + SESSION_MS, Date.parse(refreshedAt) + SESSION_IDLE_MS);
}

export function sessionOf({ sessions }: State, id: string, at: number): Session | undefined {
  return sessions.find((session) => session.id === id && endOf(session) > at);
}

export function keyOf({ keys }: State, id: string, at: number): ApiKey | undefined {
  return keys.find((key) => key.id === id && Date.parse(key.expiresAt) > at);
}

export function isActive({ status }: State): boolean {
  return status === "active";
}

/** Failures that count at that time. */
export function failuresAt({ failures, lastFailedAt }: State, at: number): number {
  const isRecent = lastFailedAt !== undefined && at - Date.parse(lastFailedAt) < FAILURES_APART_MS;
  return isRecent ? failures : 0;
}

/** Whether nobody may sign in for now, be the password right or wrong. */
export function isPaused(state: State, at: number): boolean {
  const failures = failuresAt(state, at);
  if (failures < FAILURES_FREE) return false;
  const pauseMs = Math.min(PAUSE_MOST_MS, PAUSE_FIRST_MS * 2 ** (failures - FAILURES_FREE));
  const leftMs = Date.parse(state.lastFailedAt!) + pauseMs - at;
  // More can only be left where a clock was set back.
  return leftMs > 0 && leftMs <= pauseMs + CLOCKS_APART_MS;
}
