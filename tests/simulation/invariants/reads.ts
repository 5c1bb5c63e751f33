/**
 * What readers are shown is what was recorded.
 *
 * @module
 */
import { viewOf } from "../acts.ts";
import { Broken, type Chronicle, type Course, decisionsOf, keyOfRead, named } from "./chronicle.ts";

/** I6: a reader is shown the actor as it was at the version that it is told. */
export function viewsAreOfTheirVersion(chronicle: Chronicle): void {
  const shown = (course: Course, version: number, view: unknown, what: string) => {
    const state = course.states[version];
    if (version >= course.states.length) {
      throw new Broken("I6", `${what} ${version}: there is none`);
    }
    const expected = JSON.stringify(viewOf(course.kind, state));
    if (JSON.stringify(view) === expected) return;
    throw new Broken("I6", `${what} ${version} was shown ${JSON.stringify(view)}, not ${expected}`);
  };
  for (const { operation, attempts } of chronicle.reads) {
    const { kind, key } = keyOfRead(operation);
    const course = chronicle.courseAt(kind, key);
    for (const { ending } of attempts) {
      if (ending?.is !== "read") continue;
      shown(course, ending.version, ending.view, `${named(operation)} at`);
    }
  }
  for (const { operation, attempts, course } of chronicle.requests) {
    for (const { ending } of attempts) {
      if (ending?.is !== "accepted") continue;
      shown(course, ending.version, ending.answer.view, `${named(operation)} at`);
    }
  }
}

/** I6: a strong read shows what anyone was told before; every read what its reader has seen. */
export function readsAreAsFreshAsAsked(chronicle: Chronicle): void {
  const known = knownVersions(chronicle);
  for (const { operation, attempts } of chronicle.reads) {
    const { act } = operation;
    if (act.is !== "read") continue;
    const { kind, key } = keyOfRead(operation);
    const { ticks } = chronicle.courseAt(kind, key);
    for (const { ending, invokedAt, endedAt, atLeast } of attempts) {
      if (ending?.is !== "read") continue;
      const { version } = ending;
      const least = act.strength === "strong"
        ? newestBefore(known.get(`${kind}/${key}`) ?? [], invokedAt)
        : atLeast;
      const what = `${named(operation)}, ${act.strength}, was shown ${version}`;
      if (version < least) throw new Broken("I6", `${what}, and not ${least}`);
      if (ticks[version]! > endedAt) throw new Broken("I6", `${what} before that was there`);
    }
  }
}

interface Known {
  readonly endedAt: number;
  readonly version: number;
}

/** By actor: what was acknowledged to anyone, and when. */
function knownVersions({ requests }: Chronicle): ReadonlyMap<string, Known[]> {
  const known = new Map<string, Known[]>();
  for (const request of requests) {
    const { kind, key } = request.asked;
    const of = known.get(`${kind}/${key}`) ?? [];
    for (const { endedAt, ending: { version } } of decisionsOf(request)) {
      of.push({ endedAt, version });
    }
    known.set(`${kind}/${key}`, of);
  }
  return known;
}

function newestBefore(known: readonly Known[], tick: number): number {
  let newest = 0;
  for (const { endedAt, version } of known) {
    if (endedAt < tick && version > newest) newest = version;
  }
  return newest;
}
