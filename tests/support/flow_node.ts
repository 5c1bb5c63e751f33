/**
 * A node that hosts flows and does their jobs: what `deploy/node.ts` is made of, without HTTP, and with
 * leases short enough for a test to wait for.
 *
 * Prints `up` once it is; ends in order on SIGTERM.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";
import * as Flow from "../../lib/jobs/flow/aggregate.ts";
import { readChildResults } from "../../lib/jobs/flow/views.ts";
import { handles } from "../../lib/jobs/job_worker.ts";
import { JobWorkers } from "../../lib/jobs/job_workers.ts";
import { openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { PostgresJobQueue } from "../../lib/postgres/job_queue.ts";
import { PostgresOutbox } from "../../lib/postgres/outbox.ts";
import { retryPolicies, retryTransient } from "../../lib/resilience/retry.ts";
import type { Observe } from "../../lib/runtime/observe.ts";
import { OutboxRelay } from "../../lib/runtime/outbox_relay.ts";
import { ActorSystem } from "../../lib/runtime/system.ts";
import { shutdownRequested } from "../../lib/signals.ts";
import { number, sum } from "./flow_jobs.ts";

/** Long enough that a kill finds many jobs begun. */
const NUMBER_MS_MAX = 40;
const SUM_MS = 300;
const SNAPSHOT_EVERY = 100;

const leaseMs = Number(Deno.env.get("RELAY_LEASE_MS"));
const pollMs = Number(Deno.env.get("RELAY_POLL_MS"));

const env = systemEnv;
const stop = shutdownRequested();
{
  const url = Deno.env.get("DATABASE_URL")!;
  // Who comes up while the server is away tries again, as a supervisor would have it do.
  await using database = await retryTransient(
    // What a test database keeps matters to nobody.
    () => openDatabase({ url, poolMax: 4, allowUnsafe: true }),
    { ...retryPolicies.start, env, giveUpMs: 60_000, onFailure() {} },
  );
  const store = new PostgresEventStore(database);
  const observe: Observe = (event) => {
    // Half of what is told is found by any node, or flows would seldom move from one to the other.
    if (event.type === "told" && env.random() < 0.5) {
      relay.announce(event.to);
      workers.announce(event.to);
    }
    // Nothing in a flow goes wrong but the world around it.
    const isBug = event.type === "delivery-failed" || event.type === "buried" ||
      event.type === "snapshot-dropped" ||
      event.type === "restarted" && event.because === "defect";
    if (isBug) console.error(event.type, event.error);
  };
  await using system = new ActorSystem({
    env,
    store,
    observe,
    limits: { snapshotEvery: SNAPSHOT_EVERY },
  });
  system.host(Flow);
  const outbox = new PostgresOutbox(database);
  const limits = { leaseMs, pollMs };
  await using relay = new OutboxRelay({ outbox, system, env, observe, limits });
  const bindings = [
    handles(number, async ({ n }) => {
      await env.sleep(env.random() * NUMBER_MS_MAX);
      return n;
    }),
    handles(sum, async (_, { reportTo, cause }) => {
      const children = await readChildResults(system, reportTo!, cause());
      await env.sleep(SUM_MS);
      return children.reduce(
        (total, child) => total + (child.outcome === "completed" ? child.result as number : NaN),
        0,
      );
    }),
  ];
  await using workers = new JobWorkers({
    bindings,
    jobs: new PostgresJobQueue(database),
    env,
    observe,
    tuning: limits,
  });
  console.log("up");
  await stop;
}
