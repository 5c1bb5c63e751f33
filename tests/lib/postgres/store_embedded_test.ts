/** The contracts of store and outbox on the embedded database, in memory. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { PostgresEventStore } from "../../../lib/postgres/event_store.ts";
import { jobQueueContract } from "../../contracts/job_queue_contract.ts";
import { messageTo, outboxContract } from "../../contracts/outbox_contract.ts";
import { commitOf, newEvent, newKind, storeContract } from "../../contracts/store_contract.ts";
import { databaseOfThisFile } from "../../support/database.ts";
import { postIn } from "../../support/post.ts";

const database = await databaseOfThisFile();

storeContract("embedded Postgres", (test) => async () => {
  await test(new PostgresEventStore(database), newKind());
});

outboxContract("embedded Postgres", (test) => async () => {
  await test(postIn(database), newKind());
});

jobQueueContract("embedded Postgres", (test) => async () => {
  await test(postIn(database), newKind());
});

Deno.test("what was told at once keeps its place, though the clock of the database goes back", async () => {
  const { store, outbox } = postIn(database);
  const kind = newKind();
  const to = { kind, key: "lane" };
  const tell = (key: string, note: string) =>
    store.commit([
      commitOf(kind, key, {
        at: Date.now(),
        events: [newEvent("Sent")],
        messages: [messageTo(to, note)],
      }),
    ]);
  await tell("a", "first");
  // So is what was told an hour from now, by a clock that has been put right since.
  await sql`update outbox set at = at + interval '1 hour',
    available_at = available_at + interval '1 hour' where kind = ${kind}`.execute(database.db);
  await tell("b", "second");
  const [lane] = await outbox.claim([to], { token: 1, leaseMs: 1_000, limit: 10 });
  assert.deepEqual(lane!.messages.map(({ command }) => command), [
    { note: "first" },
    { note: "second" },
  ]);
});
