/**
 * A node that hosts the ring, brings its messages and does its jobs: what `deploy/node.ts` is made of, without HTTP, and
 * with leases short enough for a test to wait for.
 *
 * Prints `up` once it is; ends in order on SIGTERM.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";
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
import * as Ring from "./ring.ts";

/** Often enough that who starts anew begins at one, and has to get the rest right. */
const SNAPSHOT_EVERY = 25;
/** No node lives long enough for the thousands of messages that are usual. */
const TIDY_EVERY = 250;

/**
 * What is not announced is found by any node. Otherwise a token would hardly ever leave the node
 * that it is on, and the actors would be contended no more than in a single process.
 */
const ANNOUNCED = 0.5;

function variable(name: string): string {
  const value = Deno.env.get(name);
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const env = systemEnv;
const stop = shutdownRequested();
{
  const url = variable("DATABASE_URL");
  // Who comes up while connections are being cut tries again, as a supervisor would have it do.
  await using database = await retryTransient(
    // What a test database keeps matters to nobody.
    () => openDatabase({ url, poolMax: 4, allowUnsafe: true }),
    { ...retryPolicies.start, env, giveUpMs: 60_000, onFailure() {} },
  );
  const store = new PostgresEventStore(database);
  const observe: Observe = (event) => {
    if (event.type === "told" && env.random() < ANNOUNCED) {
      relay.announce(event.to);
      workers.announce(event.to);
    }
    // Nothing in the ring goes wrong but the world around it.
    const isBug = event.type === "delivery-failed" || event.type === "buried" ||
      event.type === "snapshot-dropped" ||
      event.type === "job" && event.outcome !== "completed" && event.outcome !== "abandoned" ||
      event.type === "restarted" && event.because === "defect";
    if (isBug) console.error(event.type, event.error);
  };
  await using system = new ActorSystem({
    env,
    store,
    observe,
    limits: { snapshotEvery: SNAPSHOT_EVERY },
  });
  system.host(Ring);
  const outbox = new PostgresOutbox(database);
  const waits = {
    leaseMs: Number(variable("RELAY_LEASE_MS")),
    pollMs: Number(variable("RELAY_POLL_MS")),
  };
  const limits = { ...waits, tidyEvery: TIDY_EVERY };
  await using relay = new OutboxRelay({ outbox, system, env, observe, limits });
  await using workers = new JobWorkers({
    bindings: [handles(Ring.carry, (token) => token)],
    jobs: new PostgresJobQueue(database),
    env,
    observe,
    tuning: waits,
  });
  console.log("up");
  await stop;
}
