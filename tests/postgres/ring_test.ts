/**
 * Messages and jobs that go round a ring of actors, while nodes die and freeze, connections break,
 * and the database server is stopped, killed and started.
 */
import assert from "node:assert/strict";
import { type Kysely, type RawBuilder, sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import { openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { Tables } from "../../lib/postgres/tables.ts";
import type { Cause } from "../../lib/runtime/envelope.ts";
import { ActorSystem } from "../../lib/runtime/system.ts";
import { readEvent } from "../../lib/runtime/turn.ts";
import { migrations } from "../../migrations/all.ts";
import { OwnPostgres } from "../support/own_postgres.ts";
import * as Ring from "../support/ring.ts";
import {
  assertNothingIsLeft,
  insist,
  type PlannedFault,
  plannedFaults,
  StrickenCluster,
} from "../support/stricken_cluster.ts";

/** What is passed altogether. 50,000 are for a run by hand. */
const MESSAGES = Number(Deno.env.get("RING_MESSAGES") ?? 1_500);
/** Decides what goes wrong, where, and after how many messages; not who is doing what just then. */
const SEED = Number(Deno.env.get("RING_SEED") ?? 1);
/** On their way at one time. */
const TOKENS = 40;
const FAULTS = Math.ceil(MESSAGES / 110);
const NODES = 3;
const LEASE_MS = 1_000;
const POLL_MS = 20;
/** Longer than a relay or a worker insists on anything. */
const LONG_DOWN_MS = 7_000;
/** Far more than anybody needs once all is well again: what has not moved by then never will. */
const STUCK_MS = 15_000;

/** What the test sees of the database, whenever it is there. */
class Observer {
  readonly #db: Kysely<Tables>;
  #passed = 0;
  #movedAt = performance.now();

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  /** Every token is on its way in one message until it has arrived. */
  async arrived(): Promise<void> {
    await this.#until(async () => await this.count("outbox") === 0);
  }

  async passed(messages: number): Promise<void> {
    await this.#until(() => this.#passed >= messages);
  }

  async count(table: "outbox" | "finished_job"): Promise<number> {
    const rows = await this.#ask(sql<{ count: number | bigint | string }>`
      select count(*) from ${sql.table(table)}`);
    return Number(rows[0]!.count);
  }

  async #until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (;;) {
      await this.#look();
      if (await isSo()) return;
      await systemEnv.sleep(10);
    }
  }

  async #look(): Promise<void> {
    const rows = await this.#ask(sql<{ passed: number | bigint | string | null }>`
      select sum(version) as passed from actor`);
    const passed = Number(rows[0]!.passed);
    const now = performance.now();
    if (passed > this.#passed) this.#movedAt = now;
    this.#passed = passed;
    if (now - this.#movedAt < STUCK_MS) return;
    const lanes = await this.#ask(sql`
      select outbox.*, lane.*, now() from outbox left join lane using (kind, key)
      order by position`);
    throw new Error(`Stuck at ${passed}: ${Deno.inspect(lanes)}`);
  }

  async #ask<Row>(query: RawBuilder<Row>): Promise<readonly Row[]> {
    return await insist(this.#db, query, STUCK_MS);
  }
}

/** Each token at its first actor, by a process that brings no messages itself. */
async function putTokensIn(url: string, hops: number): Promise<void> {
  await using database = await openDatabase({ url });
  await migrateToLatest(database.maintenance, migrations);
  await using system = systemOver(new PostgresEventStore(database));
  await Promise.all(Array.from({ length: TOKENS }, async (_, token) => {
    const first = { token, hops };
    const command = { type: "Pass" as const, ...first };
    const { accepted } = await system.ask(Ring, Ring.keyFor(first), command, cause(), () => null);
    assert(accepted);
  }));
}

function systemOver(store: PostgresEventStore): ActorSystem {
  const system = new ActorSystem({ env: systemEnv, store, observe() {} });
  system.host(Ring);
  return system;
}

function cause(): Cause {
  const id = systemEnv.uuid();
  const principal = { id: "test", roles: [] };
  return {
    messageId: id,
    correlationId: id,
    causationId: id,
    principal,
    deadline: systemEnv.monotonic() + 5_000,
  };
}

interface Passing extends Ring.Event {
  readonly key: string;
  readonly at: number;
}

/** The streams of the ring, each gap-free, and the state of each actor what its stream says. */
async function readRing(url: string): Promise<readonly Passing[]> {
  await using database = await openDatabase({ url });
  const store = new PostgresEventStore(database);
  await using system = systemOver(store);
  const streams = Ring.keys.map(async (key) => {
    const stored = await store.readStream({ kind: Ring.kind, key });
    assert.deepEqual(stored.map(({ version }) => version), stored.map((_, index) => index + 1));
    const passings = stored.map((event) => ({ ...readEvent(Ring, event), key, at: event.at }));
    const { view, version } = await system.read(Ring, key, cause(), (state) => state);
    assert.equal(version, stored.length);
    assert.deepEqual(view, passings.reduce(Ring.evolve, Ring.initial), `the state of ${key}`);
    return passings;
  });
  return (await Promise.all(streams)).flat();
}

function assertEachPassedOnce(passings: readonly Passing[], hopsMost: number): void {
  const counts = new Map<string, number>();
  for (const { token, hops, key } of passings) {
    assert.equal(key, Ring.keyFor({ token, hops }), `where token ${token} has ${hops} hops left`);
    const name = `token ${token}, ${hops} left`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const doubled = [...counts].filter(([, count]) => count > 1);
  const lost: string[] = [];
  for (let token = 0; token < TOKENS; token++) {
    for (let hops = 0; hops <= hopsMost; hops++) {
      const name = `token ${token}, ${hops} left`;
      if (!counts.has(name)) lost.push(name);
    }
  }
  assert.deepEqual({ doubled, lost }, { doubled: [], lost: [] });
  assert.equal(passings.length, TOKENS * (hopsMost + 1));
}

/** What an actor was told it hears in the order of the telling; jobs have none. */
function assertOrderIsKept(passings: readonly Passing[], hopsMost: number): void {
  const told = passings.filter(({ token }) => !Ring.isCarried(token));
  const streams = Map.groupBy(told, ({ key }) => key);
  const asText = (token: number, hops: number) => `token ${token}, ${hops} left`;
  Ring.keys.forEach((key, place) => {
    const next = Ring.keys[(place + 1) % Ring.SIZE]!;
    const told = streams.get(key)!.filter(({ hops }) => hops > 0);
    const heard = streams.get(next)!.filter(({ hops }) => hops < hopsMost);
    assert.deepEqual(
      heard.map(({ token, hops }) => asText(token, hops)),
      told.map(({ token, hops }) => asText(token, hops - 1)),
      `what ${key} has told ${next}`,
    );
  });
}

interface Course {
  /** Of a token after its first pass. */
  readonly hops: number;
  /** When each fault was over. */
  readonly calmAt: readonly number[];
}

/**
 * A message is told when its predecessor passes, and handled when it passes itself. What it waited for
 * before the last fault was over is that fault's, and of those before it.
 */
function longestWaitMs(passings: readonly Passing[], { hops: hopsMost, calmAt }: Course): number {
  const at = new Map(passings.map(({ token, hops, at }) => [`${token}/${hops}`, at]));
  const later = passings.filter(({ hops }) => hops < hopsMost);
  const waits = later.map(({ token, hops, at: handledAt }) => {
    const calm = calmAt.filter((each) => each < handledAt);
    return handledAt - Math.max(at.get(`${token}/${hops + 1}`)!, ...calm);
  });
  return waits.reduce((longest, wait) => Math.max(longest, wait), 0);
}

interface Run {
  readonly messages: number;
  readonly nodes: number;
  readonly faults: readonly PlannedFault[];
}

async function passesThrough({ messages, nodes, faults }: Run): Promise<void> {
  /** Of a token after its first pass. */
  const hops = Math.ceil(messages / TOKENS) - 1;
  await using server = await OwnPostgres.start();
  const { url } = server;
  await putTokensIn(url, hops);
  await using observing = await openDatabase({ url, poolMax: 1 });
  const observer = new Observer(observing.db);
  await using cluster = await StrickenCluster.start({
    server,
    db: observing.db,
    program: "tests/support/ring_node.ts",
    nodes,
    leaseMs: LEASE_MS,
    pollMs: POLL_MS,
  });
  for (const { after, fault } of faults) {
    await observer.passed(after);
    await cluster.strike(fault);
  }
  await cluster.recovered();
  await observer.arrived();
  await cluster.end();

  await assertNothingIsLeft(observing, LEASE_MS);
  const carried = Array.from({ length: TOKENS }, (_, token) => token).filter(Ring.isCarried);
  assert.equal(await observer.count("finished_job"), carried.length * hops);
  const passings = await readRing(url);
  assertEachPassedOnce(passings, hops);
  assertOrderIsKept(passings, hops);
  const waitMs = longestWaitMs(passings, { hops, calmAt: cluster.calmAt });
  assert(waitMs < STUCK_MS, `a message waited for ${waitMs} ms after all was well`);
}

Deno.test("whatever crashes, freezes or breaks off, each message has its effect once", async () => {
  const plan = { seed: SEED, nodes: NODES, leaseMs: LEASE_MS };
  // Each comes while there is something to lose.
  const faults = plannedFaults({ ...plan, faults: FAULTS, upTo: 0.95 * MESSAGES });
  try {
    await passesThrough({ messages: MESSAGES, nodes: NODES, faults });
  } catch (error) {
    console.error(`RING_SEED=${SEED} RING_MESSAGES=${MESSAGES}`);
    throw error;
  }
});

Deno.test("the only node goes on by itself, however often and long its server was away", async () => {
  const faults: readonly PlannedFault[] = [
    { after: 50, fault: { is: "restart", mode: "immediate", downMs: 0 } },
    { after: 150, fault: { is: "backend" } },
    { after: 250, fault: { is: "restart", mode: "fast", downMs: LONG_DOWN_MS } },
    { after: 350, fault: { is: "cut" } },
    { after: 450, fault: { is: "restart", mode: "fast", downMs: 0 } },
  ];
  await passesThrough({ messages: 600, nodes: 1, faults });
});
