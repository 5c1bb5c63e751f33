/**
 * Webhooks for organizers: where each of them is told of which of its events.
 *
 * A secret is in the answers to those two requests that make one, and nowhere else.
 *
 * @module
 */
import type { Context } from "hono";
import type { Kysely } from "kysely";
import * as WebhookEndpoint from "../actors/webhook_endpoint/aggregate.ts";
import { deliveriesOf } from "../actors/webhook_endpoint/deliveries.ts";
import {
  countEndpoints,
  listEndpoints,
  type WebhookTables,
} from "../actors/webhook_endpoint/projection.ts";
import {
  REPLAY_MAX,
  type Replayed,
  type ReplayRequest,
} from "../actors/webhook_endpoint/replay.ts";
import { answer, withoutNulls } from "../lib/http/answer.ts";
import type { CallerEnv } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf } from "../lib/http/pages.ts";
import { ProblemError, problemResponse } from "../lib/http/problem.ts";
import type { DeadLetters, LaneStanding } from "../lib/runtime/outbox.ts";
import { feedStart } from "../lib/runtime/store.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Admit } from "../lib/webhooks/destination.ts";
import { operatorOf } from "./audited.ts";
import { awaitToken, headersOf, readOptionsOf, type Showing } from "./consistency.ts";
import { ENDPOINTS_MAX, known, problemOf, refused } from "./webhook_problems.ts";
import * as Schema from "./webhook_schemas.ts";
import { endpointView, listed, standingView, viewOf, withSecret } from "./webhook_views.ts";

export interface WebhookParts {
  readonly db: Kysely<WebhookTables>;
  readonly admit: Admit;
  readonly newSecret: () => string;
  readonly standingOf: (id: string) => Promise<LaneStanding>;
  readonly replay: (request: ReplayRequest) => Promise<Replayed>;
  readonly now: () => number;
}

export interface WebhookOptions {
  readonly system: ActorSystem;
  readonly consistencyWaitMs: number;
  readonly deadLetters: Pick<DeadLetters, "redrive">;
  readonly webhooks: WebhookParts;
  readonly webhookListing: Showing;
}

export function webhooks(options: WebhookOptions): readonly Route[] {
  return [
    ...queries(options),
    creation(options),
    ...changes(options),
    ...secretsAndTests(options),
    replays(options),
  ];
}

const ofOwner = { tag: "webhooks", access: ["organizer", "admin"], asks: "actor" } as const;
const one = { ...ofOwner, others: 404, params: Schema.EndpointPath } as const;

function queries({ system, webhooks, webhookListing, consistencyWaitMs }: WebhookOptions) {
  const { db, standingOf, now } = webhooks;
  return [
    route({
      ...ofOwner,
      id: "listWebhooks",
      method: "get",
      path: "/api/v1/webhooks",
      summary: "The caller's webhook endpoints",
      asks: "projection",
      class: "list",
      query: Schema.ListQuery,
      answers: { 200: Schema.Endpoints },
    }, async (c, { query: { cursor, limit } }) => {
      await awaitToken(c, webhookListing, consistencyWaitMs);
      const { id } = c.get("caller").principal;
      const rows = await listEndpoints(db, id, cursor?.[0] ?? "", limit + 1);
      return answer(c, 200, pageOf(rows, limit, listed, (row) => [row.id]));
    }),
    route({
      ...one,
      id: "getWebhook",
      method: "get",
      path: "/api/v1/webhooks/{id}",
      summary: "A webhook endpoint, and how its deliveries go",
      answers: { 200: Schema.EndpointWithDelivery },
      problems: known("not-found"),
    }, async (c, { params: { id } }) => {
      const { principal } = c.get("caller");
      const { view, ...reading } = await system.read(
        WebhookEndpoint,
        id,
        causeOf(c),
        (state, version) =>
          WebhookEndpoint.mayManage(state, principal) ? endpointView(id, state, version) : null,
        readOptionsOf(c),
      );
      if (view === null) return problemResponse(c, ...problemOf("not-found"));
      const [standing, deliveries] = await Promise.all([standingOf(id), deliveriesOf(db, id)]);
      const delivery = { ...standingView(standing, now()), ...withoutNulls(deliveries ?? {}) };
      return answer(c, 200, { ...view, delivery }, headersOf(reading));
    }),
  ];
}

function creation({ system, webhooks: { db, admit, newSecret } }: WebhookOptions): Route {
  return route({
    ...ofOwner,
    id: "createWebhook",
    locates: true,
    method: "post",
    path: "/api/v1/webhooks",
    summary: "Has a URL told of what happens to the caller's events",
    body: Schema.NewEndpoint,
    answers: { 201: Schema.EndpointWithSecret },
    problems: known("already-exists", "too-many", "forbidden-url"),
  }, async (c, { body: wanted }) => {
    const cause = causeOf(c);
    await requireAdmitted(admit, wanted.url);
    if (await countEndpoints(db, cause.principal.id, ENDPOINTS_MAX) === ENDPOINTS_MAX) {
      return problemResponse(c, ...problemOf("too-many"));
    }
    const id = idOfNew(cause);
    const command = { type: "Create", ...wanted, secret: newSecret() } as const;
    const outcome = await system.ask(WebhookEndpoint, id, command, cause, withSecret(id), {
      isFirst: true,
    });
    if (!outcome.accepted) return refused(c, outcome);
    const Location = `/api/v1/webhooks/${id}`;
    return answer(c, 201, outcome.answer, { Location, ...headersOf(outcome) });
  });
}

function changes({ system, webhooks: { admit } }: WebhookOptions): readonly Route[] {
  const answered = async (c: Context<CallerEnv>, id: string, command: WebhookEndpoint.Command) => {
    const outcome = await system.ask(WebhookEndpoint, id, command, causeOf(c), viewOf(id));
    if (!outcome.accepted) return refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
  const changing = { ...one, answers: { 200: Schema.Endpoint } } as const;
  return [
    route({
      ...changing,
      id: "reviseWebhook",
      method: "patch",
      path: "/api/v1/webhooks/{id}",
      summary: "Changes where a webhook endpoint is, or what it is told of",
      body: Schema.EndpointChanges,
      problems: known("not-found", "forbidden-url"),
    }, async (c, { params, body }) => {
      if (body.url !== undefined) await requireAdmitted(admit, body.url);
      return await answered(c, params.id, { type: "Revise", ...body });
    }),
    route({
      ...changing,
      id: "enableWebhook",
      method: "post",
      path: "/api/v1/webhooks/{id}/enable",
      summary: "Has a webhook endpoint told of what happens from now on",
      problems: known("not-found"),
    }, (c, { params }) => answered(c, params.id, { type: "Enable" })),
    route({
      ...changing,
      id: "disableWebhook",
      method: "post",
      path: "/api/v1/webhooks/{id}/disable",
      summary: "Has a webhook endpoint told of nothing any more",
      problems: known("not-found"),
    }, (c, { params }) => answered(c, params.id, { type: "Disable" })),
    route({
      ...one,
      id: "deleteWebhook",
      method: "delete",
      path: "/api/v1/webhooks/{id}",
      summary: "Forgets a webhook endpoint and its secrets",
      answers: { 204: null },
      problems: known("not-found"),
    }, async (c, { params: { id } }) => {
      const command = { type: "Delete" } as const;
      const outcome = await system.ask(WebhookEndpoint, id, command, causeOf(c), () => null);
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 204, undefined, headersOf(outcome));
    }),
  ];
}

function secretsAndTests({ system, webhooks: { newSecret } }: WebhookOptions): readonly Route[] {
  return [
    route({
      ...one,
      id: "rotateWebhookSecret",
      method: "post",
      path: "/api/v1/webhooks/{id}/secret",
      summary: "Makes a new secret; the one before signs as well for a day",
      answers: { 200: Schema.EndpointWithSecret },
      problems: known("not-found"),
    }, async (c, { params: { id } }) => {
      const command = { type: "RotateSecret", secret: newSecret() } as const;
      const outcome = await system.ask(WebhookEndpoint, id, command, causeOf(c), withSecret(id));
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 200, outcome.answer, { ...headersOf(outcome) });
    }),
    route({
      ...one,
      id: "testWebhook",
      method: "post",
      path: "/api/v1/webhooks/{id}/test",
      summary: "Sends a test by the way that everything goes",
      answers: { 202: Schema.TestAccepted },
      problems: known("not-found", "disabled"),
    }, async (c, { params: { id } }) => {
      const command = { type: "Test" } as const;
      const outcome = await system.ask(WebhookEndpoint, id, command, causeOf(c), viewOf(id));
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 202, { type: "webhook.test" }, headersOf(outcome));
    }),
  ];
}

function replays({ system, deadLetters, webhooks }: WebhookOptions): Route {
  return route({
    id: "replayWebhook",
    act: { name: "webhook replay", on: "webhook_endpoint", isKeptWithin: true },
    method: "post",
    path: "/api/v1/webhooks/{id}/replay",
    tag: "webhooks",
    summary: "Tells a webhook endpoint again what happened in a time, or what it failed to take",
    access: ["admin"],
    params: Schema.EndpointPath,
    body: Schema.Replay,
    answers: { 202: Schema.Replayed },
    problems: known("not-found", "disabled"),
  }, async (c, { params: { id }, body: asked }) => {
    const { principal } = c.get("caller");
    const { view } = await system.read(WebhookEndpoint, id, causeOf(c), (state) => {
      if (!WebhookEndpoint.mayManage(state, principal)) return "not-found";
      return state.status === "enabled" ? state : "disabled";
    }, { isStrong: true });
    if (typeof view === "string") return problemResponse(c, ...problemOf(view));
    if ("deadLetters" in asked) {
      const which = { kind: WebhookEndpoint.lane, key: id, limit: REPLAY_MAX };
      const raised = await deadLetters.redrive(which, operatorOf(c));
      return answer(c, 202, { replayed: raised.length });
    }
    const { from, to = webhooks.now(), cursor } = asked;
    const { messages, next } = await webhooks.replay({
      endpointId: id,
      ownerId: view.ownerId,
      types: view.types,
      operator: operatorOf(c),
      from,
      to,
      after: cursor === undefined ? feedStart : { transaction: cursor[0], position: cursor[1] },
    });
    const page = pageOf(next === undefined ? [] : [next, next], 1, (place) => place, placeOf);
    const { nextCursor } = page;
    return answer(c, 202, {
      replayed: messages,
      ...(nextCursor !== undefined && { nextCursor }),
    });
  });
}

/** @throws {ProblemError} 422 that names the field. */
async function requireAdmitted(admit: Admit, url: string): Promise<void> {
  const admission = await admit(url);
  if (admission.isAdmitted) return;
  const [type, problem] = problemOf("forbidden-url");
  const errors = [{ path: ["url"], message: admission.reason }];
  throw new ProblemError(type, { ...problem, errors });
}

function placeOf({ transaction, position }: { transaction: string; position: string }) {
  return [transaction, position];
}
