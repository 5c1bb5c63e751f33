/**
 * Live events over HTTP: one route per command, one per query, and no rule of their own.
 *
 * @module
 */
import type { Context } from "hono";
import type { Kysely } from "kysely";
import * as LiveEvent from "../actors/live_event/aggregate.ts";
import type { NoticeTables } from "../actors/live_event/inbox.ts";
import { listEvents } from "../actors/live_event/listing.ts";
import type { LiveEventTables } from "../actors/live_event/projection.ts";
import { details, mayManage, mayView } from "../actors/live_event/views.ts";
import { answer, withoutNulls } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { type ContentFilter, UNACCEPTABLE } from "../lib/http/content_filter.ts";
import { causeOf, etagOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { ProblemError, problemResponse } from "../lib/http/problem.ts";
import type { Store } from "../lib/runtime/store.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { stateAt } from "../lib/runtime/time_travel.ts";
import type { Accepted } from "../lib/runtime/turn.ts";
import { awaitToken, headersOf, readOptionsOf, type Showing } from "./consistency.ts";
import { known, problemOf, refused } from "./live_event_problems.ts";
import * as Schema from "./live_event_schemas.ts";

export interface LiveEventOptions {
  readonly system: ActorSystem;
  readonly store: Pick<Store, "readStream">;
  readonly db: Kysely<LiveEventTables & NoticeTables>;
  readonly listing: Showing;
  /** How long a list may wait for the write whose token it was sent. */
  readonly consistencyWaitMs: number;
  /** Of what the public reads; absent, all is let through. */
  readonly contentFilter?: ContentFilter;
}

type Happened = Accepted<LiveEvent.State, LiveEvent.Event>;

export function liveEvents(options: LiveEventOptions): readonly Route[] {
  return [scheduling(options), ...changes(options), ...queries(options)];
}

const toEvent = { tag: "events", asks: "actor", answers: { 200: Schema.LiveEvent } } as const;

function scheduling({ system, contentFilter }: LiveEventOptions): Route {
  return route({
    ...toEvent,
    id: "scheduleEvent",
    locates: true,
    method: "post",
    path: "/api/v1/events",
    summary: "Makes an event, as a draft that its organizer alone sees",
    access: ["organizer", "admin"],
    body: Schema.NewEvent,
    answers: { 201: Schema.LiveEvent },
    problems: [...known("already-exists", "starts-in-past", "ends-before-start"), UNACCEPTABLE],
  }, async (c, { body: plan }) => {
    contentFilter?.(publicTexts(plan));
    const cause = causeOf(c);
    const id = idOfNew(cause);
    const command = { type: "Schedule", ...plan } as const;
    const outcome = await system.ask(LiveEvent, id, command, cause, eventAnswer(id), {
      isFirst: true,
    });
    if (!outcome.accepted) return refused(c, outcome);
    const Location = `/api/v1/events/${id}`;
    return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
  });
}

function changes({ system, contentFilter }: LiveEventOptions): readonly Route[] {
  const answered = async (c: Context<CallerEnv>, id: string, command: LiveEvent.Command) => {
    const outcome = await system.ask(LiveEvent, id, command, causeOf(c), eventAnswer(id));
    if (!outcome.accepted) return refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
  const ofOrganizer = { ...toEvent, access: "caller", params: Schema.EventPath } as const;
  const general = ["not-found", "not-organizer", "cancelled", "completed"] as const;
  return [
    route({
      ...ofOrganizer,
      id: "reviseEvent",
      method: "patch",
      path: "/api/v1/events/{id}",
      summary: "Changes what the organizer lays down of an event",
      others: 403,
      body: Schema.EventChanges,
      problems: [
        ...known(
          ...general,
          "starts-in-past",
          "ends-before-start",
          "capacity-below-confirmed",
          "capacity-below-offered",
        ),
        UNACCEPTABLE,
      ],
    }, async (c, { params, body }) => {
      contentFilter?.(publicTexts(body));
      return await answered(c, params.id, { type: "Revise", ...body });
    }),
    route({
      ...ofOrganizer,
      id: "publishEvent",
      method: "post",
      path: "/api/v1/events/{id}/publish",
      summary: "Shows a draft to everybody, who can register for it from then on",
      others: 404,
      problems: known(...general, "already-published"),
    }, (c, { params }) => answered(c, params.id, { type: "Publish" })),
    route({
      ...ofOrganizer,
      id: "cancelEvent",
      method: "post",
      path: "/api/v1/events/{id}/cancel",
      summary: "Calls an event off, for good",
      others: 403,
      problems: known(...general),
    }, (c, { params }) => answered(c, params.id, { type: "Cancel" })),
  ];
}

interface PublicTexts {
  readonly title?: string;
  readonly description?: string | null;
  readonly venue?: string | null;
}

function publicTexts({ title, description, venue }: PublicTexts) {
  return { title, description: description ?? undefined, venue: venue ?? undefined };
}

function queries(options: LiveEventOptions): readonly Route[] {
  const { system, store, db, listing, consistencyWaitMs } = options;
  return [
    route({
      id: "listEvents",
      method: "get",
      path: "/api/v1/events",
      tag: "events",
      summary: "Events by their start; drafts are shown to their organizers alone",
      access: "caller",
      asks: "projection",
      class: "list",
      query: Schema.EventListQuery,
      answers: { 200: Schema.LiveEvents },
    }, async (c, { query: { cursor, limit, q: text, ...filter } }) => {
      await awaitToken(c, listing, consistencyWaitMs);
      const { principal } = c.get("caller");
      const after = cursor && { startsAt: cursor[0], id: cursor[1] };
      const query = { ...filter, ...(text !== undefined && { text }) };
      const rows = await listEvents(db, principal, query, after, limit + 1);
      const page = pageOf(rows, limit, withoutNulls, ({ startsAt, id }) => [startsAt, id]);
      return answer(c, 200, page);
    }),
    route({
      ...toEvent,
      id: "getEvent",
      method: "get",
      path: "/api/v1/events/{id}",
      summary: "An event as it is, or to its organizer as it was at a version",
      access: "caller",
      params: Schema.EventPath,
      query: Schema.EventQuery,
      problems: known("not-found", "not-organizer", "version-not-found"),
    }, async (c, { params: { id }, query: { version } }) => {
      if (version !== undefined) return await pastEvent(c, options, id, version);
      const { principal } = c.get("caller");
      const reading = await system.read(
        LiveEvent,
        id,
        causeOf(c),
        (state, at) => mayView(state, principal) ? eventView(id, state, at) : undefined,
        readOptionsOf(c),
      );
      if (reading.view === undefined) return problemResponse(c, ...problemOf("not-found"));
      return answer(c, 200, reading.view, headersOf(reading));
    }),
    route({
      id: "listEventHistory",
      method: "get",
      path: "/api/v1/events/{id}/history",
      tag: "events",
      summary: "What happened to an event, in order, for its organizer",
      access: "caller",
      others: 403,
      class: "list",
      params: Schema.EventPath,
      query: Schema.HistoryQuery,
      answers: { 200: Schema.History },
      problems: known("not-found", "not-organizer"),
    }, async (c, { params: { id }, query: { cursor, limit } }) => {
      await requireManager(c, system, id);
      const address = { kind: LiveEvent.kind, key: id };
      const after = cursor?.[0] ?? 0;
      const events = await store.readStream(address, { after, limit: limit + 1 });
      return answer(c, 200, pageOf(events, limit, historyItem, ({ version }) => [version]));
    }),
  ];
}

/** The event as it was: a past version may show what was since withdrawn, so not to everyone. */
async function pastEvent(
  c: Context<CallerEnv>,
  { system, store }: LiveEventOptions,
  id: string,
  version: number,
): Promise<Response> {
  await requireManager(c, system, id);
  const state = await stateAt(store, LiveEvent, id, version);
  if (state === undefined) return problemResponse(c, ...problemOf("version-not-found"));
  return answer(c, 200, eventView(id, state, version), { ETag: etagOf(version) });
}

/** @throws {ProblemError} unless the event exists and the caller may manage it. */
export async function requireManager(
  c: Context<CallerEnv>,
  system: ActorSystem,
  id: string,
): Promise<void> {
  const { principal } = c.get("caller");
  const { view: reason } = await system.read(LiveEvent, id, causeOf(c), (state) => {
    if (!mayView(state, principal)) return "not-found";
    return mayManage(state, principal) ? undefined : "not-organizer";
  }, { isStrong: true });
  if (reason !== undefined) throw new ProblemError(...problemOf(reason));
}

function eventAnswer(id: string) {
  return ({ state, version }: Happened) => eventView(id, state, version);
}

function eventView(id: string, state: LiveEvent.State, version: number) {
  return { id, ...details(state), version };
}

function historyItem(stored: Awaited<ReturnType<Store["readStream"]>>[number]) {
  const { version, type, data, at, principalId, correlationId, causationId } = stored;
  const { type: _, ...content } = data as Record<string, unknown>;
  const time = new Date(at).toISOString();
  return { version, type, data: content, at: time, principalId, correlationId, causationId };
}
