/**
 * A node that hosts schedules, on a store without a database and a clock that stands still. Jobs are
 * left where they lie, and leases mean nothing: what makes effects happen once is the fence.
 *
 * @module
 */
import type { JobCommand } from "../../lib/jobs/job.ts";
import * as Schedule from "../../lib/jobs/schedule.ts";
import { MemoryStore } from "../../lib/memory/store.ts";
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import type { Outbox } from "../../lib/runtime/outbox.ts";
import { OutboxRelay, type RelayLimits } from "../../lib/runtime/outbox_relay.ts";
import { ActorSystem } from "../../lib/runtime/system.ts";
import { FaultyStore } from "./faulty_store.ts";
import { override } from "./office.ts";
import { sendReport } from "./reports.ts";
import { VirtualEnv } from "./virtual_env.ts";

/** Days pass in these tests; what is due is looked for in between, and when it is. */
const DAY_MS = 24 * 3_600_000;
const limits: Partial<RelayLimits> = { pollMs: 60_000, depthMs: DAY_MS, tidyMs: DAY_MS };

export class ScheduleNode implements AsyncDisposable {
  readonly env: VirtualEnv;
  readonly memory: MemoryStore;
  readonly store: FaultyStore;
  readonly system: ActorSystem;
  readonly observed: RuntimeEvent[] = [];
  #relay: OutboxRelay | undefined;

  /** Shares store and clock with the one beside it, or the clock alone with whoever else has it. */
  constructor(beside?: ScheduleNode, env = beside?.env ?? new VirtualEnv()) {
    this.env = env;
    this.memory = beside?.memory ?? new MemoryStore(env);
    this.store = new FaultyStore(this.memory);
    const observe = (event: RuntimeEvent) => void this.observed.push(event);
    const idleMs = 4 * DAY_MS;
    this.system = new ActorSystem({ env, store: this.store, observe, limits: { idleMs } });
    this.system.host(Schedule);
    this.startRelay();
  }

  startRelay(): void {
    const { env, system } = this;
    const observe = (event: RuntimeEvent) => void this.observed.push(event);
    const outbox = leaseless(this.memory.outbox);
    this.#relay = new OutboxRelay({ outbox, system, env, observe, limits });
  }

  /** Nothing is brought by this node any more. */
  async stopRelay(): Promise<void> {
    await this.env.until(this.#relay![Symbol.asyncDispose]());
  }

  get relay(): OutboxRelay {
    return this.#relay!;
  }

  async ask(key: string, command: Schedule.Command): Promise<void> {
    const messageId = this.env.uuid();
    const cause = {
      messageId,
      correlationId: messageId,
      causationId: messageId,
      principal: { id: "root", roles: ["admin"] },
      deadline: Infinity,
    };
    const outcome = await this.env.until(
      this.system.ask(Schedule, key, command, cause, () => null),
    );
    if (!outcome.accepted) throw new Error(`It was refused: ${outcome.reason}`);
  }

  async events(key: string): Promise<readonly Schedule.Event[]> {
    const stream = await this.memory.readStream({ kind: Schedule.kind, key });
    return stream.map(({ data }) => Schedule.Event.parse(data));
  }

  /** The times that were run for, as they were recorded. */
  async runs(key: string): Promise<readonly string[]> {
    const events = await this.events(key);
    return events.flatMap((event) => event.type === "Ticked" ? event.runs : []);
  }

  /** What was enqueued, in its order. */
  async jobs(): Promise<readonly JobCommand[]> {
    const { queue } = sendReport;
    const jobs = await this.memory.outbox.jobs.list({ queue, limit: 1_000 });
    return jobs.toReversed().map(({ command }) => command as JobCommand);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopRelay();
    await this.env.until(this.system[Symbol.asyncDispose]());
  }
}

function leaseless(own: Outbox): Outbox {
  return override(own, {
    async claim(lanes, claim) {
      const claimed = await own.claim(lanes, claim);
      await own.settle(claimed);
      return claimed;
    },
  });
}
