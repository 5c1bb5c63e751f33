/** What the lists are read from, after events in pages of any size. */
import assert from "node:assert/strict";
import { type Event, kind } from "../../actors/live_event/aggregate.ts";
import { listEvents, listRegistrations } from "../../actors/live_event/listing.ts";
import { type LiveEventTables, projection } from "../../actors/live_event/projection.ts";
import type { Database } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import { migrations } from "../../migrations/all.ts";
import { openMemoryDatabase } from "../support/database.ts";
import { AT } from "../support/given.ts";
import {
  accepted,
  admin,
  lapsed,
  offered,
  olga,
  open,
  promoted,
  registered,
  reminded,
  shortened,
  waitlisted,
  withdrawn,
} from "../support/recital.ts";

const [one, two] = ["2030-01-01T13:00:00.000Z", "2030-01-01T14:00:00.000Z"];

/** What stands after each event: how many hold or await a seat, and how each person stands. */
const history: readonly (readonly [Event, confirmed: number, offered: number, waiting: number])[] =
  [
    [open({ offerMinutes: 60 })[0]!, 0, 0, 0],
    [open()[1]!, 0, 0, 0],
    [registered("a"), 1, 0, 0],
    [waitlisted("b", 1), 1, 0, 1],
    [waitlisted("c", 2), 1, 0, 2],
    [waitlisted("d", 3), 1, 0, 3],
    [waitlisted("e", 4), 1, 0, 4],
    [withdrawn("a"), 0, 0, 4],
    [offered("b", two), 0, 1, 3],
    [shortened("b", one), 0, 1, 3],
    [lapsed("b"), 0, 0, 3],
    [offered("c", one), 0, 1, 2],
    [withdrawn("c", "offered"), 0, 0, 2],
    [offered("d", one), 0, 1, 1],
    [accepted("d"), 1, 0, 1],
    [reminded, 1, 0, 1],
    [withdrawn("d"), 0, 0, 1],
    [promoted("e"), 1, 0, 0],
    [waitlisted("f", 1), 1, 0, 1],
    [withdrawn("f", "waitlisted"), 1, 0, 0],
    [waitlisted("g", 1), 1, 0, 1],
    [withdrawn("e"), 0, 0, 1],
    [offered("g", two), 0, 1, 0],
  ];

/** As one actor's; people are others in each. */
function recorded(key: string): FeedEvent[] {
  const ids = new Map<string, string>();
  const idOf = (userId: string) =>
    ids.get(userId) ?? ids.set(userId, crypto.randomUUID()).get(userId)!;
  const causationId = crypto.randomUUID();
  return history.map(([event], index) => ({
    address: { kind, key },
    version: index + 1,
    type: event.type,
    schema: 1,
    data: "registrationId" in event ? { ...event, registrationId: idOf(event.userId) } : event,
    at: AT + index,
    correlationId: causationId,
    causationId,
    principalId: "olga",
    cursor: { transaction: "1", position: String(index) },
  }));
}

async function listed({ db }: Database, key: string) {
  const tables = db.$extendTables<LiveEventTables>();
  const events = await listEvents(tables, admin.principal, {}, undefined, 10);
  const people = await listRegistrations(tables, key, undefined, 0, 100);
  return {
    event: events.find(({ id }) => id === key),
    people: people.map(({ userId, status, offerExpiresAt, registeredAt }) => ({
      userId,
      status,
      offerExpiresAt: offerExpiresAt?.toISOString(),
      registeredAt: registeredAt.getTime() - AT,
    })),
  };
}

Deno.test("pages of any size lead to the same counts, statuses and times of offers", async (t) => {
  await using database = await openMemoryDatabase();
  await migrateToLatest(database.maintenance, migrations);
  const person = (userId: string, arrival: number, status: string, offerExpiresAt?: string) => {
    return { userId, status, offerExpiresAt, registeredAt: arrival };
  };
  for (const size of [1, 2, 3, 5, history.length]) {
    await t.step(`pages of ${size}`, async () => {
      const key = `event-${size}`;
      const events = recorded(key);
      for (let from = 0; from < events.length; from += size) {
        const page = events.slice(from, from + size);
        await database.db.transaction().execute((transaction) =>
          projection.apply(transaction, page)
        );
        const version = from + page.length;
        const { event } = await listed(database, key);
        const [, confirmed, offered, waitlisted] = history[version - 1]!;
        assert.deepEqual(
          [event!.confirmed, event!.offered, event!.waitlisted, Number(event!.version)],
          [confirmed, offered, waitlisted, version],
        );
      }
      const { event, people } = await listed(database, key);
      assert.deepEqual([event!.offerMinutes, event!.organizerId], [60, olga.principal.id]);
      assert.deepEqual(people, [
        person("a", 2, "withdrawn"),
        person("b", 3, "lapsed"),
        person("c", 4, "withdrawn"),
        person("d", 5, "withdrawn"),
        person("e", 6, "withdrawn"),
        person("f", 18, "withdrawn"),
        person("g", 20, "offered", two),
      ]);
    });
  }
});
