/**
 * A node of a run: the parts of the service, put together as `main.ts` does, over simulated ports.
 *
 * @module
 */
import * as LiveEvent from "../../actors/live_event/aggregate.ts";
import { handles } from "../../lib/jobs/job_worker.ts";
import { JobWorkers } from "../../lib/jobs/job_workers.ts";
import type { Publish } from "../../lib/runtime/activation.ts";
import { EventBus } from "../../lib/runtime/event_bus.ts";
import { Housekeeping } from "../../lib/runtime/housekeeping.ts";
import { observing } from "../../lib/runtime/middleware.ts";
import type { Observe } from "../../lib/runtime/observe.ts";
import type { OutboxMessage } from "../../lib/runtime/outbox.ts";
import { OutboxRelay } from "../../lib/runtime/outbox_relay.ts";
import type { RetryBudget } from "../../lib/resilience/retry_budget.ts";
import { ActorSystem, type StoreState } from "../../lib/runtime/system.ts";
import * as Purse from "./actors/purse.ts";
import * as Register from "./actors/register.ts";
import { carried, type Ports, recorder } from "./database.ts";
import { tradingAggregates } from "./deals.ts";
import { forever, type Incarnation } from "./incarnation.ts";
import type { NodeLimits } from "./plan.ts";

export interface NodeOptions {
  readonly incarnation: Incarnation;
  readonly ports: Ports;
  readonly budget: RetryBudget;
  readonly storeState: StoreState;
  readonly observe: Observe;
  readonly limits: NodeLimits;
  /** Tells the outside. */
  readonly ring: (message: OutboxMessage) => Promise<void>;
}

export interface Node {
  readonly incarnation: Incarnation;
  readonly system: ActorSystem;
}

/** What follows the feed; each is to have every event once. */
export const consumers = [
  recorder({ name: "everything" }),
  recorder({ name: "money", kind: Purse.kind }),
];

const POLL_MS = 2_000;
const REPLY_RETENTION_MS = 24 * 3_600_000;
const BELL_PAUSES_MS = [200, 400, 800, 1_600, 3_200, 3_200, 3_200, 3_200];
const ATTEMPTS_MAX = 4;

/** Starts all parts of a node. */
export function openNode(options: NodeOptions): Node {
  const { incarnation: env, ports, budget, storeState, limits, ring } = options;
  const observe: Observe = (event) => {
    if (event.type === "told") {
      relay.announce(event.to);
      workers.announce(event.to);
    }
    if (event.type === "jobs-settled") relay.removed(event.jobs);
    options.observe(event);
  };
  const { store, outbox, jobs, projections } = withCrashPoints(ports, env);
  const bus = new EventBus({ env, observe, store: projections });
  bus.use(observing(env, observe));
  const publish: Publish = (address, commit) => bus.publish(address, commit);
  const system = new ActorSystem({
    env,
    store,
    observe,
    publish,
    limits,
    budget,
    storeState,
  });
  system.host(LiveEvent);
  system.host(Purse);
  system.host(Register);
  for (const aggregate of Object.values(tradingAggregates)) system.host(aggregate);
  const { leaseMs, attemptsMax = ATTEMPTS_MAX } = limits;
  const relay = new OutboxRelay({
    outbox,
    system,
    env,
    observe,
    budget,
    outside: [{ kind: Register.BELL, pausesMs: BELL_PAUSES_MS, deliver: ring }],
    limits: { leaseMs, pollMs: POLL_MS, attemptsMax, pauseMostMs: 2_000 },
    outsideLimits: { leaseMs: 2 * leaseMs, holdMs: leaseMs / 2, deliveryMs: 2_000, pollMs: 500 },
  });
  const append = handles(Register.appendAgain, async ({ register, value }, { cause }) => {
    const command = { type: "Append", value } as const;
    const outcome = await system.ask(Register, register, command, cause(), () => null);
    if (!outcome.accepted) throw new Error(`It was refused: ${outcome.reason}`);
  });
  const workers = new JobWorkers({
    bindings: [append],
    jobs,
    env,
    observe,
    budget,
    tuning: { leaseMs, pollMs: POLL_MS, watchMs: 500 },
  });
  for (const consumer of consumers) bus.follow(consumer, { pollMs: POLL_MS, gatherMs: 500 });
  new Housekeeping({ env, store, observe, replyRetentionMs: REPLY_RETENTION_MS }).start();
  return { incarnation: env, system };
}

/** The node may end at every call: before it has any effect, and after it had, before the answer. */
function withCrashPoints(ports: Ports, incarnation: Incarnation): Ports {
  const over = <Port extends object>(port: Port) =>
    carried(port, async (call, run) => {
      const nth = incarnation.place.count(`${call} point`);
      if (!incarnation.passes(call, nth, "before")) return await forever();
      try {
        return await run();
      } finally {
        if (!incarnation.passes(call, nth, "after")) await forever();
        await incarnation.resumed();
      }
    });
  return {
    store: over(ports.store),
    outbox: over(ports.outbox),
    jobs: over(ports.jobs),
    projections: over(ports.projections),
  };
}
