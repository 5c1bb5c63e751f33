/**
 * Keys belong to who uses them.
 *
 * @module
 */
import type { Attempt } from "../history.ts";
import { Broken, type Chronicle, named, type Request } from "./chronicle.ts";

/** I13: a key is refused only where its owner has used it at that actor before, or is using it. */
export function keysAreTheirOwners({ requests }: Chronicle): void {
  const byKey = Map.groupBy(requests, scopeOf);
  for (const request of requests) {
    const sharing = byKey.get(scopeOf(request))!;
    const others = sharing.filter((other) => other !== request);
    for (const attempt of request.attempts) {
      const { ending } = attempt;
      if (ending?.is !== "refused") continue;
      const wasSent = (of: readonly Request[]) => of.some((one) => isSentBy(one, attempt));
      if (ending.reason === "idempotency-key-reused" && !wasSent(others)) {
        throw new Broken("I13", `${named(request.operation)} was refused a key that only it has`);
      }
      if (ending.reason === "idempotency-key-in-progress" && !wasSent(sharing)) {
        throw new Broken("I13", `${named(request.operation)} was told that its key is in use`);
      }
    }
  }
}

/** Whether something else was sent for it before that attempt ended. */
function isSentBy({ attempts, messageIds }: Request, { messageId, endedAt }: Attempt): boolean {
  return messageIds.includes(`${messageId}-again`) ||
    attempts.some((other) => other.messageId !== messageId && other.invokedAt < endedAt);
}

function scopeOf({ operation: { id, key }, asked }: Request): string {
  return `${asked.kind}/${asked.key} ${asked.principal.id} ${key ?? `unkeyed ${id}`}`;
}
