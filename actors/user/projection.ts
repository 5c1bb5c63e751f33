/**
 * Users as a table, for the list that no single one of them can answer.
 *
 * @module
 */
import { type QueryExecutorProvider, sql } from "kysely";
import type { Projection } from "../../lib/runtime/projector.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import { Event, kind } from "./aggregate.ts";

export type AccountStatus = "unverified" | "active" | "disabled";

// A type, not an interface: Kysely extends a database only by what has an index signature.
export type UserTables = {
  user_account: {
    id: string;
    email: string;
    status: AccountStatus;
    roles: string[];
    registered_at: Date;
  };
};

export const userProjection: Projection<QueryExecutorProvider> = {
  name: "user_listing",
  tables: ["user_account"],
  kind,
  types: [
    "Registered",
    "EmailVerified",
    "RolesChanged",
    "Disabled",
    "Enabled",
  ] satisfies readonly Event["type"][],
  hasIndex: true,
  async apply(transaction, events) {
    for (const event of events) await write(transaction, event);
  },
};

async function write(
  transaction: QueryExecutorProvider,
  { address: { key: id }, data }: FeedEvent,
): Promise<void> {
  const event = Event.parse(data);
  switch (event.type) {
    case "Registered":
      // Again, for as long as the address is not verified.
      await sql`
        insert into user_account (id, email, status, roles, registered_at)
        values (${id}, ${event.email}, 'unverified', '{user}', ${event.at}::timestamptz)
        on conflict (id) do update set email = excluded.email, status = excluded.status,
          roles = excluded.roles, registered_at = excluded.registered_at`.execute(transaction);
      return;
    case "EmailVerified":
      return await setStatus(transaction, id, "active");
    case "Disabled":
      return await setStatus(transaction, id, "disabled");
    case "Enabled":
      return await setStatus(transaction, id, event.status);
    case "RolesChanged":
      await sql`
        update user_account set roles = ${event.roles}::text[] where id = ${id}`
        .execute(transaction);
  }
}

async function setStatus(
  transaction: QueryExecutorProvider,
  id: string,
  status: AccountStatus,
): Promise<void> {
  await sql`update user_account set status = ${status} where id = ${id}`.execute(transaction);
}
