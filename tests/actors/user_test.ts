import assert from "node:assert/strict";
import fc from "fast-check";
import * as User from "../../actors/user/aggregate.ts";
import {
  FAILURES_FREE,
  isPaused,
  KEYS_MAX,
  RETRY_APART_MS,
  RETRY_MS,
  SESSION_IDLE_MS,
  SESSION_MS,
  SESSIONS_MAX,
  VERIFICATION_MS,
} from "../../actors/user/state.ts";
import { AT, given, KEY } from "../support/given.ts";

const iso = (at: number) => new Date(at).toISOString();
const at = iso(AT);

const registered: User.Event = {
  type: "Registered",
  email: "ada@example.org",
  passwordHash: "hash",
  verification: { hash: "v", until: iso(AT + VERIFICATION_MS) },
  at,
};
const active: readonly User.Event[] = [registered, { type: "EmailVerified", at }];
const signedIn = (sessionId: string, time = AT): User.Event => ({
  type: "SignedIn",
  sessionId,
  tokenHash: `${sessionId}0`,
  at: iso(time),
});
const refreshed = (sessionId: string, tokenHash: string, time = AT): User.Event => ({
  type: "SessionRefreshed",
  sessionId,
  tokenHash,
  at: iso(time),
});
const failed = (time: number): User.Event => ({ type: "SignInFailed", at: iso(time) });
const ended = (sessionIds: string[], because: string, isWhole = false) =>
  ({ type: "SessionsEnded", sessionIds, because, isWhole, at }) as User.Event;
const signIn = { type: "SignIn", passwordHash: "hash", sessionId: "s", tokenHash: "s0" } as const;

Deno.test("whoever registers last may verify, for a day", () => {
  const command = {
    type: "Register",
    email: "ada@example.org",
    passwordHash: "hash",
    verificationHash: "v",
  } as const;
  given(User, []).when(command).then(registered);
  const again = given(User, [registered]).when({ ...command, verificationHash: "w" });
  again.then({ ...registered, verification: { hash: "w", until: iso(AT + VERIFICATION_MS) } });
  given(User, active).when(command).then({ type: "SignUpRefused", at });
  const disabled = given(User, [...active, { type: "Disabled" }]);
  disabled.when(command).then({ type: "SignUpRefused", at });
  const { state } = given(User, active);
  assert.deepEqual(User.evolve(state, { type: "SignUpRefused", at }), state);

  const { when } = given(User, [registered]);
  const verify = { type: "VerifyEmail", verificationHash: "v" } as const;
  when(verify).then({ type: "EmailVerified", at });
  when({ ...verify, verificationHash: "w" }).thenRejected("wrong-credentials");
  when(verify, { at: AT + VERIFICATION_MS }).thenRejected("wrong-credentials");
  given(User, active).when(verify).thenRejected("wrong-credentials");
});

Deno.test("nothing is asked of a user who is not there", () => {
  const { when } = given(User, []);
  when(signIn).thenRejected("not-found");
  // But this is recorded as it would be of others, so that it takes as long.
  when({ type: "FailSignIn" }).then(failed(AT));
  when({ type: "EndAllSessions" }).thenRejected("not-found");
  when({ type: "Disable" }).thenRejected("not-found");
});

Deno.test("who signs in has the password in force, a verified address, and is not disabled", () => {
  const { type: _, passwordHash: __, ...session } = signIn;
  given(User, active).when(signIn).then({ type: "SignedIn", ...session, at });
  given(User, active).when({ ...signIn, passwordHash: "old" }).thenRejected("wrong-credentials");
  given(User, [registered]).when(signIn).thenRejected("not-verified");
  given(User, [...active, { type: "Disabled" }]).when(signIn).thenRejected("disabled");
});

Deno.test("a hash that has become too cheap is replaced at a sign-in", () => {
  const { type: _, passwordHash: __, ...session } = signIn;
  given(User, active).when({ ...signIn, rehashed: "dearer" }).then(
    { type: "PasswordRehashed", passwordHash: "dearer" },
    { type: "SignedIn", ...session, at },
  );
});

Deno.test("failures in a row make pauses that grow, up to a quarter of an hour, and a success ends them", () => {
  const pauseAfter = (failures: number) => {
    const { state } = given(User, [
      ...active,
      ...Array.from({ length: failures }, () => failed(AT)),
    ]);
    let pauseMs = 0;
    while (isPaused(state, AT + pauseMs)) pauseMs += 1_000;
    return pauseMs / 1_000;
  };
  const pauses = [4, 5, 6, 7, 20, 1_000].map(pauseAfter);
  assert.deepEqual(pauses, [0, 5, 10, 20, 900, 900]);

  const failures = Array.from({ length: FAILURES_FREE }, () => failed(AT));
  given(User, [...active, ...failures]).when(signIn).thenRejected("paused");
  given(User, [...active, ...failures]).when({ type: "FailSignIn" }).then();
  const { state } = given(User, [...active, ...failures, signedIn("s")]);
  assert.equal(state.failures, 0);
  const later = given(User, [...active, ...failures, failed(AT + 86_400_000)]);
  assert.equal(later.state.failures, 1);
});

Deno.test("a pause is over where a clock was set back, and not where clocks are a little apart", () => {
  const { state } = given(User, [...active, ...Array.from({ length: 20 }, () => failed(AT))]);
  assert(isPaused(state, AT - 60_000), "another node is a minute behind");
  assert.equal(isPaused(state, AT - 3_600_000), false);
  const brief = given(User, [...active, ...Array.from({ length: 5 }, () => failed(AT))]);
  assert.equal(isPaused(brief.state, AT - 3_600_000), false);
});

const refresh = (generation: number, tokenHash: string) =>
  ({ type: "Refresh", sessionId: "s", generation, tokenHash, nextHash: "next" }) as const;

Deno.test("the newest token refreshes; the one before for a retry; an older one ends the session", () => {
  const { when } = given(User, [
    ...active,
    signedIn("s"),
    refreshed("s", "s1"),
    refreshed("s", "s2"),
  ]);
  when(refresh(2, "s2")).then(refreshed("s", "next"));
  when(refresh(1, "s1")).then();
  const last = AT + RETRY_MS + RETRY_APART_MS;
  when(refresh(1, "s1"), { at: last }).then();
  when(refresh(1, "s1"), { at: last + 1 })
    .then({ ...ended(["s"], "token-reused"), at: iso(last + 1) } as User.Event);
  when(refresh(0, "s0")).then(ended(["s"], "token-reused"));
});

Deno.test("a token of no generation so far ends nothing", () => {
  const { when } = given(User, [...active, signedIn("s")]);
  when(refresh(0, "another")).thenRejected("session-ended");
  when(refresh(7, "another")).thenRejected("session-ended");
  when({ ...refresh(0, "s0"), sessionId: "other" }).thenRejected("session-ended");
});

Deno.test("a session ends a week after it was refreshed, and a month after it began", () => {
  const { when } = given(User, [...active, signedIn("s")]);
  when(refresh(0, "s0"), { at: AT + SESSION_IDLE_MS - 1 })
    .then({ ...refreshed("s", "next", AT + SESSION_IDLE_MS - 1) });
  when(refresh(0, "s0"), { at: AT + SESSION_IDLE_MS }).thenRejected("session-ended");
  const last = AT + SESSION_MS - 1_000;
  const old = given(User, [...active, signedIn("s"), refreshed("s", "s1", last)]);
  old.when(refresh(1, "s1"), { at: last + 999 }).then(refreshed("s", "next", last + 999));
  old.when(refresh(1, "s1"), { at: last + 1_000 }).thenRejected("session-ended");
});

Deno.test("nobody who is disabled refreshes", () => {
  // An event that did not end them, as an older release might have written it.
  given(User, [...active, signedIn("s"), { type: "Disabled" }]).when(refresh(0, "s0"))
    .thenRejected("session-ended");
});

Deno.test("a new password ends all sessions but the one in which it is changed", () => {
  const { when } = given(User, [...active, signedIn("a"), signedIn("b"), signedIn("c")]);
  const change = {
    type: "ChangePassword",
    passwordHash: "hash",
    newPasswordHash: "new",
    keepsKeys: false,
  } as const;
  when({ ...change, sessionId: "b" }).then(
    { type: "PasswordChanged", passwordHash: "new" },
    ended(["a", "c"], "password-changed", true),
  );
  when({ ...change, passwordHash: "old" }).thenRejected("wrong-credentials");

  const failures = Array.from({ length: FAILURES_FREE }, () => failed(AT));
  given(User, [...active, ...failures]).when(change).thenRejected("paused");

  const key = given(User, [...active, {
    type: "KeyMade",
    keyId: "k",
    secretHash: "h",
    name: "CI",
    scopes: ["events:read"],
    expiresAt: iso(AT + 60_000),
    at,
  }]);
  const end = ended([], "password-changed", true);
  const changed = { type: "PasswordChanged", passwordHash: "new" } as const;
  key.when(change).then(changed, { type: "KeyRevoked", keyId: "k", at }, end);
  key.when({ ...change, keepsKeys: true }).then(changed, end);
});

Deno.test("an administrator decides, and never on their own account", () => {
  const admin = { principal: { id: "ada", roles: ["admin"] } };
  const oneself = { principal: { id: KEY, roles: ["admin"] } };
  const { when } = given(User, [...active, signedIn("s")]);
  when({ type: "Disable" }, admin).then({ type: "Disabled" }, ended(["s"], "disabled", true));
  when({ type: "SetRoles", roles: ["trader"] }, admin).then(
    { type: "RolesChanged", roles: ["user", "trader"] },
    ended(["s"], "roles-changed", true),
  );
  when({ type: "SetRoles", roles: [] }, admin).then();
  when({ type: "Enable" }, admin).then();
  for (const type of ["Disable", "Enable"] as const) {
    when({ type }, oneself).thenRejected("not-oneself");
  }
  when({ type: "SetRoles", roles: [] }, oneself).thenRejected("not-oneself");
  const enabled = (status: "active" | "unverified") => ({ type: "Enabled", status }) as const;
  given(User, [...active, { type: "Disabled" }]).when({ type: "Enable" }, admin)
    .then(enabled("active"));
  given(User, [registered, { type: "Disabled" }]).when({ type: "Enable" }, admin)
    .then(enabled("unverified"));
});

Deno.test("who is appointed is verified, keeps a password that is there, and gains roles", () => {
  const appoint = {
    type: "Appoint",
    email: "ada@example.org",
    passwordHash: "new",
    roles: ["admin"],
  } as const;
  const roles: User.Event = { type: "RolesChanged", roles: ["user", "admin"] };
  const anew: readonly User.Event[] = [
    { type: "Registered", email: "ada@example.org", passwordHash: "new", at },
    { type: "EmailVerified", at },
    roles,
  ];
  given(User, []).when(appoint).then(...anew, ended([], "roles-changed", true));
  given(User, [registered]).when(appoint).then(...anew, ended([], "roles-changed", true));
  given(User, [...active, signedIn("s")]).when(appoint)
    .then(roles, ended(["s"], "roles-changed", true));
  given(User, [...active, { type: "Disabled" }]).when(appoint).then(
    { type: "Enabled", status: "active" },
    roles,
    ended([], "roles-changed", true),
  );
});

Deno.test("there are so many keys and no more, not counting those that have ended", () => {
  const key = (keyId: string, expiresAt: number) => ({
    type: "KeyMade",
    keyId,
    secretHash: "h",
    name: "CI",
    scopes: ["events:read"],
    expiresAt: iso(expiresAt),
    at,
  } as User.Event);
  const keys = Array.from({ length: KEYS_MAX }, (_, n) => key(`k${n}`, AT + 60_000 + n));
  const { when } = given(User, [...active, ...keys]);
  const make = {
    type: "MakeKey",
    keyId: "new",
    secretHash: "h",
    name: "CI",
    scopes: ["events:read"],
    expiresAt: iso(AT + 3_600_000),
  } as const;
  when(make).thenRejected("too-many-keys");
  when({ ...make, keyId: "k0" }).thenRejected("key-exists");
  when(make, { at: AT + 60_000 }).then({
    ...make,
    type: "KeyMade",
    scopes: [...make.scopes],
    at: iso(AT + 60_000),
  });
  when({ type: "RevokeKey", keyId: "k0" }).then({ type: "KeyRevoked", keyId: "k0", at });
  when({ type: "RevokeKey", keyId: "k0" }, { at: AT + 60_000 }).thenRejected("no-such-key");
});

Deno.test("what is said of oneself changes where it differs, and null takes it away", () => {
  const revised: User.Event = {
    type: "Revised",
    profile: { displayName: "Ada" },
    settings: { mailNotices: false },
  };
  const { when, state } = given(User, [...active, revised]);
  when({ type: "Revise", profile: { displayName: "Ada", about: null } }).then();
  when({ type: "Revise", profile: { displayName: null }, preferences: { theme: "dark" } }).then({
    type: "Revised",
    profile: { displayName: null },
    preferences: { theme: "dark" },
  });
  assert.deepEqual(state.profile, { displayName: "Ada" });
  const { state: after } = given(User, [...active, revised, {
    type: "Revised",
    profile: { displayName: null },
  }]);
  assert.deepEqual(after.profile, {});
});

/** Steps of one who holds every token that was ever given out, at any time. */
const step = fc.oneof(
  fc.record({
    do: fc.constant("sign-in" as const),
    after: fc.integer({ min: 0, max: 86_400_000 }),
  }),
  fc.record({
    do: fc.constant("refresh" as const),
    after: fc.integer({ min: 0, max: 20_000 }),
    token: fc.nat(1_000),
  }),
  fc.record({ do: fc.constant("end-all" as const), after: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ do: fc.constant("disable" as const), after: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ do: fc.constant("enable" as const), after: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ do: fc.constant("snapshot" as const), after: fc.constant(0) }),
);

interface Given {
  readonly sessionId: string;
  readonly generation: number;
  readonly hash: string;
}

Deno.test("whatever is shown and whenever, a session has one heir, and none once it has ended", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = AT;
      let state = active.reduce((before, event) => User.evolve(before, event), User.initial);
      const tokens: Given[] = [];
      const over = new Set<string>();
      const decide = (command: User.Command) => {
        const principal = { id: "ada", roles: ["admin"] };
        const decision = User.decide(state, command, { key: KEY, at: now, principal });
        if (!decision.accepted) return undefined;
        for (const event of decision.events) {
          assert.deepEqual(User.Event.parse(JSON.parse(JSON.stringify(event))), event);
          if (event.type === "SessionsEnded") event.sessionIds.forEach((id) => over.add(id));
          state = User.evolve(state, event);
        }
        return decision.events;
      };
      for (const [index, each] of steps.entries()) {
        now += each.after;
        if (each.do === "sign-in") {
          const sessionId = `s${index}`;
          const hash = `${sessionId}:0`;
          const command = {
            type: "SignIn",
            passwordHash: "hash",
            sessionId,
            tokenHash: hash,
          } as const;
          if (decide(command) !== undefined) tokens.push({ sessionId, generation: 0, hash });
        } else if (each.do === "refresh" && tokens.length > 0) {
          const shown = tokens[each.token % tokens.length]!;
          const { sessionId, generation, hash: tokenHash } = shown;
          const nextHash = `${sessionId}:${generation + 1}`;
          const before = state.sessions.find(({ id }) => id === sessionId);
          const wasOver = over.has(sessionId);
          const events = decide({ type: "Refresh", sessionId, generation, tokenHash, nextHash });
          if (events === undefined) continue;
          assert(!wasOver, "what has ended is not refreshed");
          assert(state.status === "active", "nor by somebody disabled");
          if (events.length === 0) assert.equal(tokenHash, before?.previousHash);
          if (events.some(({ type }) => type === "SessionRefreshed")) {
            assert.equal(tokenHash, before?.tokenHash, "only the newest begets another");
            tokens.push({ sessionId, generation: generation + 1, hash: nextHash });
          }
          if (events.some(({ type }) => type === "SessionsEnded")) {
            assert(generation < before!.generation, "and only an old one ends it");
          }
        } else if (each.do === "end-all") decide({ type: "EndAllSessions" });
        else if (each.do === "disable") decide({ type: "Disable" });
        else if (each.do === "enable") decide({ type: "Enable" });
        else if (each.do === "snapshot") {
          state = User.snapshot.decode(JSON.parse(JSON.stringify(User.snapshot.encode(state))));
        }
        assert(state.sessions.length <= SESSIONS_MAX);
        assert(state.status !== "disabled" || state.sessions.length === 0);
        for (const { id } of state.sessions) assert(!over.has(id));
        const heirs = tokens.filter(({ hash }) =>
          state.sessions.some(({ tokenHash }) => tokenHash === hash)
        );
        assert(heirs.length <= state.sessions.length);
      }
    }),
    { numRuns: 300 },
  );
});
