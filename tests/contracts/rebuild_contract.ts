/**
 * What holds of projections and their rebuilds on every store of theirs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type QueryExecutorProvider, sql } from "kysely";
import { systemEnv } from "../../lib/env.ts";
import type { Database } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { PostgresProjectionStore } from "../../lib/postgres/projection_store.ts";
import { PostgresRebuildStore } from "../../lib/postgres/rebuild_store.ts";
import { structuresOf } from "../../lib/postgres/table_structure.ts";
import { EventBus } from "../../lib/runtime/event_bus.ts";
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import { type Projection, Projector } from "../../lib/runtime/projector.ts";
import {
  type Attempt,
  Rebuilder,
  type RebuildLimits,
  RebuildLost,
  RebuildRefused,
} from "../../lib/runtime/rebuild.ts";
import type { FeedEvent } from "../../lib/runtime/store.ts";
import { VirtualEnv } from "../support/virtual_env.ts";
import { commitOf, newEvent, newKind } from "./store_contract.ts";

type Test = (ledger: Ledger) => Promise<void>;

/** Registers the contract; `open` gives a migrated database that nobody else writes to. */
export function rebuildContract(
  name: string,
  tests: (test: (database: Database) => Promise<void>) => () => Promise<void>,
): void {
  for (const [behaviour, test] of Object.entries(contract)) {
    Deno.test(
      `${name}: ${behaviour}`,
      tests(async (database) => {
        await using ledger = await Ledger.open(database);
        await test(ledger);
      }),
    );
  }
}

interface Row {
  readonly key: string;
  readonly entries: number;
  readonly versions: readonly number[];
}

const operator = { id: "ada" };

/** Events of one kind, and two tables that follow from them. */
class Ledger implements AsyncDisposable {
  readonly kind = newKind();
  readonly suffix = crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  readonly totals = `total_${this.suffix}`;
  readonly entries = `entry_${this.suffix}`;
  readonly database: Database;
  readonly store: PostgresEventStore;
  readonly projections: PostgresProjectionStore;
  readonly rebuilds: PostgresRebuildStore;
  readonly projection: Projection<QueryExecutorProvider>;
  readonly observed: RuntimeEvent[] = [];
  readonly #standings = new Map<string, { revision: number; version: number }>();
  /** Called with each event before it is applied. */
  meddle: (event: FeedEvent) => void = () => {};

  private constructor(database: Database) {
    this.database = database;
    this.store = new PostgresEventStore(database);
    this.projections = new PostgresProjectionStore(database.db);
    this.rebuilds = new PostgresRebuildStore(database);
    this.projection = {
      name: `ledger_${this.suffix}`,
      kind: this.kind,
      tables: [this.totals, this.entries],
      apply: (transaction, events) => this.#apply(transaction, events),
    };
  }

  static async open(database: Database): Promise<Ledger> {
    const ledger = new Ledger(database);
    const { totals, entries } = ledger;
    for (
      const statement of [
        `create table ${totals} (key text collate "C" primary key, entries int not null,
          note text not null default 'none', doubled int generated always as (entries * 2) stored)
          with (fillfactor = 70)`,
        `create index ${totals}_by_count on ${totals} (entries desc, key)`,
        `create table ${entries} (key text collate "C" not null, version int not null,
          constraint ${entries}_once unique (key, version), check (version > 0))`,
        `create unique index "${entries} odd" on ${entries} ((key || '/' || version))
          where version % 2 = 1`,
        `grant select on ${totals} to public`,
      ]
    ) await sql.raw(statement).execute(database.db);
    return ledger;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const table of [this.totals, this.entries]) {
      await sql`drop table if exists ${sql.table(table)} cascade`.execute(this.database.db);
    }
    await sql`delete from projection_rebuild where projection = ${this.projection.name}`
      .execute(this.database.db);
  }

  /** Records so many events of an actor, in one turn; its transaction is the token of the write. */
  async write(key: string, count = 1): Promise<string> {
    const before = this.#standings.get(key) ?? { revision: 0, version: 0 };
    const events = Array.from({ length: count }, () => newEvent("Entered"));
    const [outcome] = await this.store.commit([commitOf(this.kind, key, { ...before, events })]);
    assert(outcome?.is === "ok", JSON.stringify(outcome));
    const { revision, version } = before;
    this.#standings.set(key, { revision: revision + 1, version: version + count });
    return outcome.transaction;
  }

  /** Follows until all that was written is shown. */
  async catchUp(limit = 7): Promise<void> {
    await this.showing(await this.#latest(), limit);
  }

  async showing(transaction: string, limit = 7): Promise<void> {
    for (let through = 0n; through < BigInt(transaction);) {
      const advance = await this.projections.advance(this.projection, limit);
      if (advance !== undefined) through = BigInt(advance.through);
    }
  }

  projector(): Projector<QueryExecutorProvider> {
    return new Projector({
      projection: this.projection,
      store: this.projections,
      env: systemEnv,
      observe: (event) => void this.observed.push(event),
      limits: { pageMax: 5, gatherMs: 1, pollMs: 5, waitPollMs: 1 },
    });
  }

  rebuilder(
    limits: Partial<RebuildLimits> = {},
  ): Rebuilder<QueryExecutorProvider> {
    return new Rebuilder({
      projections: [this.projection],
      store: this.rebuilds,
      env: systemEnv,
      observe: (event) => void this.observed.push(event),
      limits: { pageMax: 5, restMs: 1, pauseFirstMs: 1, pauseMostMs: 10, ...limits },
    });
  }

  async rebuild(limits: Partial<RebuildLimits> = {}): Promise<boolean> {
    await using rebuilder = this.rebuilder(limits);
    const { ended } = (await rebuilder.start(this.projection.name, operator))!;
    return await ended;
  }

  attempt(leaseMs = 60_000): Attempt {
    return { token: Math.floor(Math.random() * 2 ** 53), leaseMs };
  }

  async shown(): Promise<readonly Row[]> {
    const { rows } = await sql<Row>`
      select t.key, t.entries, array_agg(e.version order by e.version) as versions
      from ${sql.table(this.totals)} t join ${sql.table(this.entries)} e on e.key = t.key
      group by t.key order by t.key`.execute(this.database.db);
    return rows;
  }

  /** What must be shown of all that was written. */
  get truth(): readonly Row[] {
    return [...this.#standings].map(([key, { version }]) => ({
      key,
      entries: version,
      versions: Array.from({ length: version }, (_, index) => index + 1),
    })).sort((a, b) => a.key < b.key ? -1 : 1);
  }

  /** Makes the tables in use tell nonsense. */
  async spoil(): Promise<void> {
    await sql`update ${sql.table(this.totals)} set entries = entries + 1000`
      .execute(this.database.db);
  }

  async isShadowThere(): Promise<boolean> {
    const { rows } = await sql<{ isThere: boolean }>`
      select to_regnamespace(${`rebuild_${this.projection.name}`}) is not null as "isThere"`
      .execute(this.database.db);
    return rows[0]!.isThere;
  }

  async #apply(transaction: QueryExecutorProvider, events: readonly FeedEvent[]): Promise<void> {
    for (const event of events) {
      await sql`
        insert into ${sql.table(this.totals)} as t (key, entries) values (${event.address.key}, 1)
        on conflict (key) do update set entries = t.entries + 1`.execute(transaction);
      this.meddle(event);
      await sql`
        insert into ${sql.table(this.entries)} values (${event.address.key}, ${event.version})`
        .execute(transaction);
    }
  }

  async #latest(): Promise<string> {
    const { rows } = await sql<{ id: string }>`select pg_current_xact_id()::text as id`
      .execute(this.database.db);
    return rows[0]!.id;
  }
}

/** Lets what is running go on: rounds, not time, so that nothing depends on the machine. */
async function rounds(count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

const contract: Readonly<Record<string, Test>> = {
  async "effects count once, however often applying them breaks off in the middle"(ledger) {
    const chance = new VirtualEnv(7);
    let token = "0";
    for (let i = 0; i < 30; i++) token = await ledger.write(`k${i % 4}`, 1 + i % 3);
    let crashes = 0;
    ledger.meddle = () => {
      if (chance.random() < 0.2 && ++crashes) throw new RangeError("crashed");
    };
    // As long as it takes: whatever runs elsewhere on the server holds up what the feed shows.
    for (let through = 0n; through < BigInt(token);) {
      const advance = await ledger.projections.advance(ledger.projection, 3).catch((error) => {
        assert(error instanceof RangeError, String(error));
      });
      through = BigInt(advance?.through ?? 0);
    }
    assert(crashes > 0);
    assert.deepEqual(await ledger.shown(), ledger.truth);
  },

  async "a subscriber that starts now is told nothing of what was, and all that comes"(ledger) {
    await ledger.write("old", 3);
    const seen: string[] = [];
    const following: Projection<QueryExecutorProvider> = {
      name: `now_${ledger.suffix}`,
      start: "now",
      kind: ledger.kind,
      apply: (_, events) =>
        Promise.resolve(void seen.push(...events.map(({ address: { key } }) => key))),
    };
    await ledger.catchUp();
    await ledger.projections.advance(following, 10);
    await ledger.write("new", 2);
    const token = await ledger.write("old", 1);
    for (let through = 0n; through < BigInt(token);) {
      through = BigInt((await ledger.projections.advance(following, 2))!.through);
    }
    assert.deepEqual(seen, ["new", "new", "old"]);
  },

  async "a subscriber to rare types sees those of them alone, and does not fall behind the rest"(
    ledger,
  ) {
    const { db } = ledger.database;
    const rare: Projection<QueryExecutorProvider> = {
      name: `rare_${ledger.suffix}`,
      types: [`Rare${ledger.suffix}`],
      apply: (_, events) => Promise.resolve(void seen.push(...events.map(({ type }) => type))),
    };
    const seen: string[] = [];
    await ledger.projections.advance(rare, 10);
    const commit = commitOf(ledger.kind, "a", { events: [newEvent(rare.types![0]!)] });
    await ledger.store.commit([commit]);
    for (let i = 0; i < 1_100; i++) await sql`select pg_current_xact_id()`.execute(db);
    const horizon = async () => {
      const { rows } = await sql<{ id: string }>`select pg_current_xact_id()::text as id`
        .execute(db);
      return BigInt(rows[0]!.id);
    };
    const wanted = await horizon();
    for (let through = 0n; through < wanted;) {
      through = BigInt((await ledger.projections.advance(rare, 10))!.through);
    }
    assert.deepEqual(seen, rare.types);
    const { rows: [checkpoint] } = await sql<{ transaction: string }>`
      select transaction::text as transaction from checkpoint where projection = ${rare.name}`
      .execute(db);
    assert(BigInt(checkpoint!.transaction) > wanted - 1_100n, "its checkpoint came along");
  },

  async "a poison event blocks its own subscriber; its peer goes on"(ledger) {
    await using bus = new EventBus({
      env: systemEnv,
      observe: (event) => void ledger.observed.push(event),
      store: ledger.projections,
    });
    const limits = { pollMs: 5, gatherMs: 1, pauseFirstMs: 1, pauseMostMs: 4, waitPollMs: 1 };
    await ledger.write("k", 3);
    const token = await ledger.write("l", 2);
    const blocked = bus.follow({
      name: `blocked_${ledger.suffix}`,
      kind: ledger.kind,
      apply: (_, events) =>
        events.some(({ version }) => version === 2)
          ? Promise.reject(new RangeError("poison"))
          : Promise.resolve(),
    }, limits);
    const well = bus.follow(ledger.projection, limits);
    assert.equal(await well.shows(token, 30_000), true);
    assert.deepEqual(await ledger.shown(), ledger.truth);
    assert.equal(await blocked.shows(token, 100), false);
    const failures = ledger.observed.filter((event) => event.type === "projection-failed");
    const { blockedBy, projection } = failures.at(-1)!;
    assert.equal(projection, `blocked_${ledger.suffix}`);
    assert.deepEqual(blockedBy, { address: { kind: ledger.kind, key: "k" }, version: 2 });
  },

  async "a rebuild makes the tables anew, down to their indexes and rights"(ledger) {
    const { db } = ledger.database;
    for (let i = 0; i < 12; i++) await ledger.write(`k${i % 3}`, 2);
    await ledger.catchUp();
    const names = [ledger.totals, ledger.entries];
    const before = await structuresOf(db, names);
    assert.equal(before[0]!.indexes.length, 1);
    assert.equal(before[1]!.constraints.length, 1);
    assert.deepEqual(before[0]!.options, ["fillfactor=70"]);
    assert(before[0]!.grants.some(({ grantee }) => grantee === "public"));
    await ledger.spoil();
    assert.equal(await ledger.rebuild(), true);
    assert.deepEqual(await ledger.shown(), ledger.truth);
    assert.deepEqual(await structuresOf(db, names), before);
    assert.equal(await ledger.isShadowThere(), false);
    await ledger.write("k1", 3);
    await ledger.catchUp();
    assert.deepEqual(await ledger.shown(), ledger.truth, "and it goes on from there");
    const { rebuild } = await ledger.rebuilds.standing(ledger.projection);
    assert.deepEqual([rebuild?.state, rebuild?.events, rebuild?.principalId], ["done", 24, "ada"]);
  },

  async "a rebuild under writers ends as the projection in use would have"(ledger) {
    const chance = new VirtualEnv(11);
    for (let i = 0; i < 60; i++) await ledger.write(`k${i % 7}`, 1 + i % 3);
    await ledger.catchUp();
    await ledger.spoil();
    await using projector = ledger.projector();
    const writing = (async () => {
      for (let written = 0; written < 80; written++) {
        const keys = Array.from({ length: 3 }, () => Math.floor(chance.random() * 9));
        const count = 1 + Math.floor(chance.random() * 4);
        for (const key of new Set(keys)) await ledger.write(`k${key}`, count);
        projector.wake();
        await rounds(50);
      }
    })();
    for (let i = 0; i < 3; i++) assert.equal(await ledger.rebuild(), true);
    await writing;
    await ledger.catchUp();
    assert.deepEqual(await ledger.shown(), ledger.truth);
  },

  async "no query fails or finds less than its token says while tables are exchanged"(ledger) {
    for (let i = 0; i < 30; i++) await ledger.write(`k${i % 3}`, 2);
    await ledger.catchUp();
    await using projector = ledger.projector();
    let isOver = false;
    let queries = 0;
    const reading = async (key: string) => {
      let version = ledger.truth.find((row) => row.key === key)?.entries ?? 0;
      while (!isOver) {
        const token = await ledger.write(key);
        version++;
        assert.equal(await projector.shows(token, 30_000), true);
        for (let i = 0; i < 3; i++) {
          const rows = await ledger.shown();
          queries++;
          const row = rows.find((row) => row.key === key);
          assert.equal(row?.entries, version, `${key} shows its own write`);
          assert.equal(row?.versions.length, version);
          assert(rows.length >= 3, "nothing is missing meanwhile");
        }
      }
    };
    const readers = Promise.all(["k0", "k1", "k2", "k3"].map(reading));
    readers.catch(() => {});
    const swaps = 6;
    // Pages large enough to outrun the writers on any machine.
    for (let i = 0; i < swaps; i++) assert.equal(await ledger.rebuild({ pageMax: 50 }), true);
    isOver = true;
    await readers;
    assert(queries > swaps);
    await ledger.catchUp();
    assert.deepEqual(await ledger.shown(), ledger.truth);
  },

  async "a rebuild whose process died is begun afresh, and the dead one can do no harm"(ledger) {
    for (let i = 0; i < 12; i++) await ledger.write(`k${i % 3}`, 2);
    await ledger.catchUp();
    await ledger.spoil();
    const spoilt = await ledger.shown();
    const dead = ledger.attempt(0);
    await ledger.rebuilds.begin(ledger.projection, dead, operator);
    assert.deepEqual(await ledger.rebuilds.advance(ledger.projection, dead, 7), {
      events: 7,
      total: 7,
    });
    assert.deepEqual(await ledger.shown(), spoilt, "those in use are not touched");
    const { rebuild } = await ledger.rebuilds.standing(ledger.projection);
    assert.deepEqual([rebuild?.state, rebuild?.events], ["interrupted", 7]);
    const next = ledger.attempt();
    await ledger.rebuilds.begin(ledger.projection, next, operator);
    await assert.rejects(ledger.rebuilds.advance(ledger.projection, dead, 7), RebuildLost);
    await assert.rejects(ledger.rebuilds.swap(ledger.projection, dead, 7), RebuildLost);
    await ledger.rebuilds.fail(ledger.projection, dead, "late");
    for (let page = 5; page === 5;) {
      page = (await ledger.rebuilds.advance(ledger.projection, next, 5)).events;
    }
    assert.deepEqual(await ledger.rebuilds.swap(ledger.projection, next, 5), {
      is: "swapped",
      total: 24,
    });
    assert.deepEqual(await ledger.rebuilds.swap(ledger.projection, next, 5), {
      is: "swapped",
      total: 24,
    }, "asked again, as after a lost answer");
    assert.deepEqual(await ledger.shown(), ledger.truth);
  },

  async "of a page whose transaction broke off nothing is left, in a rebuild as well"(ledger) {
    for (let i = 0; i < 6; i++) await ledger.write("k", 2);
    await ledger.catchUp();
    const attempt = ledger.attempt();
    await ledger.rebuilds.begin(ledger.projection, attempt, operator);
    let crashes = 0;
    ledger.meddle = ({ version }) => {
      if (version % 4 === 0 && ++crashes % 2 === 1) throw new RangeError("crashed");
    };
    for (let events = 3; events === 3;) {
      try {
        events = (await ledger.rebuilds.advance(ledger.projection, attempt, 3)).events;
      } catch (error) {
        assert(error instanceof RangeError);
      }
    }
    assert(crashes > 2);
    const { is } = await ledger.rebuilds.swap(ledger.projection, attempt, 3);
    assert.equal(is, "swapped");
    assert.deepEqual(await ledger.shown(), ledger.truth);
  },

  async "an exchange that has much to catch up with says so, and loses nothing of it"(ledger) {
    const attempt = ledger.attempt();
    await ledger.rebuilds.begin(ledger.projection, attempt, operator);
    for (let i = 0; i < 4; i++) await ledger.write("k", 4);
    await ledger.catchUp();
    const endings: string[] = [];
    while (endings.at(-1) !== "swapped") {
      endings.push((await ledger.rebuilds.swap(ledger.projection, attempt, 2)).is);
    }
    assert.deepEqual(endings, ["behind", "swapped"]);
    assert.deepEqual(await ledger.shown(), ledger.truth);
  },

  async "one rebuild runs at a time, and it is begun once under its token"(ledger) {
    const attempt = ledger.attempt();
    await ledger.rebuilds.begin(ledger.projection, attempt, operator);
    await ledger.rebuilds.begin(ledger.projection, attempt, operator);
    await using rebuilder = ledger.rebuilder();
    await assert.rejects(
      rebuilder.start(ledger.projection.name, operator),
      (error) => error instanceof RebuildRefused && error.reason === "running",
    );
    await ledger.rebuilds.fail(ledger.projection, attempt, "enough");
    const { rebuild } = await ledger.rebuilds.standing(ledger.projection);
    assert.deepEqual([rebuild?.state, rebuild?.error], ["failed", "enough"]);
    assert.equal(await ledger.isShadowThere(), false);
    assert.equal(await ledger.rebuild(), true);
  },

  async "tables that were altered meanwhile stay as they are"(ledger) {
    await ledger.write("k", 3);
    await ledger.catchUp();
    const attempt = ledger.attempt();
    await ledger.rebuilds.begin(ledger.projection, attempt, operator);
    await ledger.rebuilds.advance(ledger.projection, attempt, 9);
    await sql`alter table ${sql.table(ledger.totals)} add column added int default 7`
      .execute(ledger.database.db);
    await assert.rejects(
      ledger.rebuilds.swap(ledger.projection, attempt, 9),
      (error) => error instanceof RebuildRefused && /altered/.test(error.message),
    );
    await ledger.rebuilds.fail(ledger.projection, attempt, "altered");
    assert.deepEqual(await ledger.shown(), ledger.truth);
    assert.equal(await ledger.rebuild(), true, "the next one makes them as they are now");
    const { rows } = await sql`select added from ${sql.table(ledger.totals)}`
      .execute(ledger.database.db);
    assert.deepEqual(rows, [{ added: 7 }]);
  },

  async "tables that something else holds on to are not exchanged"(ledger) {
    await sql`create view ${sql.table(`${ledger.totals}_view`)} as
      select key from ${sql.table(ledger.totals)}`.execute(ledger.database.db);
    await assert.rejects(
      ledger.rebuilds.begin(ledger.projection, ledger.attempt(), operator),
      (error) =>
        error instanceof RebuildRefused && error.reason === "not-rebuildable" &&
        /view/.test(error.message),
    );
    assert.equal(await ledger.isShadowThere(), false);
    for (const unfit of [{ tables: [] }, { tables: ["nowhere"] }, { start: "now" as const }]) {
      await assert.rejects(
        ledger.rebuilds.begin({ ...ledger.projection, ...unfit }, ledger.attempt(), operator),
        RebuildRefused,
      );
    }
  },

  async "a rebuild that meets a defect ends visibly, and leaves all as it was"(ledger) {
    for (let i = 0; i < 4; i++) await ledger.write("k", 4);
    await ledger.catchUp();
    ledger.meddle = ({ version }) => {
      if (version === 9) throw new RangeError("a bug");
    };
    assert.equal(await ledger.rebuild(), false);
    const { rebuild } = await ledger.rebuilds.standing(ledger.projection);
    assert.deepEqual([rebuild?.state, rebuild?.error], ["failed", "RangeError: a bug"]);
    const failed = ledger.observed.filter((event) => event.type === "rebuild-failed");
    assert.deepEqual(failed.map(({ retryInMs }) => retryInMs), [undefined]);
    assert.equal(await ledger.isShadowThere(), false);
    assert.deepEqual(await ledger.shown(), ledger.truth);
  },

  async "a rebuilder that stops ends what it was at, and another may begin"(ledger) {
    for (let i = 0; i < 20; i++) await ledger.write("k", 2);
    await ledger.catchUp();
    const rebuilder = ledger.rebuilder({ pageMax: 1, restMs: 3_600_000 });
    const { ended } = (await rebuilder.start(ledger.projection.name, operator))!;
    await rebuilder[Symbol.asyncDispose]();
    assert.equal(await ended, false);
    assert.equal((await ledger.rebuilds.standing(ledger.projection)).rebuild?.state, "failed");
    assert.equal(await ledger.rebuild(), true);
  },

  async "how far behind a projection is shows by the oldest event it lacks"(ledger) {
    const standing = () => ledger.rebuilds.standing(ledger.projection);
    assert.equal((await standing()).oldestAt, undefined);
    await ledger.write("k");
    const oldest = await (async () => {
      for (;;) {
        const { oldestAt } = await standing();
        if (oldestAt !== undefined) return oldestAt;
      }
    })();
    await ledger.write("k");
    assert.equal((await standing()).oldestAt, oldest);
    await ledger.catchUp();
    assert.equal((await standing()).oldestAt, undefined);
  },
};
