/** Revocations on a server, where transactions overlap. */
import assert from "node:assert/strict";
import { type CompiledQuery, sql } from "kysely";
import { revocationsIn } from "../../actors/user/revocations.ts";
import { systemEnv } from "../../lib/env.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { openServerDatabase } from "../support/database.ts";
import { pagesOf, recording } from "../support/query_plans.ts";
import { assertRevokedEverywhere } from "../support/revocations_anywhere.ts";

const MINUTE_MS = 60_000;

Deno.test("what is revoked on one node counts on no other, by way of the server alone", async () => {
  await using database = await openServerDatabase({ queryTimeoutMs: 3_600_000 });
  await migrateToLatest(database.maintenance, migrations);
  await assertRevokedEverywhere(database);
});

Deno.test("what commits late, after others have been looked at, is found at the next look", async () => {
  await using database = await openServerDatabase({ queryTimeoutMs: 3_600_000 });
  await migrateToLatest(database.maintenance, migrations);
  const { db } = database;
  const source = revocationsIn(db);
  const insert = (executor: typeof db, key: string, version: number) => {
    const data = {
      type: "SessionsEnded",
      sessionIds: [`${key}${version}`],
      because: "signed-out",
      isWhole: false,
      at: new Date().toISOString(),
    };
    return sql`
      insert into event (kind, key, version, type, schema, data, correlation_id, causation_id,
        principal, at)
      values ('user', ${key}, ${version}, 'SessionsEnded', 1, ${JSON.stringify(data)}::text::jsonb,
        gen_random_uuid(), gen_random_uuid(), 'ada', now())`.execute(executor);
  };
  const sessionsIn = async (horizon: string) => {
    const page = await source.since(horizon);
    return { ...page, sessions: page.revocations.flatMap(({ sessions }) => sessions).toSorted() };
  };
  const begun = Promise.withResolvers<void>();
  const mayEnd = Promise.withResolvers<void>();
  const late = db.transaction().execute(async (transaction) => {
    await insert(transaction, "late", 1);
    begun.resolve();
    await mayEnd.promise;
  });
  await begun.promise;
  const first = await source.recent(MINUTE_MS);
  assert.deepEqual(first.revocations, []);
  await insert(db, "prompt", 1);
  const second = await sessionsIn(first.horizon);
  assert.deepEqual(second.sessions, ["prompt1"]);
  mayEnd.resolve();
  await late;
  const third = await sessionsIn(second.horizon);
  assert.deepEqual(third.sessions, ["late1", "prompt1"]);
  let fourth = await sessionsIn(third.horizon);
  // What runs elsewhere on the server may hold the horizon back.
  while (fourth.sessions.length > 0) {
    assert.deepEqual(fourth.sessions, ["late1", "prompt1"]);
    await systemEnv.sleep(20);
    fourth = await sessionsIn(fourth.horizon);
  }
  const recent = await source.recent(MINUTE_MS);
  assert.equal(recent.revocations.length, 2);
});

Deno.test("a look reads what was revoked of late, however much else was recorded", async () => {
  await using database = await openServerDatabase({ queryTimeoutMs: 3_600_000 });
  await migrateToLatest(database.maintenance, migrations);
  const { db } = database;
  await sql`
    insert into event (kind, key, version, type, schema, data, correlation_id, causation_id,
      principal, at)
    select case when n % 10 = 0 then 'user' else 'live_event' end, 'k' || n, 1,
      case when n % 10 = 0 then 'SessionsEnded' else 'Scheduled' end, 1, '{}', gen_random_uuid(),
      gen_random_uuid(), 'ada', now() - interval '1 day'
    from generate_series(1, 50000) n`.execute(db);
  await sql`vacuum analyze event`.execute(database.maintenance);
  const statements: CompiledQuery[] = [];
  const { rows: [row] } = await sql<{ horizon: string }>`
    select pg_snapshot_xmin(pg_current_snapshot())::text as horizon`.execute(db);
  await revocationsIn(recording(db, statements)).since(row!.horizon);
  const { pages, plan } = await pagesOf(db, statements[0]!);
  assert(pages <= 8, `${pages} pages: ${JSON.stringify(plan)}`);
});
