/**
 * I15: once all is well, everything comes to its end.
 *
 * @module
 */
import { Broken, type Chronicle, named } from "./chronicle.ts";

/** How long a command may take, once nothing fails any more. */
const ANSWER_MS = 30_000;

export function everythingComesToItsEnd({ history }: Chronicle): void {
  const { performed, healedAtMs, isAtRest } = history;
  for (const { operation, attempts } of performed) {
    const { key, act } = operation;
    const isRepeated = key !== undefined || act.is === "read";
    const last = attempts.at(-1)!;
    if (last.ending === undefined || isRepeated && last.ending.is === "fault") {
      throw new Broken("I15", `${named(operation)} was never answered`);
    }
    const tookMs = last.endedMs - Math.max(healedAtMs, attempts[0]!.invokedMs);
    if (tookMs > ANSWER_MS) {
      throw new Broken("I15", `${named(operation)} took ${Math.round(tookMs)} ms`);
    }
  }
  if (isAtRest) return;
  const { unanswered, undelivered, openJobs, leases } = history;
  const left = [
    `${unanswered} requests`,
    `${undelivered} messages`,
    `${openJobs} jobs`,
    `${leases} leases`,
  ].join(", ");
  throw new Broken("I15", `${left} were left, or events unread`);
}

/** Nothing ends in another way than the runtime says. */
export function nothingIsADefect({ history }: Chronicle): void {
  for (const { operation, attempts } of history.performed) {
    for (const { ending } of attempts) {
      if (ending?.is !== "defect") continue;
      throw new Broken("defects", `${named(operation)} ended with ${ending.error}`);
    }
    const isPoison = operation.act.is === "append" && operation.act.isPoison;
    if (!isPoison && attempts.some(({ ending }) => ending?.is === "poison")) {
      throw new Broken("defects", `${named(operation)} was taken for poison`);
    }
  }
}
