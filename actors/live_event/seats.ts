/**
 * Who gets a seat: decisions about registrations, offers and the line.
 *
 * A seat is held by who is confirmed and by who is offered one; all others are free.
 *
 * @module
 */
import { accept, type DecisionContext, reject } from "../../lib/runtime/aggregate.ts";
import type { CommandOf, Verdict } from "./commands.ts";
import type { Event } from "./events.ts";
import type { Registration, State } from "./state.ts";
import { isAfter, textOf } from "./times.ts";
import { lapseNow, lapses } from "./timers.ts";
import { firstWaiting, mayManage, openOffers } from "./views.ts";

const MINUTE_MS = 60_000;
/** Offers that end in one turn; the rest follow in turns of their own, so that each stays small. */
const LAPSES_MAX = 1_000;

export function register(
  state: State,
  { registrationId, userId }: CommandOf<"Register">,
  { at, principal }: DecisionContext,
): Verdict {
  if (userId !== principal.id && !mayManage(state, principal)) return reject("not-organizer");
  if (state.status === "draft") return reject("not-published");
  if (state.status === "cancelled") return reject("cancelled");
  if (!isAfter(state.startsAt, at)) return reject("already-started");
  if (state.registrationIds.has(userId) || state.registrations.has(registrationId)) {
    return reject("already-registered");
  }
  if (seatsHeld(state) < state.capacity) {
    return accept({ type: "Registered", registrationId, userId });
  }
  const waiting = state.waitlist.size;
  if (waiting >= (state.waitlistCapacity ?? Infinity)) return reject("sold-out");
  return accept({ type: "Waitlisted", registrationId, userId, position: waiting + 1 });
}

/** An offer is personal: not even the organizer takes it for somebody. */
export function acceptOffer(
  state: State,
  { registrationId }: CommandOf<"Accept">,
  { at, principal }: DecisionContext,
): Verdict {
  const registration = state.registrations.get(registrationId);
  if (!registration) return reject("registration-not-found");
  const { userId, status } = registration;
  // Who may not know of a registration hears what they hear of one that is not there.
  const isKnown = mayManage(state, principal);
  if (userId !== principal.id) return reject(isKnown ? "not-yours" : "registration-not-found");
  if (state.status === "cancelled" || state.status === "completed") return reject(state.status);
  if (status !== "offered") return reject("not-offered");
  // By the clock, though its timer may be late: the next in line was promised that much.
  if (!isAfter(registration.expiresAt, at)) return reject("offer-lapsed");
  return accept({ type: "Accepted", registrationId, userId });
}

/** A cancelled event may still be left, but its seats are worth nothing: nobody gets them. */
export function withdraw(
  state: State,
  { registrationId }: CommandOf<"Withdraw">,
  context: DecisionContext,
): Verdict {
  const { at, principal } = context;
  const registration = state.registrations.get(registrationId);
  if (!registration) return reject("registration-not-found");
  const { userId, status } = registration;
  if (userId !== principal.id && !mayManage(state, principal)) {
    return reject("registration-not-found");
  }
  if (!isAfter(state.startsAt, at)) return reject("already-started");
  const freed = status !== "waitlisted" && state.status === "published" ? 1 : 0;
  const withdrawn: Event = { type: "Withdrawn", registrationId, userId, status };
  return filled(state, { causes: [withdrawn], seats: freed }, context);
}

/**
 * Ends all offers that were to end by then, and passes their seats on. By the message, not by a
 * clock: whoever delivers it has waited for the time.
 */
export function lapse(
  state: State,
  { expiresAt }: CommandOf<"Lapse">,
  context: DecisionContext,
): Verdict {
  if (state.status !== "published") return accept();
  const end = Date.parse(expiresAt);
  const overdue = openOffers(state).filter((offer) => !isAfter(offer.expiresAt, end));
  if (overdue.length === 0) return accept();
  const lapsed = overdue.slice(0, LAPSES_MAX)
    .map(({ registrationId, userId }): Event => ({ type: "Lapsed", registrationId, userId }));
  const seats = state.capacity - seatsHeld(state) + lapsed.length;
  const now = Math.max(end, context.at);
  const verdict = filled(state, { causes: lapsed, seats, now }, context);
  if (overdue.length === lapsed.length) return verdict;
  return { ...verdict, messages: [lapseNow(expiresAt, context), ...verdict.messages] };
}

/** Seats that are free, and what made them so. */
interface FreeSeats {
  readonly seats: number;
  readonly causes: readonly Event[];
  /** The time of the decision, unless another is known better. */
  readonly now?: number;
}

/**
 * Accepts the causes, and gives or offers the seats to those who have waited longest.
 *
 * Where seats are offered, none is from the start of the event on: nobody could accept it any more.
 */
export function filled(
  state: State,
  { seats, causes, now }: FreeSeats,
  context: DecisionContext,
): Required<Extract<Verdict, { accepted: true }>> {
  const { offerMinutes, startsAt } = state;
  const isOffered = offerMinutes !== undefined;
  const at = now ?? context.at;
  const people = isOffered && !isAfter(startsAt, at) ? [] : firstWaiting(state, seats);
  const expiresAt = isOffered
    ? textOf(Math.min(at + offerMinutes * MINUTE_MS, Date.parse(startsAt)))
    : undefined;
  // Not `accept(...)`: a waitlist of 150,000 would not fit on the stack as arguments.
  const events = [...causes, ...people.map((person) => givenSeat(person, expiresAt))];
  return { accepted: true, events, messages: lapses(events, context) };
}

/** What becomes of the open offers that would outlast a new start. */
export function shortened(state: State, startsAt: string): Event[] {
  const end = Date.parse(startsAt);
  return openOffers(state).filter(({ expiresAt }) => isAfter(expiresAt, end))
    .map(({ registrationId, userId }) => {
      return { type: "OfferShortened", registrationId, userId, expiresAt: startsAt };
    });
}

export function seatsHeld({ confirmed, offers }: State): number {
  return confirmed + offers.size;
}

function givenSeat(
  { registrationId, userId }: Registration,
  expiresAt: string | undefined,
): Event {
  return expiresAt === undefined
    ? { type: "Promoted", registrationId, userId }
    : { type: "Offered", registrationId, userId, expiresAt };
}
