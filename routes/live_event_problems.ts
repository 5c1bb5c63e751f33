/** How each refusal of a live event reads over HTTP; a reason without a face does not compile. */
import type * as LiveEvent from "../actors/live_event/aggregate.ts";
import { refusals } from "../lib/http/refusals.ts";

type Reason = LiveEvent.Reason | "version-not-found";

export const { problemOf, known, refused } = refusals<Reason>("live-event", "event", {
  "not-found": { status: 404, title: "No such event" },
  "version-not-found": { status: 404, title: "The event has no such version" },
  "registration-not-found": { status: 404, title: "No such registration" },
  "not-organizer": { status: 403, title: "Only the event's organizer may do this" },
  "not-yours": { status: 403, title: "The registration is somebody else's" },
  "already-exists": { status: 409, title: "The event exists already" },
  "not-published": { status: 409, title: "The event is not published" },
  "already-published": { status: 409, title: "The event is published already" },
  "cancelled": { status: 409, title: "The event is cancelled" },
  "completed": { status: 409, title: "The event is over" },
  "already-started": { status: 409, title: "The event has started" },
  "sold-out": { status: 409, title: "No seats are left, and no places on the waitlist" },
  "already-registered": { status: 409, title: "The person is registered already" },
  "capacity-below-confirmed": {
    status: 409,
    title: "More people are confirmed than the new capacity would seat",
  },
  "capacity-below-offered": {
    status: 409,
    title: "The new capacity would not seat those confirmed and those who are offered a seat",
  },
  "not-offered": { status: 409, title: "The registration is not offered a seat" },
  "offer-lapsed": { status: 409, title: "The offer has lapsed" },
  "ends-before-start": { status: 422, title: "The event must end after it starts" },
  "starts-in-past": { status: 422, title: "The event must start in the future" },
});
