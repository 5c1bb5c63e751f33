/** How the state of a live event is written down: flat arrays, the waitlist in its order. */
import { z } from "zod";
import type { SnapshotCodec } from "../../lib/runtime/aggregate.ts";
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import { initial, type Registration, type State, statuses } from "./state.ts";
import { firstWaiting, openOffers } from "./views.ts";
import { append } from "./waitlist.ts";

/** Registration id, user id, registration id, user id, and so on. */
const Pairs = z.array(z.string());
const Offers = z.array(z.tuple([z.string(), z.string(), z.iso.datetime()]));

const Encoded = z.tuple([
  z.enum(statuses),
  z.string(),
  z.string(),
  z.string().nullable(),
  z.string().nullable(),
  z.iso.datetime(),
  z.iso.datetime(),
  z.int().nonnegative(),
  z.int().nonnegative().nullable(),
  z.int().positive().nullable(),
  z.boolean(),
  Pairs,
  Pairs,
  Offers,
]);
type Encoded = z.infer<typeof Encoded>;

/** An event that was never scheduled is written as null. */
export const snapshot: SnapshotCodec<State> = {
  schema: 2,
  encode: (state) => state.status === "unscheduled" ? null : encode(state, state.status),
  decode: (encoded) => encoded === null ? initial : decode(Encoded.parse(encoded)),
};

function encode(state: State, status: Encoded[0]): Encoded {
  const confirmed = state.registrations.values().filter(({ status }) => status === "confirmed")
    .flatMap(({ registrationId, userId }) => [registrationId, userId]);
  const waitlisted = firstWaiting(state, state.waitlist.size)
    .flatMap(({ registrationId, userId }) => [registrationId, userId]);
  return [
    status,
    state.organizerId,
    state.title,
    state.description ?? null,
    state.venue ?? null,
    state.startsAt,
    state.endsAt,
    state.capacity,
    state.waitlistCapacity ?? null,
    state.offerMinutes ?? null,
    state.isReminded,
    confirmed,
    waitlisted,
    openOffers(state).map(({ registrationId, userId, expiresAt }) => [
      registrationId,
      userId,
      expiresAt,
    ]),
  ];
}

/** Tickets are drawn anew: nobody outside the state knows them, and the order is kept. */
function decode(encoded: Encoded): State {
  const [status, organizerId, title, description, venue, startsAt, endsAt] = encoded;
  const [, , , , , , , capacity, waitlistCapacity, offerMinutes, isReminded] = encoded;
  const [, , , , , , , , , , , confirmed, waitlisted, offered] = encoded;

  let { waitlist, offers } = initial;
  const all: Registration[] = [];
  for (const [registrationId, userId] of pairs(confirmed)) {
    all.push({ registrationId, userId, status: "confirmed" });
  }
  for (const [registrationId, userId] of pairs(waitlisted)) {
    const [next, ticket] = append(waitlist, registrationId);
    waitlist = next;
    all.push({ registrationId, userId, status: "waitlisted", ticket });
  }
  for (const [registrationId, userId, expiresAt] of offered) {
    const [next, ticket] = append(offers, registrationId);
    offers = next;
    all.push({ registrationId, userId, status: "offered", ticket, expiresAt });
  }

  const registrations = PersistentMap.of(all.map((each) => [each.registrationId, each]));
  const registrationIds = PersistentMap.of(all.map((each) => [each.userId, each.registrationId]));
  // Neither a text without its other half nor one that occurs twice adds up to this.
  const people = (confirmed.length + waitlisted.length) / 2 + offered.length;
  if (registrations.size !== people || registrationIds.size !== people) {
    throw new TypeError(
      "Cannot decode a live event: its registrations are not pairs of ids, each of which occurs once",
    );
  }
  return {
    status,
    organizerId,
    title,
    ...(description === null ? {} : { description }),
    ...(venue === null ? {} : { venue }),
    startsAt,
    endsAt,
    capacity,
    ...(waitlistCapacity === null ? {} : { waitlistCapacity }),
    ...(offerMinutes === null ? {} : { offerMinutes }),
    confirmed: confirmed.length / 2,
    registrations,
    registrationIds,
    waitlist,
    offers,
    isReminded,
  };
}

function* pairs(texts: readonly string[]): Generator<readonly [string, string]> {
  for (let at = 0; at + 1 < texts.length; at += 2) yield [texts[at]!, texts[at + 1]!];
}
