/**
 * Webhooks for organizers: where each of them is told of which of its events.
 *
 * A secret is in the answers to those two requests that make one, and nowhere else.
 *
 * @module
 */
import { type Context, Hono } from "hono";
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
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { pageOf } from "../lib/http/pages.ts";
import { type BodyParser, parsedParams, parsedQuery } from "../lib/http/parsed.ts";
import { ProblemError, problemResponse } from "../lib/http/problem.ts";
import { refusals } from "../lib/http/refusals.ts";
import type { DeadLetters, LaneStanding } from "../lib/runtime/outbox.ts";
import { feedStart } from "../lib/runtime/store.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import type { Accepted, Outcome } from "../lib/runtime/turn.ts";
import type { Admit } from "../lib/webhooks/destination.ts";
import { awaitToken, headersOf, readOptionsOf, type Showing } from "./consistency.ts";
import * as Schema from "./webhook_schemas.ts";

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
  readonly parseBody: BodyParser;
  readonly consistencyWaitMs: number;
  readonly deadLetters: Pick<DeadLetters, "redrive">;
  readonly webhooks: WebhookParts;
  readonly webhookListing: Showing;
}

export const ENDPOINTS_MAX = 20;

type Happened = Accepted<WebhookEndpoint.State, WebhookEndpoint.Event>;
type Refusal = Extract<Outcome<unknown, WebhookEndpoint.Reason>, { accepted: false }>;

export function webhooks(options: WebhookOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .use(async (c, next) => {
      requireRole(c, "organizer", "admin");
      await next();
    })
    .route("/", endpointCommands(options))
    .route("/", endpointQueries(options))
    .route("/", operatorCommands(options));
}

function endpointCommands({ system, parseBody, webhooks }: WebhookOptions) {
  const { db, admit, newSecret } = webhooks;
  const answered = async (c: Context<CallerEnv>, command: WebhookEndpoint.Command) => {
    const { id } = parsedParams(c, Schema.EndpointPath);
    const outcome = await system.ask(WebhookEndpoint, id, command, causeOf(c), viewOf(id));
    if (!outcome.accepted) return refused(c, outcome);
    return answer(c, 200, outcome.answer, headersOf(outcome));
  };
  const bare = async (c: Context<CallerEnv>, command: WebhookEndpoint.Command) => {
    await parseBody(c, Schema.Nothing, { absent: {} });
    return await answered(c, command);
  };
  return new Hono<CallerEnv>()
    .post("/", async (c) => {
      const wanted = await parseBody(c, Schema.NewEndpoint);
      const cause = causeOf(c);
      await requireAdmitted(admit, wanted.url);
      if (await countEndpoints(db, cause.principal.id, ENDPOINTS_MAX) === ENDPOINTS_MAX) {
        return problemResponse(c, ...problemOf("too-many"));
      }
      const id = idOfNew(cause);
      const command = { type: "Create", ...wanted, secret: newSecret() } as const;
      const outcome = await system.ask(WebhookEndpoint, id, command, cause, withSecret(id));
      if (!outcome.accepted) return refused(c, outcome);
      const Location = `/api/v1/webhooks/${id}`;
      return answer(c, 201, outcome.answer, { Location, ...unkept, ...headersOf(outcome) });
    })
    .patch("/:id", async (c) => {
      const changes = await parseBody(c, Schema.EndpointChanges);
      if (changes.url !== undefined) await requireAdmitted(admit, changes.url);
      return await answered(c, { type: "Revise", ...changes });
    })
    .post("/:id/enable", (c) => bare(c, { type: "Enable" }))
    .post("/:id/disable", (c) => bare(c, { type: "Disable" }))
    .post("/:id/secret", async (c) => {
      const { id } = parsedParams(c, Schema.EndpointPath);
      await parseBody(c, Schema.Nothing, { absent: {} });
      const command = { type: "RotateSecret", secret: newSecret() } as const;
      const outcome = await system.ask(WebhookEndpoint, id, command, causeOf(c), withSecret(id));
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 200, outcome.answer, { ...unkept, ...headersOf(outcome) });
    })
    .post("/:id/test", async (c) => {
      const { id } = parsedParams(c, Schema.EndpointPath);
      await parseBody(c, Schema.Nothing, { absent: {} });
      const command = { type: "Test" } as const;
      const outcome = await system.ask(WebhookEndpoint, id, command, causeOf(c), viewOf(id));
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 202, { type: "webhook.test" }, headersOf(outcome));
    })
    .delete("/:id", async (c) => {
      const { id } = parsedParams(c, Schema.EndpointPath);
      await parseBody(c, Schema.Nothing, { absent: {} });
      const command = { type: "Delete" } as const;
      const outcome = await system.ask(WebhookEndpoint, id, command, causeOf(c), () => null);
      if (!outcome.accepted) return refused(c, outcome);
      return answer(c, 204, undefined, headersOf(outcome));
    });
}

function endpointQueries(
  { system, webhooks, webhookListing, consistencyWaitMs }: WebhookOptions,
) {
  const { db, standingOf, now } = webhooks;
  return new Hono<CallerEnv>()
    .get("/", async (c) => {
      const { cursor, limit } = parsedQuery(c, Schema.ListQuery);
      await awaitToken(c, webhookListing, consistencyWaitMs);
      const { id } = c.get("caller").principal;
      const rows = await listEndpoints(db, id, cursor?.[0] ?? "", limit + 1);
      return answer(c, 200, pageOf(rows, limit, listed, (row) => [row.id]));
    })
    .get("/:id", async (c) => {
      const { id } = parsedParams(c, Schema.EndpointPath);
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
    });
}

function operatorCommands({ system, parseBody, deadLetters, webhooks }: WebhookOptions) {
  return new Hono<CallerEnv>()
    .post("/:id/replay", async (c) => {
      requireRole(c, "admin");
      const { id } = parsedParams(c, Schema.EndpointPath);
      const asked = await parseBody(c, Schema.Replay);
      const { principal } = c.get("caller");
      const { view } = await system.read(WebhookEndpoint, id, causeOf(c), (state) => {
        if (!WebhookEndpoint.mayManage(state, principal)) return "not-found";
        return state.status === "enabled" ? state : "disabled";
      }, { isStrong: true });
      if (typeof view === "string") return problemResponse(c, ...problemOf(view));
      if ("deadLetters" in asked) {
        const which = { kind: WebhookEndpoint.lane, key: id, limit: REPLAY_MAX };
        const raised = await deadLetters.redrive(which, principal);
        return answer(c, 202, { replayed: raised.length });
      }
      const { from, to = webhooks.now(), cursor } = asked;
      const { messages, next } = await webhooks.replay({
        endpointId: id,
        ownerId: view.ownerId,
        types: view.types,
        operatorId: principal.id,
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
  throw new ProblemError("/problems/webhook/forbidden-url", {
    status: 422,
    title: "Nothing may be sent to this URL",
    errors: [{ path: ["url"], message: admission.reason }],
  });
}

/** What holds a secret stays in no cache. */
const unkept = { "Cache-Control": "no-store" };

function endpointView(id: string, state: WebhookEndpoint.State, version: number) {
  return { id, ...WebhookEndpoint.details(state), version };
}

function viewOf(id: string) {
  return ({ state, version }: Happened) => endpointView(id, state, version);
}

function withSecret(id: string) {
  return ({ state, version }: Happened) => {
    return { ...endpointView(id, state, version), secret: state.secret };
  };
}

/** The lane is the breaker: while it rests, nothing is sent; then one message tries the way. */
function standingView({ waiting, attempts, restMs }: LaneStanding, now: number) {
  const isResting = restMs > 0;
  const breaker = attempts === 0 ? "closed" : isResting ? "open" : "half-open";
  return {
    breaker,
    failedAttempts: attempts,
    ...(isResting && { nextAttemptAt: new Date(now + restMs).toISOString() }),
    waiting,
  };
}

function listed(row: Awaited<ReturnType<typeof listEndpoints>>[number]) {
  return { ...withoutNulls(row), version: Number(row.version) };
}

function withoutNulls<Row extends object>(row: Row): Partial<Row> {
  const filled = Object.entries(row).filter(([, value]) => value !== null);
  return Object.fromEntries(filled) as Partial<Row>;
}

function placeOf({ transaction, position }: { transaction: string; position: string }) {
  return [transaction, position];
}

const { problemOf, refused } = refusals<WebhookEndpoint.Reason | "too-many">(
  "webhook",
  "endpoint",
  {
    "not-found": { status: 404, title: "No such webhook endpoint" },
    "already-exists": { status: 409, title: "The webhook endpoint exists already" },
    "disabled": { status: 409, title: "The webhook endpoint is disabled" },
    "too-many": {
      status: 409,
      title: "There are too many webhook endpoints",
      detail: `Nobody may have more than ${ENDPOINTS_MAX}`,
    },
  },
);
