/**
 * The audit in Postgres. What is done to rows is audited by the statement that does it.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type {
  Audit,
  AuditEntry,
  AuditOutcome,
  AuditQuery,
  AuditRecord,
  AuditSeal,
  AuditTrail,
} from "../runtime/audit.ts";
import type { Operator } from "../runtime/outbox.ts";
import { auditHead } from "./audit_seals.ts";
import type { Tables } from "./tables.ts";

/** Who acted; for every statement that writes into the audit. */
export const auditColumns = sql`principal, came_from, correlation_id`;

export function audited({ id, from, correlationId }: Operator) {
  return sql`${id}::text, ${from ?? null}::text, ${correlationId ?? null}::uuid`;
}

export class PostgresAudit implements Audit {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async record({ act, subject, outcome, detail }: AuditEntry, operator: Operator): Promise<void> {
    await sql`
      insert into audit (${auditColumns}, act, subject, outcome, detail)
      values (${audited(operator)}, ${act}, ${subject}, ${outcome},
        ${JSON.stringify(detail)}::text::jsonb)`.execute(this.#db);
  }
}

export class PostgresAuditTrail implements AuditTrail {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  head(): Promise<AuditSeal | undefined> {
    return auditHead(this.#db);
  }

  async list(query: AuditQuery): Promise<readonly AuditRecord[]> {
    const { actor, act, subject, from, to, before, limit } = query;
    const moment = (ms: number) => sql`${new Date(ms)}::timestamptz`;
    const conditions = [
      sql`true`,
      ...actor === undefined ? [] : [sql`a.principal = ${actor}`],
      ...act === undefined ? [] : [sql`a.act = ${act}`],
      ...subject === undefined ? [] : [sql`a.subject = ${subject}`],
      ...from === undefined ? [] : [sql`a.at >= ${moment(from)}`],
      ...to === undefined ? [] : [sql`a.at < ${moment(to)}`],
      ...before === undefined ? [] : [sql`a.id < ${before}::bigint`],
    ];
    const { rows } = await sql<AuditRow>`
      select a.id, a.at, a.principal, a.act, a.subject, a.outcome, a.detail, a.came_from,
        a.correlation_id, s.number, encode(s.mac, 'hex') as mac
      from audit a left join audit_seal s on s.audit_id = a.id
      where ${sql.join(conditions, sql` and `)}
      order by a.id desc limit ${limit}::int`.execute(this.#db);
    return rows.map(recordOf);
  }
}

interface AuditRow {
  readonly id: number;
  readonly at: Date;
  readonly principal: string;
  readonly act: string;
  readonly subject: string;
  readonly outcome: AuditOutcome;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly came_from: string | null;
  readonly correlation_id: string | null;
  readonly number: number | null;
  readonly mac: string | null;
}

function recordOf(row: AuditRow): AuditRecord {
  const { id, act, subject, outcome, detail, came_from, correlation_id, number, mac } = row;
  return {
    id,
    at: row.at.getTime(),
    act,
    subject,
    outcome,
    detail,
    operator: {
      id: row.principal,
      ...(came_from !== null && { from: came_from }),
      ...(correlation_id !== null && { correlationId: correlation_id }),
    },
    ...(number !== null && mac !== null && { seal: { number, mac } }),
  };
}
