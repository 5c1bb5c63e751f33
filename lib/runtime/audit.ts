/**
 * The port behind which it is kept what operators did.
 *
 * @module
 */
import type { Operator } from "./outbox.ts";

export interface AuditEntry {
  /** What was done, in two words. */
  readonly act: string;
  /** What it was done to, as `sort/name`. */
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Audit {
  /** @throws {TransientFault} when it cannot be kept now; then the act had better not be done. */
  record(entry: AuditEntry, operator: Operator): Promise<void>;
}
