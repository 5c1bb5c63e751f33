/** The notices of each person, as a table. */
import { type Kysely, sql } from "kysely";
import type { Notice, NoticeType } from "./notices.ts";

// A type, not an interface: Kysely extends a database only by what has an index signature.
export type NoticeTables = {
  notice: {
    user_id: string;
    at: Date;
    event_id: string;
    type: NoticeType;
    expires_at: Date | null;
    correlation_id: string;
  };
};

/** Puts notices where their people find them; each but once, however often it is tried. */
export async function writeNotices(
  db: Kysely<NoticeTables>,
  notices: readonly Notice[],
): Promise<void> {
  if (notices.length === 0) return;
  await sql`
    insert into notice (user_id, at, event_id, type, expires_at, correlation_id)
    select r."userId", r.at, r."eventId", r.type, r."expiresAt", r."correlationId"
    from jsonb_to_recordset(${JSON.stringify(notices)}::text::jsonb) as r("userId" text,
      at timestamptz, "eventId" text, type text, "expiresAt" timestamptz, "correlationId" uuid)
    on conflict do nothing`.execute(db);
}

export interface NoticesBefore {
  readonly at: Date;
  readonly eventId: string;
  readonly type: string;
}

/** Those of one user, the newest first. */
export async function listNotices(
  db: Kysely<NoticeTables>,
  userId: string,
  before: NoticesBefore | undefined,
  limit: number,
) {
  return await db.selectFrom("notice")
    .select([
      "event_id as eventId",
      "type",
      "at",
      "expires_at as expiresAt",
      "correlation_id as correlationId",
    ])
    .where("user_id", "=", userId)
    .$if(
      before !== undefined,
      (query) =>
        query.where(sql<boolean>`(at, event_id, type)
        < (${before!.at}, ${before!.eventId}::text, ${before!.type}::text)`),
    )
    .orderBy("at", "desc").orderBy("event_id", "desc").orderBy("type", "desc")
    .limit(limit)
    .execute();
}
