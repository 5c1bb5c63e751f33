/**
 * Messages from actor to actor, through the outbox of a database of their own.
 *
 * @module
 */
import { sql } from "kysely";
import { systemEnv } from "../lib/env.ts";
import { defineJob, enqueue } from "../lib/jobs/job.ts";
import { type Database, openDatabase } from "../lib/postgres/database.ts";
import { PostgresEventStore } from "../lib/postgres/event_store.ts";
import { migrateToLatest } from "../lib/postgres/migrate.ts";
import { PostgresJobQueue } from "../lib/postgres/job_queue.ts";
import { PostgresOutbox } from "../lib/postgres/outbox.ts";
import type { Cause } from "../lib/runtime/envelope.ts";
import type { RuntimeEvent } from "../lib/runtime/observe.ts";
import { OutboxRelay } from "../lib/runtime/outbox_relay.ts";
import type { NewMessage } from "../lib/runtime/store.ts";
import { ActorSystem } from "../lib/runtime/system.ts";
import { migrations } from "../migrations/all.ts";
import * as Hop from "./hop.ts";

const actors = 1_000;
const askedAtOnce = 256;
const claims = 300;

const claimedQueue = "claimed";
const claimedJob = defineJob({
  type: "claimed",
  queue: claimedQueue,
  payload: { parse: (payload) => payload },
});

function newJob(): NewMessage {
  const messageId = systemEnv.uuid();
  const ids = { messageId, correlationId: messageId, causationId: messageId };
  return {
    ...enqueue(claimedJob, null),
    ...ids,
    principal: { id: "bench", roles: [] },
    delayMs: 0,
  };
}

export class MessageBench implements AsyncDisposable {
  readonly #database: Database;
  readonly #outbox: PostgresOutbox;
  readonly #system: ActorSystem;
  readonly #relay: OutboxRelay;
  #delivered = 0;
  #toldAt = 0;
  #onDelivered = (): void => {};

  private constructor(database: Database) {
    this.#database = database;
    this.#outbox = new PostgresOutbox(database);
    const observe = (event: RuntimeEvent) => this.#hear(event);
    const store = new PostgresEventStore(database);
    this.#system = new ActorSystem({ env: systemEnv, store, observe });
    this.#system.host(Hop);
    const parts = { outbox: this.#outbox, system: this.#system, env: systemEnv, observe };
    this.#relay = new OutboxRelay(parts);
  }

  static async open(url: string): Promise<MessageBench> {
    const database = await openDatabase({ url });
    await migrateToLatest(database.maintenance, migrations);
    return new MessageBench(database);
  }

  /** Messages per second, from the first that is told to the last that is handled. */
  async hops(messages: number): Promise<number> {
    const startedAt = performance.now();
    const until = this.#delivered + messages;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onDelivered = () => this.#delivered >= until && resolve();
    let next = 0;
    await Promise.all(Array.from({ length: askedAtOnce }, async () => {
      while (next < messages) await this.#tellOne(next++ % actors);
    }));
    await promise;
    return messages / (performance.now() - startedAt) * 1_000;
  }

  /** Milliseconds from a commit to the end of the turn that handles its message; nothing else runs. */
  async delaysMs(messages: number): Promise<Float64Array> {
    const delays = new Float64Array(messages);
    for (let n = 0; n < messages; n++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onDelivered = resolve;
      await this.#tellOne(n % actors);
      await promise;
      delays[n] = performance.now() - this.#toldAt;
    }
    return delays.sort();
  }

  /** Has so many messages wait that are not due for a day: half of them jobs, of the queue claimed. */
  async delayTo(delayed: number): Promise<void> {
    const { db, maintenance } = this.#database;
    await sql`
      insert into outbox (kind, key, message_id, schema, command, correlation_id, causation_id,
        principal, at, available_at)
      select case n % 2 when 0 then 'later' else 'job' end,
        case n % 2 when 0 then n::text else ${claimedQueue} end, gen_random_uuid(), 1, '{}', gen_random_uuid(), gen_random_uuid(),
        '{}', now(), now() + interval '1 day' + n * interval '1 s'
      from generate_series((select count(*) from outbox) + 1, ${delayed}) n`.execute(maintenance);
    await sql`analyze outbox`.execute(db);
  }

  /** What each round of a relay takes: to look for what is due, to claim, and to settle. */
  async claimsMs(): Promise<Float64Array> {
    const lanes = Array.from({ length: 16 }, (_, n) => ({ kind: "claimed", key: String(n) }));
    const times = new Float64Array(claims);
    for (let n = 0; n < claims; n++) {
      const startedAt = performance.now();
      await this.#outbox.due(undefined, 1_000);
      const claimed = await this.#outbox.claim(lanes, {
        token: n + 1,
        leaseMs: 30_000,
        limit: 100,
      });
      await this.#outbox.settle(claimed);
      times[n] = performance.now() - startedAt;
    }
    return times.sort();
  }

  /** What each round of a worker takes: to claim jobs, and to give them back. */
  async jobClaimsMs(): Promise<Float64Array> {
    const jobs = new PostgresJobQueue(this.#database);
    await jobs.enqueue(Array.from({ length: 16 }, newJob));
    const times = new Float64Array(claims);
    for (let n = 0; n < claims; n++) {
      const startedAt = performance.now();
      const claim = { queue: claimedQueue, token: n + 1, leaseMs: 30_000, limit: 16 };
      const { jobs: held } = await jobs.claim(claim);
      await jobs.settle(held.map(({ queue, position, token }) => {
        return { queue, position, token, isCounted: false, is: "released" };
      }));
      times[n] = performance.now() - startedAt;
    }
    return times.sort();
  }

  /** Right after it was tidied: what a vacuum cannot give back shows. */
  async outboxMb(): Promise<number> {
    await this.#outbox.tidy();
    const { rows } = await sql<{ bytes: number }>`
      select pg_total_relation_size('outbox') + pg_total_relation_size('lane') as bytes`
      .execute(this.#database.db);
    return Number(rows[0]!.bytes) / 1_000_000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay[Symbol.asyncDispose]();
    await this.#system[Symbol.asyncDispose]();
    await this.#database[Symbol.asyncDispose]();
  }

  async #tellOne(actor: number): Promise<void> {
    const messageId = systemEnv.uuid();
    const cause: Cause = {
      messageId,
      correlationId: messageId,
      causationId: messageId,
      principal: { id: "bench", roles: [] },
      deadline: Infinity,
    };
    const command = { type: "Tell", to: `hears-${actor}` } as const;
    await this.#system.ask(Hop, `tells-${actor}`, command, cause, () => null);
  }

  #hear(event: RuntimeEvent): void {
    if (event.type === "told") {
      this.#toldAt = performance.now();
      this.#relay.announce(event.to);
    } else if (event.type === "delivered") {
      this.#delivered += event.messages;
      this.#onDelivered();
    } else if (event.type === "buried" || event.type === "relay-failed") {
      throw event.error;
    }
  }
}
