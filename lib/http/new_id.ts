import type { Cause } from "../runtime/envelope.ts";
import { stableUuid } from "../stable_uuid.ts";

/**
 * The id of what a request is to create. Under an idempotency key it follows from the key, so that
 * the repeated request finds the actor that remembers the reply.
 */
export function idOfNew({ idempotency, principal, messageId }: Cause): string {
  if (idempotency === undefined) return messageId;
  return stableUuid(`${principal.id}\n${idempotency.key}`);
}
