/** What can be read of a live event, and by whom. */
import type { Principal } from "../../lib/runtime/envelope.ts";
import type { Offer, Person, Plan, Registration, State } from "./state.ts";
import * as Waitlist from "./waitlist.ts";

export interface Details extends Plan {
  readonly status: State["status"];
  readonly organizerId: string;
  readonly confirmed: number;
  readonly waitlisted: number;
  /** Seats kept for those they are offered to. */
  readonly offered: number;
}

/** How one user stands; the position is counted from 1 and changes as others leave. */
export type Standing =
  & Person
  & (
    | { readonly status: "confirmed" }
    | { readonly status: "waitlisted"; readonly position: number }
    | { readonly status: "offered"; readonly offerExpiresAt: string }
  );

/** The organizer and every admin. */
export function mayManage(state: State, principal: Principal): boolean {
  return state.organizerId === principal.id || principal.roles.includes("admin");
}

/** A draft is shown to those alone who manage it; to all others it does not exist. */
export function mayView(state: State, principal: Principal): boolean {
  if (state.status === "unscheduled") return false;
  return state.status !== "draft" || mayManage(state, principal);
}

export function details(state: State): Details {
  const { registrations: _, registrationIds: __, isReminded: ___, waitlist, offers, ...rest } =
    state;
  return { ...rest, waitlisted: waitlist.size, offered: offers.size };
}

/** How the user stands; undefined for who never registered or is out again. */
export function standingOf(state: State, userId: string): Standing | undefined {
  const registrationId = state.registrationIds.get(userId);
  const registration = registrationId && state.registrations.get(registrationId);
  if (!registration) return undefined;
  const { status } = registration;
  switch (status) {
    case "confirmed":
      return { registrationId, userId, status };
    case "waitlisted":
      return { registrationId, userId, status, position: positionOf(state, registrationId)! };
    case "offered":
      return { registrationId, userId, status, offerExpiresAt: registration.expiresAt };
  }
}

/** The live place of a registration in the waitlist, from 1; undefined unless it waits. */
export function positionOf(state: State, registrationId: string): number | undefined {
  const registration = state.registrations.get(registrationId);
  return registration?.status === "waitlisted"
    ? Waitlist.positionOf(state.waitlist, registration.ticket)
    : undefined;
}

/** The registrations that wait, at most `count` of them, whoever came first first. */
export function firstWaiting(state: State, count: number): Registration[] {
  return Waitlist.first(state.waitlist, count)
    .map((registrationId) => state.registrations.get(registrationId))
    .filter((registration) => registration !== undefined);
}

/** In the order in which they were made. */
export function openOffers({ offers, registrations }: State): Offer[] {
  return Waitlist.first(offers, offers.size)
    .map((registrationId) => registrations.get(registrationId))
    .filter((registration) => registration?.status === "offered");
}
