/**
 * Registrations over HTTP: who has a seat, who waits for one, and what they are told of it.
 *
 * @module
 */
import * as LiveEvent from "../actors/live_event/aggregate.ts";
import { listNotices } from "../actors/live_event/inbox.ts";
import { listRegistrations, listRegistrationsOf } from "../actors/live_event/listing.ts";
import { mayView, standingOf } from "../actors/live_event/views.ts";
import { answer, withoutNulls } from "../lib/http/answer.ts";
import { causeOf } from "../lib/http/cause.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { problemResponse } from "../lib/http/problem.ts";
import type { Accepted } from "../lib/runtime/turn.ts";
import { awaitToken, headersOf, readOptionsOf, tokenHeader } from "./consistency.ts";
import { known, problemOf, refused } from "./live_event_problems.ts";
import * as Schema from "./live_event_schemas.ts";
import { type LiveEventOptions, requireManager } from "./live_events.ts";

export function registrations(options: LiveEventOptions): readonly Route[] {
  return [
    registering(options),
    ...changes(options),
    ...queries(options),
    ...ownLists(options),
  ];
}

function registering({ system }: LiveEventOptions): Route {
  return route({
    id: "register",
    method: "post",
    path: "/api/v1/events/{id}/registrations",
    tag: "events",
    summary: "Takes a seat, or a place in the line of those who wait for one",
    access: "caller",
    asks: "actor",
    limit: "registration",
    params: Schema.EventPath,
    body: Schema.Registrant,
    bodyOptions: { absent: {} },
    answers: { 201: Schema.Registered },
    problems: known(
      "not-found",
      "not-organizer",
      "not-published",
      "cancelled",
      "already-started",
      "already-registered",
      "sold-out",
    ),
  }, async (c, { params: { id }, body }) => {
    const cause = causeOf(c);
    const userId = body.userId ?? cause.principal.id;
    // The message asks for just one registration, so its id can name it.
    const registrationId = cause.messageId;
    const command = { type: "Register", registrationId, userId } as const;
    const outcome = await system.ask(LiveEvent, id, command, cause, registrationView);
    if (!outcome.accepted) return refused(c, outcome);
    const registration = { ...outcome.answer, version: outcome.version };
    return answer(c, 201, registration, tokenHeader(outcome.transaction));
  });
}

function changes({ system }: LiveEventOptions): readonly Route[] {
  const ofPerson = {
    tag: "events",
    access: "caller",
    others: 404,
    asks: "actor",
    params: Schema.RegistrationPath,
  } as const;
  return [
    route({
      ...ofPerson,
      id: "acceptOffer",
      method: "post",
      path: "/api/v1/events/{id}/registrations/{registrationId}/accept",
      summary: "Takes the seat that is offered",
      answers: { 200: Schema.Registered },
      problems: known(
        "not-found",
        "registration-not-found",
        "not-yours",
        "cancelled",
        "completed",
        "not-offered",
        "offer-lapsed",
      ),
    }, async (c, { params: { id, registrationId } }) => {
      const command = { type: "Accept", registrationId } as const;
      const outcome = await system.ask(LiveEvent, id, command, causeOf(c), registrationView);
      if (!outcome.accepted) return refused(c, outcome);
      const registration = { ...outcome.answer, version: outcome.version };
      return answer(c, 200, registration, headersOf(outcome));
    }),
    route({
      ...ofPerson,
      id: "withdrawRegistration",
      method: "delete",
      path: "/api/v1/events/{id}/registrations/{registrationId}",
      summary: "Gives up a seat, or a place in the line",
      answers: { 204: null },
      problems: known("not-found", "registration-not-found", "already-started"),
    }, async (c, { params: { id, registrationId } }) => {
      const command = { type: "Withdraw", registrationId } as const;
      const outcome = await system.ask(LiveEvent, id, command, causeOf(c), () => null);
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 204, undefined, headersOf(outcome));
    }),
  ];
}

function queries({ system, db, listing, consistencyWaitMs }: LiveEventOptions): readonly Route[] {
  return [
    route({
      id: "getOwnRegistration",
      method: "get",
      path: "/api/v1/events/{id}/registrations/me",
      tag: "events",
      summary: "How the caller stands with an event",
      access: "caller",
      asks: "actor",
      params: Schema.EventPath,
      answers: { 200: Schema.Standing },
      problems: known("not-found", "registration-not-found"),
    }, async (c, { params: { id } }) => {
      const { principal } = c.get("caller");
      const { view, ...reading } = await system.read(
        LiveEvent,
        id,
        causeOf(c),
        (state) => mayView(state, principal) ? standingOf(state, principal.id) ?? null : undefined,
        readOptionsOf(c),
      );
      if (view === undefined) return problemResponse(c, ...problemOf("not-found"));
      if (view === null) return problemResponse(c, ...problemOf("registration-not-found"));
      return answer(c, 200, view, headersOf(reading));
    }),
    route({
      id: "listRegistrations",
      method: "get",
      path: "/api/v1/events/{id}/registrations",
      tag: "events",
      summary: "Who registered for an event, in the order of arrival, for its organizer",
      access: "caller",
      others: 403,
      asks: "projection",
      class: "list",
      params: Schema.EventPath,
      query: Schema.RegistrationListQuery,
      answers: { 200: Schema.Registrations },
      problems: known("not-found", "not-organizer"),
    }, async (c, { params: { id }, query: { cursor, limit, status } }) => {
      await requireManager(c, system, id);
      await awaitToken(c, listing, consistencyWaitMs);
      const rows = await listRegistrations(db, id, status, cursor?.[0] ?? 0, limit + 1);
      const item = ({ arrival: _, ...shown }: typeof rows[number]) => withoutNulls(shown);
      return answer(c, 200, pageOf(rows, limit, item, ({ arrival }) => [Number(arrival)]));
    }),
  ];
}

function ownLists({ db, listing, consistencyWaitMs }: LiveEventOptions): readonly Route[] {
  const own = { method: "get", tag: "events", access: "caller", class: "list" } as const;
  return [
    route({
      ...own,
      id: "listOwnRegistrations",
      path: "/api/v1/me/registrations",
      summary: "The caller's registrations, the newest first",
      asks: "projection",
      query: Schema.OwnRegistrationsQuery,
      answers: { 200: Schema.OwnRegistrations },
    }, async (c, { query: { cursor, limit } }) => {
      await awaitToken(c, listing, consistencyWaitMs);
      const before = cursor && { registeredAt: cursor[0], registrationId: cursor[1] };
      const userId = c.get("caller").principal.id;
      const rows = await listRegistrationsOf(db, userId, before, limit + 1);
      const keyOf = (row: typeof rows[number]) => [row.registeredAt, row.registrationId];
      return answer(c, 200, pageOf(rows, limit, withoutNulls, keyOf));
    }),
    route({
      ...own,
      id: "listOwnNotices",
      path: "/api/v1/me/notices",
      summary: "What the caller was told of registrations, the newest first",
      query: Schema.OwnNoticesQuery,
      answers: { 200: Schema.OwnNotices },
    }, async (c, { query: { cursor, limit } }) => {
      const before = cursor && { at: cursor[0], eventId: cursor[1], type: cursor[2] };
      const rows = await listNotices(db, c.get("caller").principal.id, before, limit + 1);
      const keyOf = ({ at, eventId, type }: typeof rows[number]) => [at, eventId, type];
      return answer(c, 200, pageOf(rows, limit, withoutNulls, keyOf));
    }),
  ];
}

type Happened = Accepted<LiveEvent.State, LiveEvent.Event>;

/** To register, or to accept an offer, leads to one event, which says how it went. */
function registrationView({ events: [event] }: Happened) {
  switch (event?.type) {
    case "Registered":
    case "Accepted":
      return { registrationId: event.registrationId, status: "confirmed" as const };
    case "Waitlisted": {
      const { registrationId, position } = event;
      return { registrationId, status: "waitlisted" as const, position };
    }
    default:
      throw new Error(`A registration led to ${event?.type}`);
  }
}
