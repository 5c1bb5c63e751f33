/**
 * What only the whole history shows to have happened.
 *
 * @module
 */
import { type Chronicle, keyOfRead, type Request } from "./invariants/chronicle.ts";
import type { Markers, Situation } from "./markers.ts";

interface Because {
  readonly because?: string;
  readonly reason?: string;
}

/** By kind and type, and where it says more by why it happened. */
const ofEvents: Readonly<Record<string, Situation>> = {
  "live_event Offered": "seat offered",
  "live_event Lapsed": "offer lapsed",
  "order OrderFilled": "order filled",
  "order OrderRested": "order waits",
  "order OrderReplaced": "order replaced",
  "order ReplaceRejected": "replacement refused",
  "order OrderCancelled asked": "order cancelled",
  "order OrderCancelled expired": "order expired",
  "order OrderCancelled self-trade": "would trade with itself",
  "order OrderRejected insufficient-cash": "cash runs short",
  "order OrderRejected insufficient-shares": "shares run short",
  "order OrderRejected market-paused": "market paused",
  "risk LimitBreached": "limit breached",
};

export function noteSituations(chronicle: Chronicle, markers: Markers): void {
  for (const request of chronicle.requests) {
    if (!request.attempts.some(({ ending }) => ending?.is === "fault" && isOpen(ending))) continue;
    markers.sometimes(
      isDoneUnheard(request) ? "unknown, and it was done" : "unknown, and it was not done",
    );
  }
  for (const { operation, attempts } of chronicle.reads) {
    const { kind, key } = keyOfRead(operation);
    const { ticks } = chronicle.courseAt(kind, key);
    for (const { ending, invokedAt } of attempts) {
      if (ending?.is !== "read") continue;
      const next = ticks[ending.version + 1];
      if (next !== undefined && next < invokedAt) markers.sometimes("stale read");
    }
  }
  for (const { kind, stream } of chronicle.courses.values()) {
    for (const { type, data } of stream) {
      const { because, reason = because } = data as Because;
      const situation = ofEvents[`${kind} ${type}`] ?? ofEvents[`${kind} ${type} ${reason}`];
      if (situation !== undefined) markers.sometimes(situation);
    }
  }
  const { rung } = chronicle.history;
  const heard = new Set(rung.map(({ message: { messageId } }) => messageId));
  for (let again = heard.size; again < rung.length; again++) {
    markers.sometimes("outside told again");
  }
}

function isOpen(ending: { readonly outcome: string }): boolean {
  return ending.outcome === "unknown";
}

/** The attempt that nobody heard of is the one that counted. */
function isDoneUnheard({ attempts, effects, course }: Request): boolean {
  const [effect] = effects;
  if (effect === undefined) return false;
  const { causationId } = course.stream[effect.firstVersion - 1]!;
  const attempt = attempts.find(({ messageId }) => causationId.startsWith(messageId));
  return attempt?.ending?.is === "fault";
}
