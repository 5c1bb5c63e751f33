/**
 * The port behind which it is kept what was done by administrators, and for the security of the
 * service: who, what, on what, from where, as part of what, and how it ended.
 *
 * What is kept is never changed and never taken out. So it holds no secret, and of people only ids.
 * Each row is sealed soon after it was written: the seals are numbered without gaps, and each depends
 * on its row, on the seal before it, and on a key that the store does not have.
 *
 * @module
 */
import type { Operator } from "./outbox.ts";

/** Done; not allowed, or not possible as things are; broken off, and nobody knows how far. */
export const auditOutcomes = ["done", "refused", "failed"] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

export interface AuditEntry {
  /** What was done, in two words. */
  readonly act: string;
  /** What it was done to, as `sort/name`. */
  readonly subject: string;
  readonly outcome: AuditOutcome;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Audit {
  /** @throws {TransientFault} when it cannot be kept now; then the act had better not be done. */
  record(entry: AuditEntry, operator: Operator): Promise<void>;
}

export interface AuditRecord extends AuditEntry {
  readonly id: number;
  /** In epoch milliseconds. */
  readonly at: number;
  readonly operator: Operator;
  /** Absent until it is sealed. */
  readonly seal?: AuditSeal;
}

export interface AuditSeal {
  readonly number: number;
  /** In hexadecimal digits. */
  readonly mac: string;
}

/** As it is told, and as a verification takes it. */
export function sealText({ number, mac }: AuditSeal): string {
  return `${number}:${mac}`;
}

/** A seal that was seen is no more, or is another: nothing is sealed on top of that. */
export class AuditRewritten extends Error {
  override readonly name = "AuditRewritten";
  /** The newest that was seen. */
  readonly known: AuditSeal;
  /** What is the newest now; undefined where none is left. */
  readonly found: AuditSeal | undefined;

  constructor(known: AuditSeal, found: AuditSeal | undefined) {
    super(`The audit was rewritten: seal ${known.number} is not what it was`);
    this.known = known;
    this.found = found;
  }
}

export interface AuditQuery {
  readonly actor?: string;
  readonly act?: string;
  readonly subject?: string;
  /** In epoch milliseconds, the first included. */
  readonly from?: number;
  readonly to?: number;
  /** Ids before this one. */
  readonly before?: number;
  readonly limit: number;
}

export interface AuditTrail {
  /** The newest first. */
  list(query: AuditQuery): Promise<readonly AuditRecord[]>;
  /** The newest seal; undefined while there is none. */
  head(): Promise<AuditSeal | undefined>;
}

export interface AuditSealing extends Pick<AuditTrail, "head"> {
  /**
   * Seals at most so many rows, and gives their number; none while another node is at it. Among the
   * newest rows it finds each; one that was committed very late, only where it is to look at `all`.
   *
   * What it has seen of the seals it remembers for as long as it lives.
   *
   * @throws {AuditRewritten} when the newest that it has seen is not there any more; then nothing is
   * sealed.
   * @throws {TransientFault} when it cannot be done now; then nothing was.
   */
  seal(which: { readonly limit: number; readonly all: boolean }): Promise<number>;
}
