/** Commits that meet: at the same actors, in opposite orders, and over connections that break. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import { TransientFault } from "../../lib/fault.ts";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { Cause } from "../../lib/runtime/envelope.ts";
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import type { Store } from "../../lib/runtime/store.ts";
import { ActorSystem } from "../../lib/runtime/system.ts";
import type { Outcome } from "../../lib/runtime/turn.ts";
import { migrations } from "../../migrations/all.ts";
import { commitOf, newEvent, newKind } from "../contracts/store_contract.ts";
import * as Counter from "../support/counter.ts";
import { createServerDatabase, serverUrl } from "../support/database.ts";
import { type Moment, NetworkProxy } from "../support/network_proxy.ts";

/** Pools of their own on one new database, as processes have them. */
class Pools implements AsyncDisposable {
  readonly url: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(url: string, resources: AsyncDisposableStack) {
    this.url = url;
    this.#resources = resources;
  }

  static async create(): Promise<Pools> {
    await using opening = new AsyncDisposableStack();
    const { url } = opening.use(await createServerDatabase());
    await using database = await openDatabase({ url });
    await migrateToLatest(database.maintenance, migrations);
    return new Pools(url, opening.move());
  }

  /** Through `url` where that is another way to the same database. */
  async open(url = this.url): Promise<Database> {
    return this.#resources.use(await openDatabase({ url, poolMax: 4 }));
  }

  async store(): Promise<Store> {
    return new PostgresEventStore(await this.open());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** Counted by the server as its sessions come to rest, so close those in question first. */
async function deadlocksOf(url: string): Promise<number> {
  await using server = await openDatabase({ url: serverUrl(), allowUnsafe: true });
  const { rows } = await sql<{ deadlocks: number }>`
    select deadlocks from pg_stat_database where datname = ${new URL(url).pathname.slice(1)}`
    .execute(server.db);
  return rows[0]!.deadlocks;
}

Deno.test("batches of the same actors in opposite orders never deadlock, and each actor has one winner", async () => {
  await using pools = await Pools.create();
  await using databases = new AsyncDisposableStack();
  const open = async () =>
    new PostgresEventStore(databases.use(await openDatabase({ url: pools.url })));
  const stores = [await open(), await open(), await open()];
  const reader = await pools.store();
  const before = await deadlocksOf(pools.url);
  const kind = newKind();
  for (let round = 0; round < 30; round++) {
    // Half of them exist already: those are locked, the others created.
    const keys = Array.from({ length: 24 }, (_, n) => `${round}-${n}`);
    const old = keys.filter((_, n) => n % 2 === 0);
    await reader.commit(old.map((key) => commitOf(kind, key, { events: [newEvent("Old")] })));
    const orders = [keys, keys.toReversed(), [...keys.slice(12), ...keys.slice(0, 12)]];
    const outcomes = await Promise.all(stores.map((store, n) => {
      return store.commit(orders[n]!.map((key) => {
        const isOld = old.includes(key);
        const at = isOld ? { revision: 1, version: 1 } : {};
        return commitOf(kind, key, { ...at, events: [newEvent(`By${n}`)] });
      }));
    }));
    for (const key of keys) {
      const winners = stores.flatMap((_, n) => {
        const { is } = outcomes[n]![orders[n]!.indexOf(key)]!;
        assert(is === "ok" || is === "conflict");
        return is === "ok" ? [`By${n}`] : [];
      });
      assert.equal(winners.length, 1, `${key} has one winner`);
      const stream = await reader.readStream({ kind, key });
      const expected = [...(old.includes(key) ? ["Old"] : []), ...winners];
      assert.deepEqual(stream.map(({ type }) => type), expected);
    }
  }
  await databases.disposeAsync();
  assert.equal(await deadlocksOf(pools.url), before);
});

Deno.test("of two connections that commit to one actor at once, exactly one succeeds", async () => {
  await using pools = await Pools.create();
  const stores = [await pools.store(), await pools.store()];
  const kind = newKind();
  const key = "contended";
  for (let version = 0; version < 100; version++) {
    const outcomes = await Promise.all(stores.map((store, n) => {
      const events = [newEvent(`By${n}`)];
      return store.commit([commitOf(kind, key, { revision: version, version, events })]);
    }));
    const kinds = outcomes.map(([outcome]) => outcome!.is);
    assert.deepEqual(kinds.toSorted(), ["conflict", "ok"]);
    const [last] = await stores[0]!.readStream({ kind, key }, { after: version });
    assert.equal(last?.type, `By${kinds.indexOf("ok")}`);
  }
});

function causeOf(circumstances: Partial<Cause> = {}): Cause {
  const messageId = systemEnv.uuid();
  return {
    messageId,
    correlationId: messageId,
    causationId: messageId,
    principal: { id: "ana", roles: [] },
    deadline: Infinity,
    ...circumstances,
  };
}

class Node implements AsyncDisposable {
  readonly #system: ActorSystem;
  commitsFailed = 0;

  constructor(store: Store) {
    const observe = ({ type }: RuntimeEvent) => {
      if (type === "commit-failed") this.commitsFailed++;
    };
    this.#system = new ActorSystem({ env: systemEnv, store, observe });
    this.#system.host(Counter);
  }

  async add(
    key: string,
    amount: number,
    cause: Cause = causeOf(),
  ): Promise<Outcome<number, Counter.Reason>> {
    const command = { type: "Add", amount } as const;
    return await this.#system.ask(Counter, key, command, cause, ({ state }) => state.total);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#system[Symbol.asyncDispose]();
  }
}

function brief(outcome: Outcome<number, Counter.Reason>): string {
  const { version, replayed } = outcome;
  const said = outcome.accepted ? `total ${outcome.answer}` : outcome.reason;
  return `${said} at ${version}${replayed ? ", replayed" : ""}`;
}

async function amounts(store: Store, key: string): Promise<unknown[]> {
  const events = await store.readStream({ kind: Counter.kind, key });
  return events.map(({ data }) => (data as { readonly amount: number }).amount);
}

const moments: readonly Moment[] = ["before", "during", "after"];
const CUTS_EACH = 20;

for (const moment of moments) {
  Deno.test(`a connection cut ${moment} the commit was sent: one truth, one effect`, async () => {
    await using pools = await Pools.create();
    await using proxy = await NetworkProxy.before(pools.url);
    const { committer } = await pools.open(proxy.url);
    const { db } = await pools.open();
    const store = new PostgresEventStore({ db, committer });
    for (let round = 0; round < CUTS_EACH; round++) {
      const key = `counter-${round}`;
      const cut = async (amount: number, circumstances: Partial<Cause> = {}) => {
        // A new node each time: one that has lost a race goes on under the row lock for a while.
        await using node = new Node(store);
        await node.add(key, 0);
        proxy.cutAt({ marker: key, moment });
        const outcome = await node.add(key, amount, causeOf(circumstances));
        assert(proxy.hasCut);
        assert.equal(node.commitsFailed, 1);
        return brief(outcome);
      };
      const idempotency = { key: "once", requestHash: "hash" };
      assert.equal(await cut(60), "total 60 at 1", "the first commit of an actor");
      // Whether it is told from the stream or from the remembered reply is no matter.
      assert.match(await cut(30, { idempotency }), /^total 90 at 2/, "a later one");
      assert.equal(await cut(30, { idempotency }), "total 90 at 2, replayed", "its repetition");
      assert.equal(await cut(20), "over-limit at 2", "a refusal");
      assert.deepEqual(await amounts(store, key), [60, 30]);
    }
  });

  Deno.test(`a connection cut ${moment} the commit of a turn under the row lock: one truth, one effect`, async () => {
    await using pools = await Pools.create();
    await using proxy = await NetworkProxy.before(pools.url);
    const { db } = await pools.open(proxy.url);
    const { committer } = await pools.open();
    const store = new PostgresEventStore({ db, committer });
    for (let round = 0; round < CUTS_EACH; round++) {
      const key = `counter-${round}`;
      await using node = new Node(store);
      await using other = new Node(await pools.store());
      await node.add(key, 1);
      await other.add(key, 2);
      const cause = causeOf();
      // The statement that names the message, and then the COMMIT behind it.
      proxy.cutAt({ marker: cause.messageId, later: round % 2, moment });
      assert.equal(brief(await node.add(key, 4, cause)), "total 7 at 3");
      assert(proxy.hasCut);
      assert.equal(node.commitsFailed, 1);
      assert.deepEqual(await amounts(store, key), [1, 2, 4]);
    }
  });
}

Deno.test("commands in flight while the server ends every session have one effect each", async () => {
  await using pools = await Pools.create();
  const store = await pools.store();
  const reader = await pools.store();
  await using node = new Node(store);
  const { maintenance: admin } = await pools.open();
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(admin);
  const own = rows[0]!.pid;

  let isOver = false;
  let accepted = 0;
  const messages = new Map<string, string[]>();
  // A counter that is full makes room for the next: how many are needed depends on the machine.
  const client = async (number: number) => {
    for (let asked = 0; !isOver; asked++) {
      const key = `counter-${number}-${Math.floor(asked / Counter.LIMIT)}`;
      const sent = messages.get(key) ?? [];
      messages.set(key, sent);
      const total = sent.length + 1;
      const cause = causeOf({ idempotency: { key: String(total), requestHash: "hash" } });
      sent.push(cause.messageId);
      assert.match(brief(await repeated(node, key, cause)), RegExp(`^total ${total} at ${total}`));
      accepted++;
    }
  };
  const clients = Promise.all(Array.from({ length: 12 }, (_, number) => client(number)));
  let ended = 0;
  // Some are hit while no session is open: those that lost one take their time to come back.
  while (ended < 100) {
    // Between two kills some work must get through, or nothing would be in flight.
    for (const before = accepted; accepted < before + 3;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const { rows } = await sql<{ ended: number }>`
      select count(pg_terminate_backend(pid))::int as ended from pg_stat_activity
      where datname = current_database() and pid <> ${own}`.execute(admin);
    ended += rows[0]!.ended;
  }
  isOver = true;
  await clients;

  for (const [key, sent] of messages) {
    const stream = await reader.readStream({ kind: Counter.kind, key });
    assert.deepEqual(stream.map(({ causationId }) => causationId), sent);
  }
});

/** As a client does who is told to try again: under the same key. */
async function repeated(
  node: Node,
  key: string,
  cause: Cause,
): Promise<Outcome<number, Counter.Reason>> {
  for (;;) {
    try {
      return await node.add(key, 1, cause);
    } catch (error) {
      if (!(error instanceof TransientFault)) throw error;
    }
  }
}
