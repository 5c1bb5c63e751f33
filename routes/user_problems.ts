/** How each refusal of a user reads over HTTP; a reason without a face does not compile. */
import type { Context } from "hono";
import type * as User from "../actors/user/aggregate.ts";
import { ProblemError, problemResponse } from "../lib/http/problem.ts";
import { refusals } from "../lib/http/refusals.ts";

/** What only the routes can tell. */
type RouteReason = "no-account" | "no-session" | "wrong-token";

export const users = refusals<User.Reason | RouteReason>("user", "user", {
  "not-found": { status: 404, title: "No such user" },
  "not-verified": { status: 403, title: "The e-mail address has not been verified yet" },
  "disabled": { status: 403, title: "The account is disabled" },
  "wrong-credentials": {
    status: 401,
    title: "E-mail address or password is wrong, or there were too many attempts of late",
  },
  "paused": { status: 401, title: "There were too many attempts of late" },
  "session-ended": { status: 401, title: "The session has ended" },
  "no-such-session": { status: 404, title: "No such session, or none that goes on" },
  "too-many-keys": { status: 409, title: "There are too many keys" },
  "key-exists": { status: 409, title: "The key was made before, and is not shown again" },
  "no-such-key": { status: 404, title: "No such key" },
  "not-oneself": { status: 409, title: "Nobody may do that to their own account" },
  "no-account": { status: 404, title: "The caller has no account here" },
  "no-session": { status: 409, title: "The token belongs to no session" },
  "wrong-token": { status: 422, title: "The token, or the password with it, does not hold" },
});

/** All of one kind: nobody learns which of the two was wrong, or whether there is such an account. */
export function wrongCredentials(c: Context): Response {
  return problemResponse(c, ...users.problemOf("wrong-credentials"), challenge);
}

export function sessionEnded(c: Context): Response {
  return problemResponse(c, ...users.problemOf("session-ended"), challenge);
}

const challenge = { "WWW-Authenticate": 'Bearer realm="api"' };

export function noAccount(): ProblemError {
  return new ProblemError(...users.problemOf("no-account"));
}
