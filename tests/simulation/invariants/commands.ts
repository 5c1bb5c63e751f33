/**
 * What was answered to commands is true of what is recorded.
 *
 * @module
 */
import type { Attempt } from "../history.ts";
import { decideAgain } from "./deciding.ts";
import { Broken, type Chronicle, decisionsOf, named, type Request } from "./chronicle.ts";

/** I1: what was acknowledged is recorded, where the answer says. */
export function nothingAcknowledgedIsLost({ requests }: Chronicle): void {
  for (const { operation, attempts, effects } of requests) {
    for (const { ending } of attempts) {
      if (ending?.is !== "accepted" || ending.answer.events === 0) continue;
      const { version, answer: { events } } = ending;
      const isThere = effects.some(({ firstVersion, lastVersion }) =>
        lastVersion === version && lastVersion - firstVersion + 1 === events
      );
      if (!isThere) {
        throw new Broken(
          "I1",
          `${named(operation)} was acknowledged at ${version}, and is not there`,
        );
      }
    }
  }
}

/** I2: no message, and no operation under a key, has an effect twice. */
export function nothingHasItsEffectTwice({ effects, requests }: Chronicle): void {
  for (const [causationId, of] of effects) {
    if (of.length > 1) {
      throw new Broken("I2", `the message ${causationId} counts ${of.length} times`);
    }
  }
  const byKey = new Map<string, number>();
  for (const { operation, effects, asked } of requests) {
    const { key, id } = operation;
    const scope = `${asked.kind}/${asked.key} ${asked.principal.id} ${key ?? `unkeyed ${id}`}`;
    const sum = (byKey.get(scope) ?? 0) + effects.length;
    byKey.set(scope, sum);
    if (sum > 1) throw new Broken("I2", `${named(operation)} counts ${sum} times`);
  }
}

/** I3: what was refused, or could not be done, is not recorded. */
export function whatFailedIsNotThere({ requests }: Chronicle): void {
  for (const { operation, attempts, effects, messageIds } of requests) {
    const mayBeThere = attempts.some(({ ending }) =>
      ending === undefined || ending.is === "accepted" ||
      ending.is === "fault" && ending.outcome === "unknown"
    ) || messageIds.length > attempts.length && !isRemembered(attempts);
    if (!mayBeThere && effects.length > 0) {
      throw new Broken("I3", `${named(operation)} failed every time, and is recorded`);
    }
  }
}

/** So that whatever arrives again is answered the same; a refusal by what does not exist is not. */
function isRemembered(attempts: readonly Attempt[]): boolean {
  return attempts.some(({ ending }) => ending?.is === "refused" && ending.version > 0);
}

/** I4: whoever asks again under one key has the same answer each time. */
export function answersUnderOneKeyAreEqual({ requests }: Chronicle): void {
  for (const request of requests) {
    if (request.operation.key === undefined) continue;
    // Where an actor does not exist nothing is remembered.
    const [first, ...others] = decisionsOf(request)
      .filter(({ ending: { version } }) => version > 0)
      .map(({ ending: { replayed: _, ...answer } }) => JSON.stringify(answer));
    for (const other of others) {
      if (other === first) continue;
      throw new Broken("I4", `${named(request.operation)} was answered ${first}, then ${other}`);
    }
  }
}

/** I5, for commands: what was acknowledged before another was sent comes before it. */
export function acknowledgedOrderHolds({ courses, requests }: Chronicle): void {
  const byCourse = Map.groupBy(requests, ({ course }) => course);
  for (const course of courses.values()) {
    const writes = (byCourse.get(course) ?? []).filter(({ effects }) => effects.length > 0);
    const acknowledged = new Acknowledged(writes);
    const inOrder = writes.toSorted((a, b) => firstInvokedAt(a) - firstInvokedAt(b));
    for (const write of inOrder) {
      const least = acknowledged.before(firstInvokedAt(write));
      const { firstVersion } = write.effects[0]!;
      if (firstVersion > least) continue;
      throw new Broken(
        "I5",
        `${named(write.operation)} is at ${firstVersion}, after ${least} was acknowledged`,
      );
    }
  }
}

/** I7: a refusal is true of some version between its sending and its answer. */
export function refusalsAreTrue({ requests }: Chronicle): void {
  const byCourse = Map.groupBy(requests, ({ course }) => course);
  for (const [course, ofOne] of byCourse) {
    const acknowledged = new Acknowledged(ofOne);
    for (const request of ofOne) {
      for (const { ending, endedAt } of decisionsOf(request)) {
        const { version } = ending;
        const what = `${named(request.operation)} was answered at ${version}`;
        if (version >= course.states.length) throw new Broken("I7", `${what}, which is nowhere`);
        if (course.ticks[version]! > endedAt) {
          throw new Broken("I7", `${what} before that was there`);
        }
        const least = acknowledged.before(firstInvokedAt(request));
        // What is remembered may be of an earlier attempt, and never of before the first.
        if (version < least) {
          throw new Broken("I7", `${what} though ${least} was acknowledged before`);
        }
        if (ending.is === "refused") {
          const reason = decideAgain(request, version);
          if (reason === undefined || reason === ending.reason) continue;
          throw new Broken("I7", `${what} with ${ending.reason}, not with ${reason}`);
        }
      }
    }
  }
}

/** The newest version that had been acknowledged at some time. */
class Acknowledged {
  readonly #ticks: number[] = [];
  readonly #versions: number[] = [];

  constructor(requests: readonly Request[]) {
    const told = requests.flatMap((request) =>
      decisionsOf(request).map(({ endedAt, ending: { version } }) => ({ endedAt, version }))
    ).sort((a, b) => a.endedAt - b.endedAt);
    let newest = 0;
    for (const { endedAt, version } of told) {
      newest = Math.max(newest, version);
      this.#ticks.push(endedAt);
      this.#versions.push(newest);
    }
  }

  before(tick: number): number {
    let low = 0;
    let high = this.#ticks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ticks[middle]! < tick) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#versions[low - 1]!;
  }
}

function firstInvokedAt({ attempts }: Request): number {
  return attempts[0]!.invokedAt;
}
