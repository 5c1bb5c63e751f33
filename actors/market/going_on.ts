/**
 * What a market does not get done in one turn: it tells itself to go on.
 *
 * An order that trades with very many does so with some of them at a time. It comes first, before all that
 * has arrived since: those wait in a line, of whatever they are about, so that what each of them leads to is
 * what it would have led to after the whole of the order. Alerts that many wait for are given after that.
 *
 * @module
 */
import { type DecisionContext, type Message, tell } from "../../lib/runtime/aggregate.ts";
import type { ToMarket } from "../trading.ts";
import { triggeredBefore } from "./alerts.ts";
import { type Acceptance, Command, kind, type Verdict } from "./commands.ts";
import type { Event } from "./events.ts";
import { evolve } from "./evolve.ts";
import { decideOn, resume, turnAway } from "./orders.ts";
import type { State } from "./state.ts";

/** Events and messages of one turn, after which no further step is begun. */
const ENOUGH = 500;
/** So many may wait before orders are turned away. All else is about orders that there are already. */
export const WAITING_MAX = 10_000;

/** What is told then has to wait. */
export function isInTheMiddle({ unfinished, waiting }: State): boolean {
  return unfinished !== undefined || waiting !== undefined;
}

export function postpone({ waiting }: State, command: ToMarket): Acceptance {
  const length = waiting === undefined ? 0 : waiting.end - waiting.start;
  if (command.type === "Submit" && length >= WAITING_MAX) return turnAway(command, "book-full");
  return { accepted: true, events: [{ type: "Postponed", command }] };
}

/** Told by whoever leaves something to be done, unless it has been already. */
export function awaited(state: State, verdict: Verdict, { key }: DecisionContext): Verdict {
  if (!verdict.accepted || hasMore(state) || !verdict.events.some(leavesMore)) return verdict;
  return { ...verdict, messages: [...verdict.messages ?? [], tellGoOn(key)] };
}

export function goOn(before: State, context: DecisionContext): Verdict {
  const events: Event[] = [];
  const messages: Message[] = [];
  let state = before;
  while (hasMore(state) && events.length + messages.length < ENOUGH) {
    const step = nextStep(state, context);
    events.push(...step.events);
    messages.push(...step.messages ?? []);
    state = step.events.reduce(evolve, state);
  }
  if (hasMore(state)) messages.push(tellGoOn(context.key));
  return { accepted: true, events, messages };
}

function nextStep(state: State, context: DecisionContext): Acceptance {
  const { unfinished, waiting, alerts } = state;
  if (unfinished !== undefined) return resume(state, unfinished.order, context);
  if (waiting === undefined) return { accepted: true, events: triggeredBefore(alerts) };
  const step = decideOn(state, waiting.places[waiting.start]!, context);
  return { ...step, events: [{ type: "TakenUp" }, ...step.events] };
}

function hasMore(state: State): boolean {
  return isInTheMiddle(state) || state.alerts.due !== undefined;
}

function leavesMore(event: Event): boolean {
  return event.type === "AlertsMet" || ("rest" in event && event.rest === "goes-on");
}

function tellGoOn(key: string): Message {
  return tell({ kind, Command }, key, { type: "GoOn" });
}
