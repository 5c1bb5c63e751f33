/**
 * Users over HTTP: what they say of themselves, their sessions, and what administrators decide.
 *
 * @module
 */
import type { Context } from "hono";
import * as User from "../actors/user/aggregate.ts";
import type { Command } from "../actors/user/commands.ts";
import { listUsers } from "../actors/user/listing.ts";
import { endOf } from "../actors/user/state.ts";
import { answer } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { problemResponse } from "../lib/http/problem.ts";
import { audited } from "./audited.ts";
import { awaitToken, headersOf, readOptionsOf } from "./consistency.ts";
import { type IdentityOptions, ownState } from "./identity.ts";
import { noAccount, users as problems } from "./user_problems.ts";
import * as Schema from "./user_schemas.ts";

export function users(options: IdentityOptions): readonly Route[] {
  return [...ownRoutes(options), ...sessionRoutes(options), ...administration(options)];
}

function ownRoutes({ system }: IdentityOptions): readonly Route[] {
  const own = {
    tag: "identity",
    path: "/api/v1/users/me",
    access: "caller",
    asks: "actor",
  } as const;
  return [
    route({
      ...own,
      id: "getMe",
      method: "get",
      summary: "The caller's account, profile, preferences and settings",
      answers: { 200: Schema.Me },
      problems: problems.known("no-account"),
    }, async (c) => {
      const cause = causeOf(c);
      const { id } = cause.principal;
      const view = (state: User.State) =>
        state.status === "absent" ? undefined : ownView(id, state);
      const reading = await system.read(User, id, cause, view, readOptionsOf(c));
      if (reading.view === undefined) throw noAccount();
      return answer(c, 200, reading.view, headersOf(reading));
    }),
    route({
      ...own,
      id: "reviseMe",
      method: "patch",
      summary: "Changes what the caller says of themselves; null takes something away",
      body: Schema.Revision,
      answers: { 200: Schema.Me },
      problems: problems.known("no-account"),
    }, async (c, { body }) => {
      const cause = causeOf(c);
      const { id } = cause.principal;
      const command = { type: "Revise", ...body } as const;
      const outcome = await system.ask(User, id, command, cause, ({ state }) => ownView(id, state));
      if (outcome.accepted) return answer(c, 200, outcome.answer, headersOf(outcome));
      if (outcome.reason === "not-found") throw noAccount();
      return problems.refused(c, outcome);
    }),
  ];
}

function sessionRoutes({ system, audit, env }: IdentityOptions): readonly Route[] {
  return [
    route({
      tag: "identity",
      id: "listSessions",
      method: "get",
      path: "/api/v1/users/me/sessions",
      summary: "Where the caller is signed in",
      access: "caller",
      class: "list",
      answers: { 200: Schema.Sessions },
      problems: problems.known("no-account"),
    }, async (c) => {
      const { sessions } = await ownState(c, system);
      const { sessionId } = c.get("caller");
      const now = env.now();
      const items = sessions.filter((session) => endOf(session) > now).map((session) => {
        const { id, device, startedAt, refreshedAt } = session;
        const endsAt = new Date(endOf(session)).toISOString();
        const shown = { id, startedAt, refreshedAt, endsAt, isCurrent: id === sessionId };
        return { ...shown, ...(device !== undefined && { device }) };
      });
      return answer(c, 200, { items });
    }),
    route({
      tag: "identity",
      id: "endSession",
      method: "delete",
      path: "/api/v1/users/me/sessions/{sessionId}",
      summary: "Signs the caller out there",
      access: "caller",
      others: 404,
      params: Schema.SessionPath,
      answers: { 204: null },
      problems: problems.known("no-account", "no-such-session"),
    }, async (c, { params: { sessionId } }) => {
      const cause = causeOf(c);
      const { id } = cause.principal;
      const act = { act: "session end", subject: `user/${id}`, detail: { sessionId } };
      return await audited(c, audit, act, async () => {
        const command = { type: "EndSession", sessionId } as const;
        const outcome = await system.ask(User, id, command, cause, () => null);
        if (outcome.accepted) return answer(c, 204);
        if (outcome.reason === "not-found") throw noAccount();
        return problems.refused(c, outcome);
      });
    }),
  ];
}

const ROLES_SET = "roles set";

function administration(options: IdentityOptions): readonly Route[] {
  const { system, audit, consistencyWaitMs } = options;
  const { db, listing } = options.identity;
  const decided = async (c: Context<CallerEnv>, id: string, command: Command) => {
    const view = ({ state }: { readonly state: User.State }) => userView(id, state);
    const outcome = await system.ask(User, id, command, causeOf(c), view);
    if (!outcome.accepted) return problems.refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
  const ofOne = {
    tag: "identity",
    access: ["admin"],
    asks: "actor",
    params: Schema.UserPath,
    answers: { 200: Schema.User },
    problems: problems.known("not-found", "not-oneself"),
  } as const;
  return [
    route({
      tag: "identity",
      id: "listUsers",
      method: "get",
      path: "/api/v1/users",
      summary: "All users, the newest first",
      access: ["admin"],
      asks: "projection",
      class: "list",
      query: Schema.UserListQuery,
      answers: { 200: Schema.Users },
    }, async (c, { query: { cursor, limit, hasRole: role, ...filter } }) => {
      await awaitToken(c, listing, consistencyWaitMs);
      const before = cursor && { registeredAt: cursor[0], id: cursor[1] };
      const asked = { ...filter, ...(role !== undefined && { role }) };
      const rows = await listUsers(db, asked, before, limit + 1);
      const page = pageOf(rows, limit, (row) => row, ({ registeredAt, id }) => [registeredAt, id]);
      return answer(c, 200, page);
    }),
    route({
      ...ofOne,
      id: "getUser",
      method: "get",
      path: "/api/v1/users/{id}",
      summary: "One user, as administrators see them",
      problems: problems.known("not-found"),
    }, async (c, { params: { id } }) => {
      const view = (state: User.State) => userView(id, state);
      const reading = await system.read(User, id, causeOf(c), view, readOptionsOf(c));
      return reading.view === undefined
        ? problemResponse(c, ...problems.problemOf("not-found"))
        : answer(c, 200, reading.view, headersOf(reading));
    }),
    route({
      ...ofOne,
      id: "disableUser",
      method: "post",
      path: "/api/v1/users/{id}/disable",
      summary: "Lets a user in no more: sessions end, keys do not count",
      act: { name: "user disable", on: "user" },
    }, (c, { params: { id } }) => decided(c, id, { type: "Disable" })),
    route({
      ...ofOne,
      id: "enableUser",
      method: "post",
      path: "/api/v1/users/{id}/enable",
      summary: "Lets a user sign in again",
      act: { name: "user enable", on: "user" },
    }, (c, { params: { id } }) => decided(c, id, { type: "Enable" })),
    route({
      ...ofOne,
      id: "setRoles",
      method: "put",
      path: "/api/v1/users/{id}/roles",
      summary: "Says what a user may do from now on; sessions end, so that it counts at once",
      act: { name: ROLES_SET, on: "user", isKeptWithin: true },
      body: Schema.Roles,
    }, (c, { params: { id }, body: { roles } }) => {
      const act = { act: ROLES_SET, subject: `user/${id}`, detail: { roles } };
      return audited(c, audit, act, () => decided(c, id, { type: "SetRoles", roles }));
    }),
  ];
}

function ownView(id: string, state: User.State) {
  const { email, roles, registeredAt, profile, preferences, settings } = state;
  return { id, email, roles, registeredAt, profile, preferences, settings };
}

function userView(id: string, { status, email, roles, registeredAt }: User.State) {
  return status === "absent" ? undefined : { id, email, status, roles, registeredAt };
}
