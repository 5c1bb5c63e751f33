/**
 * Whether the audit is what was sealed: nothing altered, taken out, put in between, or cut off.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { AuditSeal } from "../runtime/audit.ts";
import {
  type AuditKey,
  isSame,
  macOf,
  NO_MAC,
  type SealedText,
  sealedText,
} from "./audit_chain.ts";
import type { Tables } from "./tables.ts";

export interface Verified {
  readonly isWhole: true;
  /** Absent where nothing is sealed. */
  readonly head?: AuditSeal;
  /** Rows that wait for their seal, and prove nothing yet. */
  readonly unsealed: number;
}

export interface Broken {
  readonly isWhole: false;
  /** The first of which it shows. */
  readonly number: number;
  /** The row under it, where there is one. */
  readonly auditId?: string;
  readonly what: string;
}

interface SealRow extends Partial<Omit<SealedText, "id">> {
  /** Null where the row is gone. */
  readonly id: string | null;
  readonly number: string;
  readonly audit_id: string;
  readonly key_id: string;
  readonly mac: string;
}

/**
 * How far a row may lie behind the latest that was sealed before it. Transactions take time, and
 * clocks of servers differ, though never by that.
 */
const BEHIND_MOST_MS = 86_400_000;

/** Seals of one query. */
const PAGE = 1_000;

/**
 * Looks at every seal from the first to the last, and names the first that does not hold.
 *
 * That rows were cut off at the end shows only against an `anchor`: a head that was told before.
 */
export async function verifyAudit(
  db: Kysely<Tables>,
  keys: readonly AuditKey[],
  anchor?: AuditSeal,
): Promise<Verified | Broken> {
  const chain = new Chain(keys, anchor);
  for (;;) {
    const seals = await sealsAfter(db, chain.number);
    for (const seal of seals) {
      const broken = chain.follow(seal);
      if (broken !== undefined) return broken;
    }
    if (seals.length < PAGE) break;
  }
  const { rows: [waiting] } = await sql<{ unsealed: string }>`
    select count(*)::text as unsealed from audit a
    where not exists (select from audit_seal s where s.audit_id = a.id)`.execute(db);
  return chain.cutOff() ?? chain.verified(Number(waiting!.unsealed));
}

class Chain {
  /** Of the last seal that holds. */
  number = 0;
  #mac = NO_MAC;
  /** The latest so far, and under which number. */
  #latest = { at: -Infinity, number: 0 };
  readonly #keys: ReadonlyMap<string, AuditKey>;
  readonly #anchor: AuditSeal | undefined;

  constructor(keys: readonly AuditKey[], anchor: AuditSeal | undefined) {
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#anchor = anchor;
  }

  follow(seal: SealRow): Broken | undefined {
    const number = this.number + 1;
    const broken = (what: string): Broken => {
      const isThere = Number(seal.number) === number;
      return { isWhole: false, number, ...(isThere && { auditId: seal.audit_id }), what };
    };
    if (Number(seal.number) !== number) return broken("its seal was taken out");
    if (seal.id === null) return broken("its row was taken out");
    const key = this.#keys.get(seal.key_id);
    if (key === undefined) return broken(`it was sealed with the key ${seal.key_id}, not given`);
    const mac = macOf({ key, before: this.#mac, number, row: seal as SealedText });
    if (!isSame(mac, Uint8Array.fromHex(seal.mac))) {
      return broken("it was altered, or stands where another stood");
    }
    if (number === this.#anchor?.number && mac.toHex() !== this.#anchor.mac) {
      return broken("another seal was told under its number");
    }
    if (BigInt(seal.id) < 1n) return broken("its id is below 1, before all that are ever given");
    const untimely = this.#untimely(number, seal.at);
    if (untimely !== undefined) return broken(untimely);
    this.number = number;
    this.#mac = mac;
    return undefined;
  }

  /** What is wrong with the time of a row, which is that of the database when it was written. */
  #untimely(number: number, text: string | undefined): string | undefined {
    const at = Date.parse(`${text}Z`);
    if (Number.isNaN(at)) return "its time is none";
    if (at < this.#latest.at - BEHIND_MOST_MS) {
      const hours = BEHIND_MOST_MS / 3_600_000;
      return `its time is more than ${hours} hours before that of number ${this.#latest.number}, sealed earlier`;
    }
    if (at > this.#latest.at) this.#latest = { at, number };
    return undefined;
  }

  cutOff(): Broken | undefined {
    if (this.#anchor === undefined || this.#anchor.number <= this.number) return undefined;
    const what = `the end was cut off: ${this.#anchor.number} was told`;
    return { isWhole: false, number: this.number + 1, what };
  }

  verified(unsealed: number): Verified {
    const head = { number: this.number, mac: this.#mac.toHex() };
    return { isWhole: true, unsealed, ...(this.number > 0 && { head }) };
  }
}

async function sealsAfter(db: Kysely<Tables>, number: number): Promise<readonly SealRow[]> {
  const { rows } = await sql<SealRow>`
    select s.number::text as number, s.audit_id::text as audit_id, s.key_id,
      encode(s.mac, 'hex') as mac, ${sealedText}
    from audit_seal s left join audit a on a.id = s.audit_id
    where s.number > ${number}::bigint order by s.number limit ${PAGE}::int`.execute(db);
  return rows;
}
