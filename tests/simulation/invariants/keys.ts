/**
 * Keys belong to who uses them.
 *
 * @module
 */
import { Broken, type Chronicle, named, type Request } from "./chronicle.ts";

/** I13: a key is refused only where its owner has used it at that actor before, or is using it. */
export function keysAreTheirOwners({ requests }: Chronicle): void {
  const byKey = Map.groupBy(requests, scopeOf);
  for (const request of requests) {
    for (const { ending } of request.attempts) {
      if (ending?.is !== "refused") continue;
      const sharing = byKey.get(scopeOf(request))!;
      const { operation } = request;
      if (ending.reason === "idempotency-key-reused" && sharing.length < 2) {
        throw new Broken("I13", `${named(operation)} was refused a key that only it has used`);
      }
      const sent = sharing.reduce((sum, { messageIds }) => sum + messageIds.length, 0);
      if (ending.reason === "idempotency-key-in-progress" && sent < 2) {
        throw new Broken("I13", `${named(operation)} was told that its key is in use`);
      }
    }
  }
}

function scopeOf({ operation: { id, key }, asked }: Request): string {
  return `${asked.kind}/${asked.key} ${asked.principal.id} ${key ?? `unkeyed ${id}`}`;
}
