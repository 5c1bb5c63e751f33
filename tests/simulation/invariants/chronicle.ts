/**
 * A history, arranged for those who hold it to the invariants.
 *
 * @module
 */
import { addressText } from "../../../lib/runtime/envelope.ts";
import type { StoredEvent } from "../../../lib/runtime/store.ts";
import { readEvent } from "../../../lib/runtime/turn.ts";
import { aggregateOf, type Asked, askedBy, keyOf } from "../acts.ts";
import type { Attempt, Ending, History, Performed } from "../history.ts";
import type { ActorKind, Operation } from "../plan.ts";

/** An invariant does not hold. */
export class Broken extends Error {
  override readonly name = "Broken";
  readonly invariant: string;

  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

/** One actor, from its beginning to its end. */
export interface Course {
  readonly kind: ActorKind;
  readonly stream: readonly StoredEvent[];
  /** By version; that of version 0 is the first. */
  readonly states: readonly unknown[];
  /** When each version became visible, by version; 0 for version 0. */
  readonly ticks: readonly number[];
}

/** The events that one message led to at one actor. */
export interface Effect {
  readonly course: Course;
  readonly firstVersion: number;
  readonly lastVersion: number;
}

/** An operation that asks, with what came of it. */
export interface Request extends Performed {
  readonly asked: Asked;
  readonly course: Course;
  /** The effects under any of its message ids. */
  readonly effects: readonly Effect[];
}

export class Chronicle {
  readonly history: History;
  readonly courses = new Map<string, Course>();
  readonly requests: readonly Request[];
  readonly reads: readonly Performed[];
  /** By causation id. */
  readonly effects = new Map<string, Effect[]>();

  constructor(history: History) {
    this.history = history;
    const ticks = ticksOf(history);
    for (const [text, stream] of history.streams) {
      const kind = text.slice(0, text.indexOf("/")) as ActorKind;
      const course = courseOf(kind, stream, ticks.get(text) ?? []);
      this.courses.set(text, course);
      for (const effect of effectsIn(course)) {
        const { causationId } = stream[effect.firstVersion - 1]!;
        this.effects.set(causationId, [...this.effects.get(causationId) ?? [], effect]);
      }
    }
    const isRead = ({ operation }: Performed) => operation.act.is === "read";
    this.reads = history.performed.filter(isRead);
    this.requests = history.performed.filter((performed) => !isRead(performed))
      .map((performed) => this.#request(performed));
  }

  courseAt(kind: ActorKind, key: string): Course {
    return this.courses.get(addressText({ kind, key })) ?? courseOf(kind, [], []);
  }

  #request(performed: Performed): Request {
    const asked = askedBy(performed.operation)!;
    return {
      ...performed,
      asked,
      course: this.courseAt(asked.kind, asked.key),
      effects: performed.messageIds.flatMap((id) => this.effects.get(id) ?? []),
    };
  }
}

function courseOf(
  kind: ActorKind,
  stream: readonly StoredEvent[],
  ticks: readonly number[],
): Course {
  const aggregate = aggregateOf(kind);
  const states = [aggregate.initial];
  for (const stored of stream) {
    states.push(aggregate.evolve(states.at(-1), readEvent(aggregate, stored)));
  }
  return { kind, stream, states, ticks: [0, ...ticks] };
}

/** By address text: when each version became visible. */
function ticksOf({ commits }: History): ReadonlyMap<string, number[]> {
  const ticks = new Map<string, number[]>();
  for (const { tick, commit: { address, events } } of commits) {
    const text = addressText(address);
    const of = ticks.get(text) ?? [];
    for (let event = 0; event < events.length; event++) of.push(tick);
    ticks.set(text, of);
  }
  return ticks;
}

/** Runs of events with one causation id. */
function* effectsIn(course: Course): Iterable<Effect> {
  const { stream } = course;
  for (let first = 0; first < stream.length;) {
    let last = first;
    while (stream[last + 1]?.causationId === stream[first]!.causationId) last++;
    yield { course, firstVersion: first + 1, lastVersion: last + 1 };
    first = last + 1;
  }
}

export type Verdict = Extract<Ending, { is: "accepted" | "refused" }>;

/** What the runtime says without having asked the actor. */
const unasked = ["idempotency-key-in-progress", "idempotency-key-reused"];

/** An attempt that was answered with a decision. */
export interface Decided extends Attempt {
  readonly ending: Verdict;
}

export function decisionsOf({ attempts }: Performed): Decided[] {
  return attempts.filter((attempt): attempt is Decided => {
    const { ending } = attempt;
    if (ending?.is === "accepted") return true;
    return ending?.is === "refused" && !unasked.includes(ending.reason);
  });
}

/** As reports name it. */
export function named({ id, act }: Operation): string {
  return `operation ${id} (${act.is === "trade" ? `trade: ${act.deal.is}` : act.is})`;
}

export function keyOfRead({ act }: Operation): { kind: ActorKind; key: string } {
  if (act.is !== "read") throw new Error(`${act.is} is no read`);
  return { kind: act.kind, key: keyOf(act.kind, act.index) };
}
