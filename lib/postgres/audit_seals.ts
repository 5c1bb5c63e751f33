/**
 * The seals of the audit, in Postgres: beside the rows, which need never be written to again.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import { AuditRewritten, type AuditSeal, type AuditSealing } from "../runtime/audit.ts";
import { type AuditKeys, macOf, NO_MAC, type SealedText, sealedText } from "./audit_chain.ts";
import type { Tables } from "./tables.ts";

/** Rows that may be written while one of them is on its way, and it is still found at once. */
const LATE_MOST = 10_000;

export class PostgresAuditSealing implements AuditSealing {
  readonly #db: Kysely<Tables>;
  readonly #keys: AuditKeys;
  /** The newest seal that was seen; undefined before the first. */
  #known: AuditSeal | undefined;

  constructor(db: Kysely<Tables>, keys: AuditKeys) {
    this.#db = db;
    this.#keys = keys;
  }

  head(): Promise<AuditSeal | undefined> {
    return auditHead(this.#db);
  }

  async seal(which: { readonly limit: number; readonly all: boolean }): Promise<number> {
    this.#known = await this.#head(this.#db);
    if ((await unsealed(this.#db, { ...which, limit: 1 })).length === 0) return 0;
    const seals = await this.#db.transaction().execute(async (transaction) => {
      // Held to the commit, so that the next to come reads what this one wrote: one order for all.
      const { rows: [lock] } = await sql<{ isMine: boolean }>`
        select pg_try_advisory_xact_lock(hashtextextended('audit seals', 0)) as "isMine"`
        .execute(transaction);
      if (!lock!.isMine) return [];
      const rows = await unsealed(transaction, which);
      return rows.length === 0 ? [] : await this.#append(transaction, rows);
    });
    this.#known = seals.at(-1) ?? this.#known;
    return seals.length;
  }

  /** @throws {AuditRewritten} */
  async #head(db: Kysely<Tables>): Promise<AuditSeal | undefined> {
    const head = await auditHead(db);
    const known = this.#known;
    if (known === undefined || isSameSeal(known, head)) return head;
    if (isSameSeal(known, await auditHead(db, known.number))) return head;
    throw new AuditRewritten(known, head);
  }

  async #append(db: Kysely<Tables>, rows: readonly SealedText[]): Promise<readonly AuditSeal[]> {
    const head = await this.#head(db);
    const [key] = this.#keys;
    let number = head?.number ?? 0;
    let before = head === undefined ? NO_MAC : Uint8Array.fromHex(head.mac);
    const seals = rows.map((row) => {
      number++;
      before = macOf({ key, before, number, row });
      return { number, audit_id: row.id, key_id: key.id, mac: before.toHex() };
    });
    await sql`
      insert into audit_seal (number, audit_id, key_id, mac)
      select number, audit_id, key_id, decode(mac, 'hex')
      from jsonb_to_recordset(${JSON.stringify(seals)}::text::jsonb)
        as s(number bigint, audit_id bigint, key_id text, mac text)`.execute(db);
    return seals.map(({ number, mac }) => ({ number, mac }));
  }
}

function isSameSeal({ number, mac }: AuditSeal, other: AuditSeal | undefined): boolean {
  return number === other?.number && mac === other.mac;
}

/** The newest seal, or the newest up to a number. */
export async function auditHead(
  db: Kysely<Tables>,
  upTo: number = Number.MAX_SAFE_INTEGER,
): Promise<AuditSeal | undefined> {
  const { rows: [head] } = await sql<{ number: string; mac: string }>`
    select number::text as number, encode(mac, 'hex') as mac
    from audit_seal where number <= ${upTo}::bigint
    order by audit_seal.number desc limit 1`.execute(db);
  return head && { number: Number(head.number), mac: head.mac };
}

async function unsealed(
  db: Kysely<Tables>,
  { limit, all }: { readonly limit: number; readonly all: boolean },
): Promise<readonly SealedText[]> {
  const newest = all ? sql`` : sql`and a.id > (
    select coalesce(max(audit_id), 0) - ${LATE_MOST}::bigint from audit_seal)`;
  const { rows } = await sql<SealedText>`
    select ${sealedText} from audit a
    where not exists (select from audit_seal s where s.audit_id = a.id) ${newest}
    order by a.id limit ${limit}::int`.execute(db);
  return rows;
}
