/** What the webhook routes accept. Rules beyond shape are the aggregate's. */
import { z } from "zod";
import { publicEventTypes } from "../actors/live_event/public_events.ts";
import { pageParameters, placeIn } from "../lib/http/pages.ts";
import { text } from "../lib/http/text.ts";

const subscription = {
  url: text({ min: 1, max: 2_000 }),
  types: z.array(z.enum(publicEventTypes)).min(1).max(publicEventTypes.length)
    .refine((types) => new Set(types).size === types.length, {
      error: "Must not name a type twice",
    }),
  description: text({ max: 200 }).exactOptional(),
};

export const NewEndpoint = z.strictObject(subscription);

export const EndpointChanges = z.strictObject({
  ...subscription,
  url: subscription.url.exactOptional(),
  types: subscription.types.exactOptional(),
});

export const EndpointPath = z.object({ id: z.uuid().toLowerCase() });

export const ListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.uuid()])).exactOptional(),
});

const instant = z.iso.datetime({ offset: true }).max(40).transform((time) => Date.parse(time))
  .refine((ms) => ms >= Date.UTC(1970) && ms < Date.UTC(10_000), {
    error: "Must be a time that exists, in the years 1970 to 9999",
  });

const FeedPlace = z.tuple([z.string().regex(/^[0-9]{1,18}$/), z.string().regex(/^[0-9]{1,18}$/)]);

/** Either all that happened in a time, or what ended as a dead letter. */
export const Replay = z.union([
  z.strictObject({
    from: instant,
    to: instant.exactOptional(),
    cursor: placeIn(FeedPlace).exactOptional(),
  }),
  z.strictObject({ deadLetters: z.literal(true) }),
], { error: 'Must be {"from", "to"?, "cursor"?} or {"deadLetters": true}' });

/** The body of a command that takes none. */
export const Nothing = z.strictObject({});
