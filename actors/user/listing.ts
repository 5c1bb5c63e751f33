/** Queries over what the projection of users has written. */
import { type Kysely, sql } from "kysely";
import type { AccountStatus, UserTables } from "./projection.ts";

export interface UserFilter {
  readonly status?: AccountStatus;
  readonly role?: string;
}

export interface UsersBefore {
  readonly registeredAt: Date;
  readonly id: string;
}

/** Who registered last comes first. */
export async function listUsers(
  db: Kysely<UserTables>,
  { status, role }: UserFilter,
  before: UsersBefore | undefined,
  limit: number,
) {
  return await db.selectFrom("user_account")
    .select(["id", "email", "status", "roles", "registered_at as registeredAt"])
    .$if(status !== undefined, (query) => query.where("status", "=", status!))
    .$if(role !== undefined, (query) => query.where(sql<boolean>`${role!} = any(roles)`))
    .$if(
      before !== undefined,
      (query) =>
        query.where(
          sql<boolean>`(registered_at, id) < (${before!.registeredAt}, ${before!.id}::text)`,
        ),
    )
    .orderBy("registered_at", "desc").orderBy("id", "desc")
    .limit(limit)
    .execute();
}
