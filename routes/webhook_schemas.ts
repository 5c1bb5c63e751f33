/** What the webhook routes accept and answer. Rules beyond shape are the aggregate's. */
import { z } from "zod";
import { publicEventTypes } from "../actors/live_event/public_events.ts";
import { instant, time } from "../lib/http/instant.ts";
import { pageParameters, pageSchema, placeIn } from "../lib/http/pages.ts";
import { text } from "../lib/http/text.ts";

const subscription = {
  url: text({ min: 1, max: 2_000 }),
  types: z.array(z.enum(publicEventTypes)).min(1).max(publicEventTypes.length)
    .refine((types) => new Set(types).size === types.length, {
      error: "Must not name a type twice",
    })
    .meta({ uniqueItems: true }),
  description: text({ max: 200 }).exactOptional(),
};

const subscribed = {
  url: "https://hooks.example.com/troupe",
  types: ["live_event.published", "live_event.cancelled"],
};

export const NewEndpoint = z.strictObject(subscription)
  .meta({ id: "NewWebhookEndpoint", examples: [subscribed] });

export const EndpointChanges = z.strictObject({
  ...subscription,
  url: subscription.url.exactOptional(),
  types: subscription.types.exactOptional(),
}).meta({ id: "WebhookEndpointChanges", examples: [{ types: ["live_event.registered"] }] });

export const EndpointPath = z.object({ id: z.uuid().toLowerCase() });

export const ListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.uuid()])).exactOptional(),
});

const instantMs = instant.transform((time) => Date.parse(time)).refine((ms) => ms >= 0, {
  error: "Must be a time in the years 1970 to 9999",
});

const FeedPlace = z.tuple([z.string().regex(/^[0-9]{1,18}$/), z.string().regex(/^[0-9]{1,18}$/)]);

/** Either all that happened in a time, or what ended as a dead letter. */
export const Replay = z.union([
  z.strictObject({
    from: instantMs,
    to: instantMs.exactOptional(),
    cursor: placeIn(FeedPlace).exactOptional(),
  }),
  z.strictObject({ deadLetters: z.literal(true) }),
], { error: 'Must be {"from", "to"?, "cursor"?} or {"deadLetters": true}' }).meta({
  id: "WebhookReplay",
  examples: [
    { from: "2026-06-01T00:00:00Z", to: "2026-06-02T00:00:00Z" },
    { deadLetters: true },
  ],
});

export const Replayed = z.strictObject({
  replayed: z.int().min(0).describe("How many messages were put into the lane of the endpoint"),
  nextCursor: z.string().exactOptional()
    .describe("Replays what follows, as `cursor`; absent where nothing is left"),
}).meta({ id: "WebhookReplayed" });

const endpoint = {
  id: z.uuid(),
  ownerId: z.string(),
  ...subscription,
  status: z.enum(["enabled", "disabled"]),
  disabledBecause: z.enum(["asked", "gone", "failing"]).exactOptional(),
  createdAt: time,
  previousSecretUntil: time.exactOptional()
    .describe("Until then deliveries are signed with the secret before as well"),
  version: z.int().min(1),
};

const shown = {
  id: "0b7f3f0e-9d1c-4f0a-8f57-2a1f2c9e7d10",
  ownerId: "olivia",
  ...subscribed,
  status: "enabled",
  createdAt: "2026-06-01T12:00:00.000Z",
  version: 1,
};

export const Endpoint = z.strictObject(endpoint)
  .meta({ id: "WebhookEndpoint", examples: [shown] });

export const Endpoints = pageSchema(Endpoint);

/** Nobody is shown it a second time. */
export const EndpointWithSecret = z.strictObject({
  ...endpoint,
  secret: z.string().describe("What deliveries are signed with; shown only here"),
}).meta({ id: "WebhookEndpointWithSecret" });

const Delivery = z.strictObject({
  breaker: z.enum(["closed", "open", "half-open"])
    .describe("Open while nothing is sent after a failure; half-open while one message is to try"),
  failedAttempts: z.int().min(0),
  nextAttemptAt: time.exactOptional(),
  waiting: z.int().min(0),
  lastSuccessAt: time.exactOptional(),
  lastFailureAt: time.exactOptional(),
  lastFailure: z.string().exactOptional(),
});

export const EndpointWithDelivery = z.strictObject({ ...endpoint, delivery: Delivery })
  .meta({ id: "WebhookEndpointWithDelivery" });

export const TestAccepted = z.strictObject({ type: z.literal("webhook.test") });
