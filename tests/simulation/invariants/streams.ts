/**
 * What is recorded of an actor is one line.
 *
 * @module
 */
import { addressText } from "../../../lib/runtime/envelope.ts";
import type { Committed } from "../history.ts";
import { Broken, type Chronicle } from "./chronicle.ts";

/** I5, for versions: they count from 1 without a gap, and each is what was committed as it. */
export function versionsHaveNoGap({ history }: Chronicle): void {
  const { streams, commits } = history;
  const counts = new Map<string, number>();
  for (const { commit: { address, events } } of commits) {
    const text = addressText(address);
    const stream = streams.get(text) ?? [];
    const before = counts.get(text) ?? 0;
    events.forEach(({ causationId }, index) => {
      if (stream[before + index]?.causationId === causationId) return;
      throw new Broken(
        "I5",
        `version ${before + index + 1} of ${text} was committed, and is not there`,
      );
    });
    counts.set(text, before + events.length);
  }
  for (const [text, stream] of streams) {
    stream.forEach(({ version }, index) => {
      if (version === index + 1) return;
      throw new Broken("I5", `version ${version} of ${text} is in place ${index + 1}`);
    });
    if (stream.length === (counts.get(text) ?? 0)) continue;
    throw new Broken(
      "I5",
      `${text} has ${stream.length} events, and ${counts.get(text)} were committed`,
    );
  }
}

/** I12: versions, revisions and transactions of an actor only grow; looked at as it is committed. */
export function growing(): (committed: Committed) => void {
  const last = new Map<string, { version: number; revision: number; transaction: bigint }>();
  return ({ commit, transaction }) => {
    const { address, version, revision, events } = commit;
    const text = addressText(address);
    const before = last.get(text);
    const number = BigInt(transaction);
    if (before !== undefined) {
      const isOlder = version !== before.version || revision < before.revision + 1 ||
        number <= before.transaction;
      const is = `version ${version}, revision ${revision}, transaction ${number}`;
      if (isOlder) {
        throw new Broken(
          "I12",
          `${text} is written at ${is} after ${JSON.stringify({ ...before, transaction })}`,
        );
      }
    }
    last.set(text, { version: version + events.length, revision, transaction: number });
  };
}
