/**
 * What a live event tells itself for later.
 *
 * A timer is never taken back. It names the time that it was set for, and by then finds either that
 * this still stands, or nothing to do. So it may come late, twice, or when all is over. It brings
 * the principal of whoever set it, and is asked for no rights.
 *
 * @module
 */
import { type DecisionContext, type Message, tell } from "../../lib/runtime/aggregate.ts";
import { Command, kind, type Timer } from "./commands.ts";
import type { Event } from "./events.ts";
import type { Plan } from "./state.ts";

/** How long before the start people are reminded. */
export const REMINDER_AHEAD_MS = 24 * 60 * 60_000;

export function completion({ endsAt }: Plan, context: DecisionContext): Message {
  return timer({ type: "Complete", endsAt }, Date.parse(endsAt), context);
}

/** At once if the start is nearer than that. */
export function reminder({ startsAt }: Plan, context: DecisionContext): Message {
  return timer({ type: "Remind", startsAt }, Date.parse(startsAt) - REMINDER_AHEAD_MS, context);
}

/** One for all offers that end together: many seats may become free at once. */
export function lapses(events: readonly Event[], context: DecisionContext): Message[] {
  const times = new Set<string>();
  for (const event of events) if ("expiresAt" in event) times.add(event.expiresAt);
  return [...times].map((expiresAt) =>
    timer({ type: "Lapse", expiresAt }, Date.parse(expiresAt), context)
  );
}

/** For offers that a turn had to leave to the next. */
export function lapseNow(expiresAt: string, context: DecisionContext): Message {
  return timer({ type: "Lapse", expiresAt }, context.at, context);
}

function timer(command: Timer, dueAt: number, { key, at }: DecisionContext): Message {
  return tell({ kind, Command }, key, command, { delayMs: Math.max(0, dueAt - at) });
}
