/**
 * A live event: seats up to its capacity, then a first-come waitlist.
 *
 * What `decide` upholds and everyone else may assume:
 * - there are never more people confirmed than seats;
 * - while a seat is free, nobody waits, unless the event is cancelled;
 * - nobody holds two registrations, so nobody is both confirmed and waiting;
 * - a seat goes to whoever has waited longest.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  type DecisionContext,
  type Message,
  reject,
  tell,
} from "../../lib/runtime/aggregate.ts";
import { initial, type Plan, type Registration, type State } from "./state.ts";
import { firstWaiting, mayManage, mayView } from "./views.ts";
import * as Waitlist from "./waitlist.ts";

export { snapshot } from "./snapshot.ts";
export { initial, type State };

export const kind = "live_event";

/** Parsed where it comes in; here its types are believed. */
export type Command =
  | { readonly type: "Schedule" } & Plan
  | { readonly type: "Revise" } & Partial<Plan>
  | { readonly type: "Publish" }
  | { readonly type: "Cancel" }
  | { readonly type: "Register"; readonly registrationId: string; readonly userId: string }
  | { readonly type: "Withdraw"; readonly registrationId: string }
  /** Told to itself for the time at which it ends. */
  | { readonly type: "Complete"; readonly endsAt: string };

type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

const time = z.iso.datetime();
const registration = { registrationId: z.string(), userId: z.string() };

/** What is told, not asked. */
export const Command = z.object({ type: z.literal("Complete"), endsAt: time });

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("Scheduled"),
    organizerId: z.string(),
    title: z.string(),
    description: z.string().exactOptional(),
    venue: z.string().exactOptional(),
    startsAt: time,
    endsAt: time,
    capacity: z.int(),
    waitlistCapacity: z.int().exactOptional(),
  }),
  /** Holds only what changed. */
  z.object({
    type: z.literal("Revised"),
    title: z.string().exactOptional(),
    description: z.string().exactOptional(),
    venue: z.string().exactOptional(),
    startsAt: time.exactOptional(),
    endsAt: time.exactOptional(),
    capacity: z.int().exactOptional(),
    waitlistCapacity: z.int().exactOptional(),
  }),
  z.object({ type: z.literal("Published") }),
  z.object({ type: z.literal("Cancelled") }),
  z.object({ type: z.literal("Completed") }),
  z.object({ type: z.literal("Registered"), ...registration }),
  z.object({ type: z.literal("Waitlisted"), ...registration, position: z.int() }),
  z.object({ type: z.literal("Promoted"), ...registration }),
  /** With what was given up. */
  z.object({
    type: z.literal("Withdrawn"),
    ...registration,
    status: z.enum(["confirmed", "waitlisted"]),
  }),
]);
export type Event = z.infer<typeof Event>;

export type Reason =
  | "not-found"
  | "already-exists"
  | "not-organizer"
  | "not-yours"
  | "not-published"
  | "already-published"
  | "cancelled"
  | "completed"
  | "already-started"
  | "ends-before-start"
  | "starts-in-past"
  | "capacity-below-confirmed"
  | "sold-out"
  | "already-registered"
  | "registration-not-found";

type Verdict = Decision<Event, Reason>;

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  if (command.type === "Schedule") return schedule(state, command, context);
  if (command.type === "Complete") return complete(state, command);
  if (!mayView(state, context.principal)) return reject("not-found");
  switch (command.type) {
    case "Register":
      return register(state, command, context);
    case "Withdraw":
      return withdraw(state, command, context);
  }

  if (!mayManage(state, context.principal)) return reject("not-organizer");
  if (state.status === "cancelled" || state.status === "completed") return reject(state.status);
  switch (command.type) {
    case "Revise":
      return revise(state, command, context);
    case "Publish":
      return publish(state, context);
    case "Cancel":
      return accept({ type: "Cancelled" });
  }
}

function schedule(
  state: State,
  command: CommandOf<"Schedule">,
  { at, principal }: DecisionContext,
): Verdict {
  if (state.status !== "unscheduled") return reject("already-exists");
  if (!isAfter(command.startsAt, at)) return reject("starts-in-past");
  if (!isAfter(command.endsAt, Date.parse(command.startsAt))) return reject("ends-before-start");
  return accept({ ...command, type: "Scheduled", organizerId: principal.id });
}

function publish(state: State, context: DecisionContext): Verdict {
  if (state.status !== "draft") return reject("already-published");
  const messages = [completion(state, context)];
  return { accepted: true, events: [{ type: "Published" }], messages };
}

/** The event tells itself when it is over; an end that was moved since has a message of its own. */
function completion({ endsAt }: Plan, { key, at }: DecisionContext): Message {
  const delayMs = Math.max(0, Date.parse(endsAt) - at);
  return tell({ kind, Command }, key, { type: "Complete", endsAt }, { delayMs });
}

/** By the message, not by a clock: whoever delivers it has waited for the time. */
function complete({ status, endsAt }: State, command: CommandOf<"Complete">): Verdict {
  return status === "published" && endsAt === command.endsAt
    ? accept({ type: "Completed" })
    : accept();
}

/** A start in the past is refused only if it is new: what has begun may still be retitled. */
function revise(state: State, command: CommandOf<"Revise">, context: DecisionContext): Verdict {
  const { at } = context;
  const changes = changesOf(state, command);
  if (Object.keys(changes).length === 0) return accept();

  const { startsAt, endsAt, capacity } = { ...state, ...changes };
  if (changes.startsAt !== undefined && !isAfter(startsAt, at)) return reject("starts-in-past");
  if (!isAfter(endsAt, Date.parse(startsAt))) return reject("ends-before-start");
  if (capacity < state.confirmed) return reject("capacity-below-confirmed");
  const verdict = seatWaiting(state, capacity - state.confirmed, { type: "Revised", ...changes });
  const isEndMoved = state.status === "published" && changes.endsAt !== undefined;
  if (!isEndMoved) return verdict;
  return { ...verdict, messages: [completion({ ...state, ...changes }, context)] };
}

function register(
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
  if (state.confirmed < state.capacity) {
    return accept({ type: "Registered", registrationId, userId });
  }
  const waiting = state.waitlist.size;
  if (waiting >= (state.waitlistCapacity ?? Infinity)) return reject("sold-out");
  return accept({ type: "Waitlisted", registrationId, userId, position: waiting + 1 });
}

/** A cancelled event may still be left, but its seats are worth nothing: nobody is promoted. */
function withdraw(
  state: State,
  { registrationId }: CommandOf<"Withdraw">,
  { at, principal }: DecisionContext,
): Verdict {
  const registration = state.registrations.get(registrationId);
  if (!registration) return reject("registration-not-found");
  const { userId, status } = registration;
  if (userId !== principal.id && !mayManage(state, principal)) return reject("not-yours");
  if (!isAfter(state.startsAt, at)) return reject("already-started");
  const freed = status === "confirmed" && state.status !== "cancelled" ? 1 : 0;
  return seatWaiting(state, freed, { type: "Withdrawn", registrationId, userId, status });
}

/** Accepts `cause`, and promotes as many as now have a seat. */
function seatWaiting(
  state: State,
  seats: number,
  cause: Event,
): Extract<Verdict, { accepted: true }> {
  const promoted = firstWaiting(state, seats).map(({ registrationId, userId }): Event => ({
    type: "Promoted",
    registrationId,
    userId,
  }));
  // Not `accept(...)`: a waitlist of 150,000 would not fit on the stack as arguments.
  return { accepted: true, events: [cause, ...promoted] };
}

const revisable = [
  "title",
  "description",
  "venue",
  "startsAt",
  "endsAt",
  "capacity",
  "waitlistCapacity",
] as const satisfies (keyof Plan)[];

/** The fields of the revision that differ from what is. */
function changesOf(state: State, { type: _, ...asked }: CommandOf<"Revise">): Partial<Plan> {
  const changes: { -readonly [Field in keyof Plan]?: Plan[Field] } = asked;
  for (const field of revisable) {
    if (changes[field] === state[field]) delete changes[field];
  }
  return changes;
}

function isAfter(time: string, at: number): boolean {
  return Date.parse(time) > at;
}

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "Scheduled": {
      const { type: _, ...plan } = event;
      return { ...state, ...plan, status: "draft" };
    }
    case "Revised": {
      const { type: _, ...changes } = event;
      return { ...state, ...changes };
    }
    case "Published":
      return { ...state, status: "published" };
    case "Cancelled":
      return { ...state, status: "cancelled" };
    case "Completed":
      return { ...state, status: "completed" };
    case "Registered":
      return seated(state, event);
    case "Waitlisted":
      return queued(state, event);
    case "Promoted":
      return seated({ ...state, waitlist: waitlistWithout(state, event.registrationId) }, event);
    case "Withdrawn":
      return gone(state, event);
  }
}

type Person = Pick<Registration, "registrationId" | "userId">;

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

function gone(state: State, { registrationId, userId }: Person): State {
  const wasConfirmed = state.registrations.get(registrationId)?.status === "confirmed";
  return {
    ...state,
    confirmed: state.confirmed - (wasConfirmed ? 1 : 0),
    registrations: state.registrations.delete(registrationId),
    registrationIds: state.registrationIds.delete(userId),
    waitlist: waitlistWithout(state, registrationId),
  };
}

function waitlistWithout(state: State, registrationId: string): Waitlist.Waitlist {
  const registration = state.registrations.get(registrationId);
  return registration?.status === "waitlisted"
    ? Waitlist.remove(state.waitlist, registration.ticket)
    : state.waitlist;
}
