/** Where each event leads: a fold that cannot fail. */
import type { Event } from "./events.ts";
import type { Offer, Person, Registration, State } from "./state.ts";
import * as Waitlist from "./waitlist.ts";

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "Scheduled": {
      const { type: _, ...plan } = event;
      return { ...state, ...plan, status: "draft" };
    }
    case "Revised": {
      const { type: _, ...changes } = event;
      const isReminded = state.isReminded && changes.startsAt === undefined;
      return { ...state, ...changes, isReminded };
    }
    case "Published":
      return { ...state, status: "published" };
    case "Cancelled":
      return { ...state, status: "cancelled" };
    case "Completed":
      return { ...state, status: "completed" };
    case "Reminded":
      return { ...state, isReminded: true };
    case "Registered":
      return seated(state, event);
    case "Waitlisted":
      return queued(state, event);
    case "Promoted":
    case "Accepted":
      return seated(outOfLine(state, event), event);
    case "Offered":
      return offered(outOfLine(state, event), event);
    case "OfferShortened":
      return shortened(state, event);
    case "Withdrawn":
    case "Lapsed":
      return gone(state, event);
  }
}

function seated(state: State, { registrationId, userId }: Person): State {
  const registration: Registration = { registrationId, userId, status: "confirmed" };
  return {
    ...state,
    confirmed: state.confirmed + 1,
    registrations: state.registrations.set(registrationId, registration),
    registrationIds: state.registrationIds.set(userId, registrationId),
  };
}

function queued(state: State, { registrationId, userId }: Person): State {
  const [waitlist, ticket] = Waitlist.append(state.waitlist, registrationId);
  const registration: Registration = { registrationId, userId, status: "waitlisted", ticket };
  return {
    ...state,
    registrations: state.registrations.set(registrationId, registration),
    registrationIds: state.registrationIds.set(userId, registrationId),
    waitlist,
  };
}

function offered(
  state: State,
  { registrationId, userId, expiresAt }: Pick<Offer, keyof Person | "expiresAt">,
): State {
  const [offers, ticket] = Waitlist.append(state.offers, registrationId);
  const offer: Offer = { registrationId, userId, status: "offered", ticket, expiresAt };
  return { ...state, registrations: state.registrations.set(registrationId, offer), offers };
}

function shortened(
  state: State,
  { registrationId, expiresAt }: Pick<Offer, "registrationId" | "expiresAt">,
): State {
  const offer = state.registrations.get(registrationId);
  if (offer?.status !== "offered") return state;
  const registrations = state.registrations.set(registrationId, { ...offer, expiresAt });
  return { ...state, registrations };
}

function gone(state: State, { registrationId, userId }: Person): State {
  const wasConfirmed = state.registrations.get(registrationId)?.status === "confirmed";
  return {
    ...outOfLine(state, { registrationId }),
    confirmed: state.confirmed - (wasConfirmed ? 1 : 0),
    registrations: state.registrations.delete(registrationId),
    registrationIds: state.registrationIds.delete(userId),
  };
}

/** Neither waiting nor offered a seat. */
function outOfLine(state: State, { registrationId }: Pick<Person, "registrationId">): State {
  const registration = state.registrations.get(registrationId);
  switch (registration?.status) {
    case "waitlisted":
      return { ...state, waitlist: Waitlist.remove(state.waitlist, registration.ticket) };
    case "offered":
      return { ...state, offers: Waitlist.remove(state.offers, registration.ticket) };
    default:
      return state;
  }
}
