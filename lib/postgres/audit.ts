/**
 * The audit of what is done to a node. What is done to rows is audited by the statement that does it.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Audit, AuditEntry } from "../runtime/audit.ts";
import type { Operator } from "../runtime/outbox.ts";
import type { Tables } from "./tables.ts";

export class PostgresAudit implements Audit {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async record({ act, subject, detail }: AuditEntry, { id }: Operator): Promise<void> {
    await sql`
      insert into audit (principal, act, subject, detail)
      values (${id}, ${act}, ${subject}, ${JSON.stringify(detail)}::text::jsonb)`.execute(this.#db);
  }
}
