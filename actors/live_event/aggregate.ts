/**
 * A live event: seats up to its capacity, then a first-come waitlist.
 *
 * What `decide` upholds and everyone else may assume:
 * - there are never more people confirmed or offered a seat than there are seats;
 * - while a seat is free, nobody waits, unless the event is cancelled, or it offers its seats and
 *   has begun;
 * - nobody holds two registrations, so nobody is both confirmed and waiting;
 * - a seat goes to whoever has waited longest, or is first offered to them, for so long;
 * - each offer ends once: accepted, lapsed, withdrawn, or with the event.
 *
 * @module
 */
import { accept, type DecisionContext, type Message, reject } from "../../lib/runtime/aggregate.ts";
import { Command, type CommandOf, kind, type Reason, type Verdict } from "./commands.ts";
import { Event } from "./events.ts";
import { evolve } from "./evolve.ts";
import { acceptOffer, filled, lapse, register, seatsHeld, shortened, withdraw } from "./seats.ts";
import { snapshot } from "./snapshot.ts";
import { initial, type Plan, type State } from "./state.ts";
import { isAfter } from "./times.ts";
import { completion, reminder, REMINDER_AHEAD_MS } from "./timers.ts";
import { mayManage, mayView } from "./views.ts";

export { Command, Event, evolve, initial, kind, type Reason, snapshot, type State };

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  switch (command.type) {
    case "Schedule":
      return schedule(state, command, context);
    case "Remind":
      return remind(state, command, context);
    case "Lapse":
      return lapse(state, command, context);
    case "Complete":
      return complete(state, command);
  }
  if (!mayView(state, context.principal)) return reject("not-found");
  switch (command.type) {
    case "Register":
      return register(state, command, context);
    case "Accept":
      return acceptOffer(state, command, context);
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
  // Published later than that, it has nobody to remind: who comes now has just read the start.
  const isFarOff = isAfter(state.startsAt, context.at + REMINDER_AHEAD_MS);
  const messages = [completion(state, context), ...(isFarOff ? [reminder(state, context)] : [])];
  return { accepted: true, events: [{ type: "Published" }], messages };
}

/** A start in the past is refused only if it is new: what has begun may still be retitled. */
function revise(state: State, command: CommandOf<"Revise">, context: DecisionContext): Verdict {
  const { at } = context;
  const changes = changesOf(state, command);
  if (Object.keys(changes).length === 0) return accept();

  const revised = { ...state, ...changes };
  const { startsAt, endsAt, capacity } = revised;
  if (changes.startsAt !== undefined && !isAfter(startsAt, at)) return reject("starts-in-past");
  if (!isAfter(endsAt, Date.parse(startsAt))) return reject("ends-before-start");
  if (capacity < state.confirmed) return reject("capacity-below-confirmed");
  // An offer is a promise: its seat goes only when it has ended.
  if (capacity < seatsHeld(state)) return reject("capacity-below-offered");
  const cut = changes.startsAt === undefined ? [] : shortened(state, startsAt);
  const causes: Event[] = [{ type: "Revised", ...changes }, ...cut];
  const verdict = filled(revised, { causes, seats: capacity - seatsHeld(state) }, context);
  if (state.status !== "published") return verdict;
  return { ...verdict, messages: [...movedTimers(revised, changes, context), ...verdict.messages] };
}

/** Who registered knows another start: so of one that is nearer than a day they hear at once. */
function movedTimers(
  revised: Plan,
  { startsAt, endsAt }: Partial<Plan>,
  context: DecisionContext,
): readonly Message[] {
  return [
    ...(endsAt === undefined ? [] : [completion(revised, context)]),
    ...(startsAt === undefined ? [] : [reminder(revised, context)]),
  ];
}

/** Once for a start, and not for one that is past: by then there is nothing left to remind of. */
function remind(
  { status, startsAt, isReminded }: State,
  command: CommandOf<"Remind">,
  { at }: DecisionContext,
): Verdict {
  const isDue = status === "published" && startsAt === command.startsAt && !isReminded;
  return isDue && isAfter(startsAt, at) ? accept({ type: "Reminded", startsAt }) : accept();
}

/** By the message, not by a clock: whoever delivers it has waited for the time. */
function complete({ status, endsAt }: State, command: CommandOf<"Complete">): Verdict {
  return status === "published" && endsAt === command.endsAt
    ? accept({ type: "Completed" })
    : accept();
}

const revisable = [
  "title",
  "description",
  "venue",
  "startsAt",
  "endsAt",
  "capacity",
  "waitlistCapacity",
  "offerMinutes",
] as const satisfies (keyof Plan)[];

/** The fields of the revision that differ from what is. */
function changesOf(state: State, { type: _, ...asked }: CommandOf<"Revise">): Partial<Plan> {
  const changes: { -readonly [Field in keyof Plan]?: Plan[Field] } = asked;
  for (const field of revisable) {
    if (changes[field] === state[field]) delete changes[field];
  }
  return changes;
}
