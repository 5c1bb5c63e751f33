/** What a live event remembers. */
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import { empty, type Waitlist } from "./waitlist.ts";

/**
 * What the organizer lays down, and may revise.
 *
 * Times are texts as `Date.prototype.toISOString` writes them, so that equal times are equal texts.
 */
export interface Plan {
  readonly title: string;
  readonly description?: string;
  readonly venue?: string;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly capacity: number;
  /** How many may wait at most; without it, any number. */
  readonly waitlistCapacity?: number;
  /** How long a freed seat is kept for whom it is offered to; without it, it is theirs at once. */
  readonly offerMinutes?: number;
}

/** Of an event that was scheduled. */
export const statuses = ["draft", "published", "cancelled", "completed"] as const;
export type Status = typeof statuses[number];

export interface Person {
  readonly registrationId: string;
  readonly userId: string;
}

/** A seat kept for somebody, up to a time that is never after the start of the event. */
export interface Offer extends Person {
  readonly status: "offered";
  /** In the line of offers. */
  readonly ticket: number;
  readonly expiresAt: string;
}

/** Somebody who is still in; who withdrew or let an offer lapse is found only in the history. */
export type Registration =
  | Person & { readonly status: "confirmed" }
  | Person & { readonly status: "waitlisted"; readonly ticket: number }
  | Offer;

/** What can have become of a registration. */
export const registrationStatuses = [
  "confirmed",
  "waitlisted",
  "offered",
  "lapsed",
  "withdrawn",
] as const;
export type RegistrationStatus = typeof registrationStatuses[number];

/**
 * Persistent: a new state shares with the old all that did not change, and never alters it.
 *
 * A state without registrations holds only shared empty maps.
 */
export interface State extends Plan {
  readonly status: "unscheduled" | Status;
  readonly organizerId: string;
  /** How many registrations are confirmed. */
  readonly confirmed: number;
  /** By registration id. */
  readonly registrations: PersistentMap<string, Registration>;
  /** The registration id of every user who has one. */
  readonly registrationIds: PersistentMap<string, string>;
  /** The ids of the waitlisted registrations, in order of arrival. */
  readonly waitlist: Waitlist;
  /** The ids of the registrations that are offered a seat, in the order of the offers. */
  readonly offers: Waitlist;
  /** Of the start as it is now. */
  readonly isReminded: boolean;
}

export const initial: State = {
  status: "unscheduled",
  organizerId: "",
  title: "",
  startsAt: "",
  endsAt: "",
  capacity: 0,
  confirmed: 0,
  registrations: PersistentMap.of(),
  registrationIds: PersistentMap.of(),
  waitlist: empty,
  offers: empty,
  isReminded: false,
};
