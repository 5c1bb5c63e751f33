/**
 * A node that does jobs: what `deploy/node.ts` is made of, without HTTP, and with leases short enough for a
 * test to wait for.
 *
 * Prints `up` once it is; ends in order on SIGTERM.
 *
 * @module
 */
import { sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import type { JobHandler } from "../../lib/jobs/job.ts";
import { handles } from "../../lib/jobs/job_worker.ts";
import { JobWorkers } from "../../lib/jobs/job_workers.ts";
import { openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { PostgresJobQueue } from "../../lib/postgres/job_queue.ts";
import { ActorSystem } from "../../lib/runtime/system.ts";
import { shutdownRequested } from "../../lib/signals.ts";
import * as Counter from "./counter.ts";
import { bounded, BOUNDED_MAX, counterOf, free } from "./job_effects.ts";

/** Long enough that whatever happens finds many jobs begun. */
const JOB_MS_MAX = 60;

const env = systemEnv;
const stop = shutdownRequested();
{
  const url = Deno.env.get("DATABASE_URL")!;
  // What a test database keeps matters to nobody.
  await using database = await openDatabase({ url, poolMax: 4, allowUnsafe: true });
  const observe = () => {};
  const store = new PostgresEventStore(database);
  await using system = new ActorSystem({ env, store, observe });
  system.host(Counter);
  const handle: JobHandler<{ n: number }> = async ({ n }, { cause }) => {
    const add = { type: "Add", amount: 1 } as const;
    const { accepted } = await system.ask(Counter, counterOf(n), add, cause(), () => null);
    if (!accepted) throw new Error("It counts no further");
    await env.sleep(env.random() * JOB_MS_MAX);
    await sql`insert into effect (n) values (${n}) on conflict do nothing`.execute(database.db);
    return n;
  };
  await using workers = new JobWorkers({
    bindings: [handles(free, handle), handles(bounded, handle)],
    queues: [{ queue: bounded.queue, limits: { runningMax: BOUNDED_MAX } }],
    jobs: new PostgresJobQueue(database),
    env,
    observe,
    tuning: {
      leaseMs: Number(Deno.env.get("RELAY_LEASE_MS")),
      pollMs: Number(Deno.env.get("RELAY_POLL_MS")),
      watchMs: 100,
    },
  });
  console.log("up");
  await stop;
  void workers;
}
