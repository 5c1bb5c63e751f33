/** Two nodes on one server, each with its relay: schedules whose ticks come as fast as they can. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { type Env, systemEnv } from "../../lib/env.ts";
import type { JobCommand } from "../../lib/jobs/job.ts";
import * as Schedule from "../../lib/jobs/schedule.ts";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { PostgresOutbox } from "../../lib/postgres/outbox.ts";
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import { OutboxRelay } from "../../lib/runtime/outbox_relay.ts";
import { ActorSystem } from "../../lib/runtime/system.ts";
import { migrations } from "../../migrations/all.ts";
import { createServerDatabase } from "../support/database.ts";
import { plan } from "../support/reports.ts";

const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
const TICKS = 200;
const SCHEDULES = 5;
const limits = { pollMs: 5 };

/**
 * A node whose clock stands in the past. To the server all its ticks are long due, so each is brought
 * as soon as it is told; and the node takes it as on time, as it came no later than its clock says.
 */
class PastNode implements AsyncDisposable {
  readonly system: ActorSystem;
  readonly observed: RuntimeEvent[] = [];
  readonly env: Env;
  readonly #relay: OutboxRelay;

  constructor(database: Database, startedAt: number) {
    this.env = { ...systemEnv, now: () => startedAt };
    const { env } = this;
    const observe = (event: RuntimeEvent) => void this.observed.push(event);
    const store = new PostgresEventStore(database);
    this.system = new ActorSystem({ env, store, observe });
    this.system.host(Schedule);
    const outbox = new PostgresOutbox(database);
    this.#relay = new OutboxRelay({ outbox, system: this.system, env, observe, limits });
  }

  async ask(key: string, command: Schedule.Command): Promise<void> {
    const messageId = this.env.uuid();
    const principal = { id: "root", roles: ["admin"] };
    const ids = { messageId, correlationId: messageId, causationId: messageId };
    const cause = { ...ids, principal, deadline: Infinity };
    const outcome = await this.system.ask(Schedule, key, command, cause, () => null);
    assert(outcome.accepted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay[Symbol.asyncDispose]();
    await this.system[Symbol.asyncDispose]();
  }
}

/** The times that jobs lie there for, by the schedule they are of, in the order of their making. */
async function timesIn({ db }: Database): Promise<ReadonlyMap<string, readonly number[]>> {
  const { rows } = await sql<{ key: string; command: JobCommand }>`
    select split_part(unique_key, '/', 2) as key, command from outbox
    where kind = 'job' order by position`.execute(db);
  const grouped = Map.groupBy(rows, ({ key }) => key);
  return new Map([...grouped].map(([key, jobs]) => {
    return [key, jobs.map(({ command }) => command.scheduledFor!)];
  }));
}

/** Change by change: the hour that is not, and the one that comes twice. */
for (const day of ["2025-03-30", "2025-10-26"]) {
  Deno.test(`two nodes have each tick run once, over the change of ${day}`, async () => {
    const startedAt = Date.parse(`${day}T00:00:00Z`) - 60 * MINUTE;
    await using server = await createServerDatabase();
    const { url } = server;
    await using database = await openDatabase({ url, allowUnsafe: true });
    await migrateToLatest(database.maintenance, migrations);
    await using second = await openDatabase({ url, allowUnsafe: true });
    await using one = new PastNode(database, startedAt);
    await using other = new PastNode(second, startedAt);
    const keys = Array.from({ length: SCHEDULES }, (_, index) => `schedule-${index}`);
    const timeZone = "Europe/Berlin";
    for (const key of keys) await one.ask(key, { type: "Create", plan: plan({ timeZone }) });
    await one.ask("daily", { type: "Create", plan: plan({ timeZone, cron: "30 2 * * *" }) });
    let times = await timesIn(database);
    while (keys.some((key) => (times.get(key)?.length ?? 0) < TICKS)) {
      await systemEnv.sleep(20);
      times = await timesIn(database);
    }
    for (const key of keys) {
      const found = times.get(key)!;
      assert.deepEqual(found, found.map((_, index) => startedAt + (index + 1) * QUARTER), key);
    }
    const days = times.get("daily")!.map((time) => new Date(time).toISOString().slice(0, 10));
    assert.equal(new Set(days).size, days.length, "once a day");
    assert(days.includes(day));
    const working = [one, other].map(({ observed }) =>
      observed.some((event) => event.type === "commit" && event.events > 0)
    );
    assert.deepEqual(working, [true, true], "both have handled ticks");
  });
}
