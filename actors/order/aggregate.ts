/**
 * An order: what somebody wants to buy or sell, from its placing to its end.
 *
 * It leads the way of an order through those who know nothing of one another: who watches over risk,
 * who pays or delivers, and the market. What `decide` upholds and everyone else may assume:
 * - an order never trades more than its quantity, and comes to one end: filled, cancelled or rejected;
 * - what is kept for it covers what it can still trade, and after its end nothing is kept;
 * - every execution is settled once: cash one way, shares the other;
 * - to all but who placed it, admins and the actors that answer it, it does not exist.
 *
 * @module
 */
import { accept, type DecisionContext, type Message, reject } from "../../lib/runtime/aggregate.ts";
import type { Execution, Rest, ToOrder } from "../trading.ts";
import { Command, type CommandOf, kind, type Reason, type Verdict } from "./commands.ts";
import { consequencesOf } from "./consequences.ts";
import { Event } from "./events.ts";
import { evolve } from "./evolve.ts";
import {
  cancelledOnTheWay,
  excessOf,
  hasEnded,
  initial,
  isFor,
  moreFor,
  moreForReplacement,
  remainingOf,
  type State,
} from "./state.ts";

export { Command, Event, evolve, initial, kind, type Reason, type State };

/** What comes after a message that could not be handled may rest on it: an operator sees to it. */
export const afterBurial = "park";

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  const verdict = decided(state, command, context);
  if (!verdict.accepted || verdict.events.length === 0) return verdict;
  return concluded(state, verdict.events, context);
}

/** With what is not needed any more given back, and all who are concerned told. */
function concluded(before: State, events: readonly Event[], context: DecisionContext): Verdict {
  const messages: Message[] = [];
  let state = before;
  const follow = (event: Event) => {
    messages.push(...consequencesOf(state, event, context));
    state = evolve(state, event);
  };
  events.forEach(follow);
  const excess = excessOf(state);
  if (excess === 0n) return { accepted: true, events, messages };
  const released: Event = { type: "ExcessReleased", amount: String(excess) };
  follow(released);
  return { accepted: true, events: [...events, released], messages };
}

function decided(state: State, command: Command, context: DecisionContext): Verdict {
  switch (command.type) {
    case "Place":
      return place(state, command, context);
    case "Refuse":
      return reject(state.status === "unplaced" ? command.reason : "already-exists");
    case "Cancel":
      if (!isFor(state, context.principal)) return reject("not-found");
      return hasEnded(state) ? reject("ended") : cancel(state, "asked");
    case "Replace":
      return isFor(state, context.principal) ? replace(state, command) : reject("not-found");
    case "Expire":
      return hasEnded(state) ? accept() : cancel(state, "expired");
    default:
      // What is kept for an order after its end has to be given back. All else has only been late.
      return hasEnded(state) && command.type !== "Reserved" ? accept() : heard(state, command);
  }
}

function place(
  { status }: State,
  { type: _, ...order }: CommandOf<"Place">,
  { at, principal }: DecisionContext,
): Verdict {
  if (status !== "unplaced") return reject("already-exists");
  const placedAt = new Date(at).toISOString();
  return accept({ ...order, type: "OrderPlaced", accountId: principal.id, placedAt });
}

function cancel({ cancelling }: State, because: "asked" | "expired"): Verdict {
  return cancelling === undefined ? accept({ type: "CancelRequested", because }) : accept();
}

function replace(state: State, asked: CommandOf<"Replace">): Verdict {
  if (hasEnded(state)) return reject("ended");
  if (state.status !== "working" || state.cancelling !== undefined) return reject("not-working");
  if (state.replacement !== undefined) return reject("being-replaced");
  const { limit = state.limit, quantity = state.quantity } = asked;
  if (quantity <= state.filled) return reject("quantity-below-filled");
  if (limit === state.limit && quantity === state.quantity) return accept();
  if (asked.refused !== undefined) return reject(asked.refused);
  const needs = String(moreForReplacement(state, { limit, quantity }));
  return accept({ type: "ReplaceRequested", limit, quantity, needs });
}

function heard(state: State, told: ToOrder): Verdict {
  switch (told.type) {
    case "Declined":
    case "NotReserved":
    case "TurnedAway":
      return state.replacement === undefined
        ? accept({ type: "OrderRejected", reason: told.reason })
        : accept({ type: "ReplaceRejected", reason: told.reason });
    case "Reserved":
      return reserved(state);
    case "Submitted":
      return executed(state, told.executions, (remaining) => rested(state, told.rest, remaining));
    case "Executed":
      return executed(state, [told.execution], () => []);
    case "Withdrawn":
      return accept(cancelled(state.cancelling ?? "asked", told.remaining));
    case "Replaced":
      return replaced(state, told);
    case "NotReplaced":
      return accept({ type: "ReplaceRejected", reason: "not-resting" });
  }
}

function reserved(state: State): Verdict {
  const needs = state.replacement?.needs ?? moreFor(state, state);
  const reserved: Event = { type: "OrderReserved", amount: String(needs > 0n ? needs : 0n) };
  const because = cancelledOnTheWay(state);
  return because === undefined
    ? accept(reserved)
    : accept<Event>(reserved, cancelled(because, remainingOf(state)));
}

/** What becomes of an order that has traded what it could; `cancelling` came on the way, and follows. */
function rested(state: State, rest: Rest, remaining: number): readonly Event[] {
  if (rest === "none" || rest === "goes-on") return [];
  if (rest !== "rests") return [cancelled(rest, remaining)];
  // One that was replaced rested before, so its market has heard of whatever came on the way.
  if (state.status === "working") return [];
  const { cancelling: because } = state;
  const rests: Event = { type: "OrderRested" };
  return because === undefined ? [rests] : [rests, { type: "CancelRequested", because }];
}

/** `then` says what becomes of an order that is not filled by that, by what remains of it. */
function executed(
  state: State,
  executions: readonly Execution[],
  then: (remaining: number) => readonly Event[],
): Verdict {
  const events = executions.map((execution): Event => ({ ...execution, type: "OrderExecuted" }));
  const remaining = remainingOf(events.reduce(evolve, state));
  if (remaining === 0) return accept<Event>(...events, { type: "OrderFilled" });
  return accept(...events, ...then(remaining));
}

function replaced(
  state: State,
  { executions, rest }: Extract<ToOrder, { type: "Replaced" }>,
): Verdict {
  const { limit, quantity } = state.replacement ?? state;
  const replaced: Event = { type: "OrderReplaced", limit, quantity };
  const after = evolve(state, replaced);
  const verdict = executed(after, executions, (remaining) => rested(after, rest, remaining));
  return verdict.accepted ? accept<Event>(replaced, ...verdict.events) : verdict;
}

function cancelled(
  because: Extract<Event, { type: "OrderCancelled" }>["because"],
  remaining: number,
) {
  return { type: "OrderCancelled", because, remaining } satisfies Event;
}
