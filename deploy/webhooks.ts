/**
 * Webhooks as parts of a node: who is told of what, the way out, and what the routes need.
 *
 * @module
 */
import * as LiveEvent from "../actors/live_event/aggregate.ts";
import { publicEventOf } from "../actors/live_event/public_events.ts";
import { happenedTo, ownersOf } from "../actors/live_event/public_feed.ts";
import { endpointsIn } from "../actors/webhook_endpoint/deliveries.ts";
import { webhookProjection, type WebhookTables } from "../actors/webhook_endpoint/projection.ts";
import { replay, type ReplayRequest } from "../actors/webhook_endpoint/replay.ts";
import type { Env } from "../lib/env.ts";
import type { Database } from "../lib/postgres/database.ts";
import { PostgresOutbox, tellWithin } from "../lib/postgres/outbox.ts";
import { ActorSystem } from "../lib/runtime/system.ts";
import { stableUuid } from "../lib/stable_uuid.ts";
import { WEBHOOK, webhookTarget } from "../lib/webhooks/delivery.ts";
import { admission, type Resolve, systemResolver } from "../lib/webhooks/destination.ts";
import { type Post, poster } from "../lib/webhooks/post.ts";
import { newSecret } from "../lib/webhooks/signature.ts";

export interface WebhookSetting {
  readonly allowedHosts?: readonly string[];
  readonly resolve?: Resolve;
  readonly post?: Post;
  readonly deadlineMs?: number;
  readonly pausesMs?: readonly number[];
}

/** Events at the limit of what one look at a lane counts. */
const WAITING_COUNT_MAX = 10_000;

/** All there is to webhooks: who is told of what, the way out, and what the routes need. */
export function webhooksOn(
  { database, system, outbox, env }: {
    readonly database: Database;
    readonly system: ActorSystem;
    readonly outbox: PostgresOutbox;
    readonly env: Env;
  },
  setting: WebhookSetting,
) {
  const { allowedHosts = [], post = poster(), ...rest } = setting;
  const { resolve = systemResolver(env), ...limits } = rest;
  const db = database.db.$extendTables<WebhookTables>();
  const publisher = { kind: LiveEvent.kind, publicEventOf, ownersOf, happenedTo };
  const fanOut = { publisher, tell: tellWithin, uuidOf: stableUuid };
  const admit = admission({ resolve, allowedHosts });
  const endpoints = endpointsIn({ system, db, env });
  return {
    projection: webhookProjection(fanOut),
    target: webhookTarget({ endpoints, admit, post, env, ...limits }),
    parts: {
      db: database.queries.$extendTables<WebhookTables>(),
      admit,
      newSecret,
      now: env.now,
      standingOf: (id: string) => outbox.standing({ kind: WEBHOOK, key: id }, WAITING_COUNT_MAX),
      replay: (request: ReplayRequest) => replay({ ...fanOut, db }, request),
    },
  };
}
