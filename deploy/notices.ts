/**
 * How the notices of live events come to their people.
 *
 * @module
 */
import * as LiveEvent from "../actors/live_event/aggregate.ts";
import { type NoticeTables, writeNotices } from "../actors/live_event/inbox.ts";
import { concernedBy, deliverNotices, tellAttendees } from "../actors/live_event/notices.ts";
import { handles, type JobBinding } from "../lib/jobs/job_worker.ts";
import type { Database } from "../lib/postgres/database.ts";
import { ActorSystem } from "../lib/runtime/system.ts";

export function noticesOn(database: Database, system: ActorSystem): readonly JobBinding[] {
  const db = database.db.$extendTables<NoticeTables>();
  return [
    handles(deliverNotices, ({ notices }) => writeNotices(db, notices)),
    handles(tellAttendees, async ({ eventId, type, at }, context) => {
      const { correlationId, cause } = context;
      const people = await system.read(
        LiveEvent,
        eventId,
        cause(),
        (state) => [...concernedBy(type, state)],
        { isStrong: true },
      );
      const notices = people.view.map((userId) => ({ userId, eventId, type, at, correlationId }));
      for (let from = 0; from < notices.length; from += NOTICES_AT_ONCE) {
        await writeNotices(db, notices.slice(from, from + NOTICES_AT_ONCE));
      }
      return { told: notices.length };
    }),
  ];
}

/** Of one statement. */
const NOTICES_AT_ONCE = 1_000;
