/**
 * How seals follow from keys, rows, and one another. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, hkdfSync } from "node:crypto";
import { sql } from "kysely";

export interface AuditKey {
  /** Says which key it is, and nothing of it. */
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** The first seals; all may have sealed what is there already. */
export type AuditKeys = readonly [AuditKey, ...AuditKey[]];

const KEY_BYTES = 32;
const ID_CHARS = 16;

/** Of each secret a key that is good for nothing else. */
export function auditKeyOf(secret: Uint8Array): AuditKey {
  const bytes = new Uint8Array(hkdfSync("sha256", secret, "", "troupe audit chain", KEY_BYTES));
  const id = createHmac("sha256", bytes).update("id").digest("hex").slice(0, ID_CHARS);
  return { id, bytes };
}

/** A row as its seal covers it: texts that Postgres makes, the same ones at any time. */
export interface SealedText {
  readonly id: string;
  readonly at: string;
  readonly principal: string;
  readonly act: string;
  readonly subject: string;
  readonly outcome: string;
  readonly came_from: string | null;
  readonly correlation_id: string | null;
  readonly detail: string;
}

export const sealedText = sql`a.id::text as id,
  to_char(a.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') as at,
  a.principal, a.act, a.subject, a.outcome, a.came_from, a.correlation_id::text as correlation_id,
  a.detail::text as detail`;

/** Before the first of all. */
export const NO_MAC: Uint8Array = new Uint8Array(32);

export interface Link {
  readonly key: AuditKey;
  readonly before: Uint8Array;
  readonly number: number;
  readonly row: SealedText;
}

export function macOf({ key, before, number, row }: Link): Uint8Array {
  const { id, at, principal, act, subject, outcome, came_from, correlation_id, detail } = row;
  // An array of texts: no two rows read alike, wherever one field ends and the next begins.
  const fields = [id, at, principal, act, subject, outcome, came_from, correlation_id, detail];
  const text = JSON.stringify([number, ...fields]);
  return createHmac("sha256", key.bytes).update(before).update(text).digest();
}

export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
