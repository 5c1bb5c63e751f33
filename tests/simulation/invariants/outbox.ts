/**
 * What becomes of all that is told.
 *
 * @module
 */
import { JOB_KIND } from "../../../lib/jobs/job.ts";
import { addressText } from "../../../lib/runtime/envelope.ts";
import { BELL } from "../actors/register.ts";
import { Broken, type Chronicle } from "./chronicle.ts";

/** I10: what an actor is told it handles, or it waits for its time, or is buried: none is missing. */
export function nothingGetsLostOnTheWay({ history }: Chronicle): void {
  const { commits, waiting, deadLetters } = history;
  const told = new Map<string, number>();
  const add = (lane: string, count: number) => told.set(lane, (told.get(lane) ?? 0) + count);
  for (const { commit: { address, messages = [], consumed = [] } } of commits) {
    for (const { to } of messages) if (isActor(to)) add(addressText(to), 1);
    add(addressText(address), -consumed.length);
  }
  for (const { to } of [...waiting, ...deadLetters]) if (isActor(to)) add(addressText(to), -1);
  for (const [lane, count] of told) {
    if (count > 0) throw new Broken("I10", `${count} of what ${lane} was told got lost`);
    if (count < 0) throw new Broken("I10", `${lane} has handled ${-count} more than it was told`);
  }
}

/** I10: an actor handles nothing while something that it was told earlier is still to be handled. */
export function nothingIsOvertaken({ history }: Chronicle): void {
  const landed = new Map<number, number>();
  history.commits.forEach(({ commit: { messages = [] }, position }, place) =>
    messages.forEach(({ delayMs }, n) => {
      // What is told for later may be overtaken until then.
      if (delayMs === 0) landed.set(position + n, place);
    })
  );
  for (const { commit: { address, consumed = [] }, waiting } of history.commits) {
    for (const position of consumed) {
      const place = landed.get(position) ?? -1;
      const overtaken = waiting.find((other) =>
        other < position && (landed.get(other) ?? Infinity) <= place
      );
      if (overtaken === undefined) continue;
      throw new Broken(
        "I10",
        `${addressText(address)} has handled ${position} before ${overtaken}`,
      );
    }
  }
}

/** I10: no message is buried for what is no fault of its own. */
export function onlyWhatNobodyCanHandleIsBuried({ history }: Chronicle): void {
  for (const { to, command, messageId, error } of history.deadLetters) {
    if (!isActor(to)) continue;
    const { explodes } = command as { readonly explodes?: boolean };
    if (!explodes) throw new Broken("I10", `${messageId} was buried: ${error}`);
  }
}

function isActor({ kind }: { readonly kind: string }): boolean {
  return kind !== BELL && kind !== JOB_KIND;
}
