/** Store, outbox and dead letters of one database. */
import type { Database } from "../../lib/postgres/database.ts";
import { PostgresDeadLetters } from "../../lib/postgres/dead_letters.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { PostgresOutbox } from "../../lib/postgres/outbox.ts";
import { PostgresJobQueue } from "../../lib/postgres/job_queue.ts";
import type { JobPost } from "../contracts/job_queue_contract.ts";

export function postIn(database: Database): JobPost {
  const { db } = database;
  return {
    store: new PostgresEventStore(database),
    outbox: new PostgresOutbox(database),
    deadLetters: new PostgresDeadLetters(db),
    jobs: new PostgresJobQueue(database),
    async audit() {
      const rows = await db.selectFrom("audit").select(["principal", "act"]).orderBy("id")
        .execute();
      return rows.map(({ principal, act }) => `${principal}: ${act}`);
    },
  };
}
