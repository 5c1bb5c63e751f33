/**
 * What nodes say is true of what is recorded, message by message, whether it was heard or not.
 *
 * @module
 */
import type { Told } from "../history.ts";
import { Broken, type Chronicle, named } from "./chronicle.ts";

/** I3: what a node says has failed, or was refused, has no effect, then or later. */
export function whatWasSaidToFailIsNotThere({ history, effects }: Chronicle): void {
  for (const told of history.told) {
    if (!isSaidToFail(told) || !effects.has(told.messageId)) continue;
    throw new Broken("I3", `${named(told.operation)} is said to have failed, and is recorded`);
  }
}

function isSaidToFail({ ending }: Told): boolean {
  switch (ending.is) {
    case "fault":
      return ending.outcome === "not-applied";
    case "refused":
      // Under one key, the reply may be that to an attempt before.
      return !ending.replayed;
    default:
      return ending.is === "poison";
  }
}

/** I1: what a node says is done is recorded by then. */
export function whatWasSaidToBeDoneIsThere({ history, effects }: Chronicle): void {
  for (const { operation, messageId, ending } of history.told) {
    if (ending.is !== "accepted" || ending.replayed || ending.answer.events === 0) continue;
    const [effect] = effects.get(messageId) ?? [];
    if (effect?.lastVersion === ending.version) continue;
    throw new Broken("I1", `${named(operation)} is said to be at ${ending.version}, and is not`);
  }
}
