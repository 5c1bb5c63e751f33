/**
 * Live events over HTTP: one route per command, one per query, and no rule of their own.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import type { Kysely } from "kysely";
import * as LiveEvent from "../actors/live_event/aggregate.ts";
import { listNotices, type NoticeTables } from "../actors/live_event/inbox.ts";
import {
  listEvents,
  listRegistrations,
  listRegistrationsOf,
} from "../actors/live_event/listing.ts";
import type { LiveEventTables } from "../actors/live_event/projection.ts";
import { details, mayManage, mayView, standingOf } from "../actors/live_event/views.ts";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf, etagOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { pageOf } from "../lib/http/pages.ts";
import { type BodyParser, parsedParams, parsedQuery } from "../lib/http/parsed.ts";
import { ProblemError, problemResponse } from "../lib/http/problem.ts";
import type { Store } from "../lib/runtime/store.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { stateAt } from "../lib/runtime/time_travel.ts";
import type { Accepted, Outcome } from "../lib/runtime/turn.ts";
import { awaitToken, headersOf, readOptionsOf, type Showing, tokenHeader } from "./consistency.ts";
import { problemOf, refused } from "./live_event_problems.ts";
import * as Schema from "./live_event_schemas.ts";

export interface LiveEventOptions {
  readonly system: ActorSystem;
  readonly store: Pick<Store, "readStream">;
  readonly db: Kysely<LiveEventTables & NoticeTables>;
  readonly listing: Showing;
  readonly parseBody: BodyParser;
  /** How long a list may wait for the write whose token it was sent. */
  readonly consistencyWaitMs: number;
}

type Happened = Accepted<LiveEvent.State, LiveEvent.Event>;
type Refusal = Extract<Outcome<unknown, LiveEvent.Reason>, { accepted: false }>;

export function liveEvents(options: LiveEventOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .route("/events", eventCommands(options))
    .route("/events", registrationCommands(options))
    .route("/events", eventQueries(options))
    .route("/events", registrationQueries(options))
    .route("/me", ownQueries(options));
}

function eventCommands({ system, parseBody }: LiveEventOptions) {
  const answered = async (
    c: Context<CallerEnv>,
    command: LiveEvent.Command,
  ): Promise<Response> => {
    const { id } = parsedParams(c, Schema.EventPath);
    const outcome = await system.ask(LiveEvent, id, command, causeOf(c), eventAnswer(id));
    if (!outcome.accepted) return refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
  return new Hono<CallerEnv>()
    .post("/", async (c) => {
      requireRole(c, "organizer", "admin");
      const plan = await parseBody(c, Schema.NewEvent);
      const cause = causeOf(c);
      const id = idOfNew(cause);
      const command = { type: "Schedule", ...plan } as const;
      const outcome = await system.ask(LiveEvent, id, command, cause, eventAnswer(id));
      if (!outcome.accepted) return refused(c, outcome);
      const Location = `/api/v1/events/${id}`;
      return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
    })
    .patch("/:id", async (c) => {
      const changes = await parseBody(c, Schema.EventChanges);
      return await answered(c, { type: "Revise", ...changes });
    })
    .post("/:id/publish", async (c) => {
      await parseBody(c, Schema.Nothing, { absent: {} });
      return await answered(c, { type: "Publish" });
    })
    .post("/:id/cancel", async (c) => {
      await parseBody(c, Schema.Nothing, { absent: {} });
      return await answered(c, { type: "Cancel" });
    });
}

function registrationCommands({ system, parseBody }: LiveEventOptions) {
  return new Hono<CallerEnv>()
    .post("/:id/registrations", async (c) => {
      const { id } = parsedParams(c, Schema.EventPath);
      const body = await parseBody(c, Schema.Registrant, { absent: {} });
      const cause = causeOf(c);
      const userId = body.userId ?? cause.principal.id;
      // The message asks for just one registration, so its id can name it.
      const registrationId = cause.messageId;
      const command = { type: "Register", registrationId, userId } as const;
      const outcome = await system.ask(LiveEvent, id, command, cause, registrationView);
      if (!outcome.accepted) return refused(c, outcome);
      const registration = { ...outcome.answer, version: outcome.version };
      return answer(c, 201, registration, tokenHeader(outcome.transaction));
    })
    .post("/:id/registrations/:registrationId/accept", async (c) => {
      const { id, registrationId } = parsedParams(c, Schema.RegistrationPath);
      await parseBody(c, Schema.Nothing, { absent: {} });
      const command = { type: "Accept", registrationId } as const;
      const outcome = await system.ask(LiveEvent, id, command, causeOf(c), registrationView);
      if (!outcome.accepted) return refused(c, outcome);
      const registration = { ...outcome.answer, version: outcome.version };
      return answer(c, 200, registration, headersOf(outcome));
    })
    .delete("/:id/registrations/:registrationId", async (c) => {
      const { id, registrationId } = parsedParams(c, Schema.RegistrationPath);
      await parseBody(c, Schema.Nothing, { absent: {} });
      const command = { type: "Withdraw", registrationId } as const;
      const outcome = await system.ask(LiveEvent, id, command, causeOf(c), () => null);
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 204, undefined, headersOf(outcome));
    });
}

function eventQueries(options: LiveEventOptions) {
  const { system, store, db, listing, consistencyWaitMs } = options;
  return new Hono<CallerEnv>()
    .get("/", async (c) => {
      const { cursor, limit, q: text, ...filter } = parsedQuery(c, Schema.EventListQuery);
      await awaitToken(c, listing, consistencyWaitMs);
      const { principal } = c.get("caller");
      const after = cursor && { startsAt: cursor[0], id: cursor[1] };
      const query = { ...filter, ...(text !== undefined && { text }) };
      const rows = await listEvents(db, principal, query, after, limit + 1);
      const page = pageOf(rows, limit, withoutNulls, ({ startsAt, id }) => [startsAt, id]);
      return answer(c, 200, page);
    })
    .get("/:id", async (c) => {
      const { id } = parsedParams(c, Schema.EventPath);
      const { version } = parsedQuery(c, Schema.EventQuery);
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
    })
    .get("/:id/history", async (c) => {
      const { id } = parsedParams(c, Schema.EventPath);
      const { cursor, limit } = parsedQuery(c, Schema.HistoryQuery);
      await requireManager(c, system, id);
      const address = { kind: LiveEvent.kind, key: id };
      const after = cursor?.[0] ?? 0;
      const events = await store.readStream(address, { after, limit: limit + 1 });
      return answer(c, 200, pageOf(events, limit, historyItem, ({ version }) => [version]));
    });
}

function registrationQueries({ system, db, listing, consistencyWaitMs }: LiveEventOptions) {
  return new Hono<CallerEnv>()
    .get("/:id/registrations/me", async (c) => {
      const { id } = parsedParams(c, Schema.EventPath);
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
    })
    .get("/:id/registrations", async (c) => {
      const { id } = parsedParams(c, Schema.EventPath);
      const { cursor, limit, status } = parsedQuery(c, Schema.RegistrationListQuery);
      await requireManager(c, system, id);
      await awaitToken(c, listing, consistencyWaitMs);
      const rows = await listRegistrations(db, id, status, cursor?.[0] ?? 0, limit + 1);
      const item = ({ arrival: _, ...shown }: typeof rows[number]) => withoutNulls(shown);
      return answer(c, 200, pageOf(rows, limit, item, ({ arrival }) => [Number(arrival)]));
    });
}

function ownQueries({ db, listing, consistencyWaitMs }: LiveEventOptions) {
  return new Hono<CallerEnv>()
    .get("/registrations", async (c) => {
      const { cursor, limit } = parsedQuery(c, Schema.OwnRegistrationsQuery);
      await awaitToken(c, listing, consistencyWaitMs);
      const before = cursor && { registeredAt: cursor[0], registrationId: cursor[1] };
      const userId = c.get("caller").principal.id;
      const rows = await listRegistrationsOf(db, userId, before, limit + 1);
      const keyOf = (row: typeof rows[number]) => [row.registeredAt, row.registrationId];
      return answer(c, 200, pageOf(rows, limit, withoutNulls, keyOf));
    })
    .get("/notices", async (c) => {
      const { cursor, limit } = parsedQuery(c, Schema.OwnNoticesQuery);
      const before = cursor && { at: cursor[0], eventId: cursor[1], type: cursor[2] };
      const rows = await listNotices(db, c.get("caller").principal.id, before, limit + 1);
      const keyOf = ({ at, eventId, type }: typeof rows[number]) => [at, eventId, type];
      return answer(c, 200, pageOf(rows, limit, withoutNulls, keyOf));
    });
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
async function requireManager(c: Context<CallerEnv>, system: ActorSystem, id: string) {
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

function historyItem(stored: Awaited<ReturnType<Store["readStream"]>>[number]) {
  const { version, type, data, at, principalId, correlationId, causationId } = stored;
  const { type: _, ...content } = data as Record<string, unknown>;
  const time = new Date(at).toISOString();
  return { version, type, data: content, at: time, principalId, correlationId, causationId };
}

function withoutNulls<Row extends object>(row: Row): Partial<Row> {
  const filled = Object.entries(row).filter(([, value]) => value !== null);
  return Object.fromEntries(filled) as Partial<Row>;
}
