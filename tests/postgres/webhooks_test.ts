/** Webhooks where several nodes deliver, fan out and fail at once. */
import assert from "node:assert/strict";
import { publicEventTypes } from "../../actors/live_event/public_events.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { Api, type ApiOptions, published, registered } from "../support/api.ts";
import { openServerDatabase } from "../support/database.ts";
import { Sink } from "../support/sink.ts";

const options: ApiOptions = {
  webhooks: {
    allowedHosts: ["sink.test"],
    resolve: () => Promise.resolve(["127.0.0.1"]),
    pausesMs: Array(20).fill(20),
  },
};

Deno.test("three nodes tell each event once and in order, and a flaky receiver again", async () => {
  await using database = await openServerDatabase({ queryTimeoutMs: 3_600_000 });
  await migrateToLatest(database.maintenance, migrations);
  await using one = new Api(database, options);
  await using two = one.anotherNode(options);
  await using three = one.anotherNode(options);
  await using sink = new Sink();
  // Every fourth request fails, half of those after it was understood.
  const taken: number[] = [];
  let requests = 0;
  sink.answer = ({ body }) => {
    const fails = ++requests % 4 === 0;
    if (!fails || requests % 8 === 0) taken.push(JSON.parse(body).data.version);
    return new Response(null, { status: fails ? 503 : 204 });
  };
  const owner = one.as("olga", "organizer");
  const wanted = { url: sink.url("/"), types: publicEventTypes };
  assert.equal((await owner.post("/webhooks", wanted)).status, 201);
  const event = await published(owner, { capacity: 1_000 });
  const people = Array.from({ length: 60 }, (_, n) => n);
  await Promise.all(
    people.map((n) => registered([one, two, three][n % 3]!.as(`person ${n}`), event)),
  );
  const all = people.length + 2;
  const end = performance.now() + 60_000;
  while (new Set(taken).size < all) {
    assert(performance.now() < end, `${taken.length} came`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const ids = new Map<number, Set<string | null>>();
  for (const { body, headers } of sink.received) {
    const { version } = JSON.parse(body).data;
    ids.set(version, (ids.get(version) ?? new Set()).add(headers.get("webhook-id")));
  }
  assert([...ids.values()].every((each) => each.size === 1), "one id for one event");
  const inOrder = taken.filter((version, n) => version !== taken[n - 1]);
  assert.deepEqual(inOrder, Array.from({ length: all }, (_, n) => n + 1));
});
