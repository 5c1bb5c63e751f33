/**
 * What every store must do alike, so that what is tested on the embedded one holds on a server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AbortedTransactionError, type Kysely, sql } from "kysely";
import { PoisonFault, TransientFault } from "../../../lib/fault.ts";
import type { Database, Limits } from "../../../lib/postgres/database.ts";
import {
  migrateToLatest,
  pendingMigrations,
  UnknownMigrations,
} from "../../../lib/postgres/migrate.ts";

type Open = (limits?: Limits) => Promise<Database>;
type Check = (database: Database) => Promise<void>;

interface Note {
  readonly id: number;
  readonly text: string;
}

/** Registers the contract as one test: to open a database for each step would take minutes. */
export function testDatabaseContract(store: string, open: Open): void {
  Deno.test(`${store}: the contract of a database`, async (t) => {
    await using database = await open();
    for (const [name, check] of Object.entries(checks)) {
      await t.step(name, async () => {
        await sql`drop schema public cascade`.execute(database.db);
        await sql`create schema public`.execute(database.db);
        await sql`create table note (id bigint primary key, text text not null)`
          .execute(database.db);
        await check(database);
      });
    }
  });

  Deno.test(`${store}: a query that takes too long costs its caller, not the next`, async () => {
    await using database = await open({ queryTimeoutMs: 1_000 });
    await assert.rejects(sql`select pg_sleep(1.6)`.execute(database.db), hasOutcome("unknown"));
    await eventually(async () => assert.deepEqual(await one(database.db, sql`1`), 1));
  });

  Deno.test(`${store}: a transaction that takes too long is rolled back`, async () => {
    await using database = await open({ transactionTimeoutMs: 200 });
    const { db } = database;
    await sql`create table note (id bigint primary key, text text not null)`.execute(db);
    const late = db.transaction().execute(async (transaction) => {
      await write(transaction, { id: 1, text: "never" });
      await new Promise((resolve) => setTimeout(resolve, 400));
      await write(transaction, { id: 2, text: "never" });
    });
    await assert.rejects(late, hasOutcome("not-applied"));
    await eventually(async () => assert.deepEqual(await notes(db), []));
  });

  Deno.test(`${store}: a query inside of a transaction, but not through it, is turned away`, async () => {
    await using database = await open({ acquireTimeoutMs: 100 });
    const { db } = database;
    const hold = Array.from({ length: 8 }, () => {
      return db.transaction().execute(async () => await sql`select 1`.execute(db));
    });
    // A server has connections to spare for some of them; the embedded engine has one session.
    const settled = await Promise.allSettled(hold);
    for (const result of settled) {
      if (result.status === "rejected") assert(hasOutcome("not-applied")(result.reason));
    }
    assert.equal(await one(db, sql`1`), 1);
  });
}

const checks: Record<string, Check> = {
  async "values come back as the same type from each store"({ db }) {
    const { rows } = await sql`
      select 7::int8 as int8, ${2n ** 53n}::int8 as large, 1::int4 as int4, 1.5::float8 as float8,
        1.10::numeric as numeric, true as bool, 'x'::text as text, '7'::xid8 as xid8,
        '2030-01-02T03:04:05.678+02'::timestamptz as instant, '2030-01-02'::date as date,
        '{"a": [1, null, "ü"]}'::jsonb as document, 'null'::jsonb as json_null, null as nothing,
        '\\x00ff'::bytea as bytes, '6f1c8a52-7e2f-4b7c-9a63-0a3b3f3f7b11'::uuid as uuid`
      .execute(db);
    assert.deepEqual(rows, [{
      int8: 7,
      large: 2n ** 53n,
      int4: 1,
      float8: 1.5,
      numeric: "1.10",
      bool: true,
      text: "x",
      xid8: "7",
      instant: new Date("2030-01-02T01:04:05.678Z"),
      date: "2030-01-02",
      document: { a: [1, null, "ü"] },
      json_null: null,
      nothing: null,
      bytes: Uint8Array.of(0, 255),
      uuid: "6f1c8a52-7e2f-4b7c-9a63-0a3b3f3f7b11",
    }]);
  },

  async "arrays come back as arrays"({ db }) {
    const { rows } = await sql`
      select array['a', null, 'NULL', 'say "hi"', 'back\\slash', 'a,b', '{}', ''] as texts,
        array[1, null, 9007199254740993]::int8[] as numbers, '{}'::text[] as none,
        array[[1, 2], [3, 4]] as nested, '[0:1]={5,6}'::int4[] as shifted,
        array['{"a": 1}']::jsonb[] as documents, array[true, false] as flags,
        array['2030-01-01T00:00:00Z']::timestamptz[] as instants`.execute(db);
    assert.deepEqual(rows, [{
      texts: ["a", null, "NULL", 'say "hi"', "back\\slash", "a,b", "{}", ""],
      numbers: [1, null, 9007199254740993n],
      none: [],
      nested: [[1, 2], [3, 4]],
      shifted: [5, 6],
      documents: [{ a: 1 }],
      flags: [true, false],
      instants: [new Date("2030-01-01T00:00:00Z")],
    }]);
  },

  async "parameters arrive as what they were"({ db }) {
    const texts = ["a", null, "NULL", 'say "hi"', "back\\slash", "a,b", "{}", "", "ü\n"];
    assert.deepEqual(await one(db, sql`${texts}::text[]`), texts);
    assert.deepEqual(await one(db, sql`${[[1, 2], [3, 4]]}::int8[]`), [[1, 2], [3, 4]]);
    assert.deepEqual(await one(db, sql`${{ a: ["x"] }}::jsonb`), { a: ["x"] });
    assert.deepEqual(await one(db, sql`${'{"a": 1}'}::jsonb`), { a: 1 });
    assert.deepEqual(await one(db, sql`${JSON.stringify([1, "a"])}::text::jsonb`), [1, "a"]);
    assert.deepEqual(await one(db, sql`${Uint8Array.of(0, 255)}::bytea`), Uint8Array.of(0, 255));
    assert.deepEqual(await one(db, sql`${new Date(1)}::timestamptz`), new Date(1));
    assert.equal(await one(db, sql`${2n ** 63n - 1n}::int8`), 2n ** 63n - 1n);
    assert.equal(await one(db, sql`${false}::bool`), false);
    assert.equal(await one(db, sql`${null}::text`), null);
    await assert.rejects(one(db, sql`${undefined}::text`), TypeError);
  },

  async "a change says how many rows it touched"({ db }) {
    for (const id of [1, 2, 3]) await write(db, { id, text: "a" });
    const updated = await sql`update note set text = 'b' where id > 1`.execute(db);
    assert.equal(updated.numAffectedRows, 2n);
    const deleted = await sql`delete from note where id > 5`.execute(db);
    assert.equal(deleted.numAffectedRows, 0n);
  },

  async "a transaction is applied whole, or not at all"({ db }) {
    await db.transaction().execute(async (transaction) => {
      await write(transaction, { id: 1, text: "kept" });
    });
    const failed = db.transaction().execute(async (transaction) => {
      await write(transaction, { id: 2, text: "lost" });
      throw new RangeError("the caller's own");
    });
    await assert.rejects(failed, RangeError);
    assert.deepEqual(await notes(db), [{ id: 1, text: "kept" }]);
  },

  async "a savepoint can be gone back to"({ db }) {
    const transaction = await db.startTransaction().execute();
    await write(transaction, { id: 1, text: "kept" });
    const savepoint = await transaction.savepoint("before").execute();
    await write(savepoint, { id: 2, text: "lost" });
    await (await savepoint.rollbackToSavepoint("before").execute()).commit().execute();
    assert.deepEqual(await notes(db), [{ id: 1, text: "kept" }]);
  },

  async "a query beside a transaction does not see what it has not committed"({ db }) {
    let seen: Promise<Note[]> | undefined;
    await db.transaction().execute(async (transaction) => {
      await write(transaction, { id: 1, text: "unseen until later" });
      seen = notes(db);
      await write(transaction, { id: 2, text: "unseen until later" });
    });
    // A server answers at once, the embedded engine after the transaction: both are isolated.
    assert([0, 2].includes((await seen!).length));
  },

  async "transactions at once do not mix"({ db }) {
    const ids = Array.from({ length: 20 }, (_, id) => id);
    await Promise.allSettled(ids.map((id) =>
      db.transaction().execute(async (transaction) => {
        await write(transaction, { id, text: "even" });
        if (id % 2 === 1) throw new Error("odd");
      })
    ));
    assert.deepEqual((await notes(db)).map(({ id }) => id), ids.filter((id) => id % 2 === 0));
  },

  async "a statement that fails does not hurt its neighbours"({ db }) {
    const statements = [
      sql`1`,
      sql`nowhere`, // fails when it is parsed
      sql`${"no number"}::int`, // when its parameters are bound
      sql`1 / ${0}::int`, // when it runs
      sql`2`,
    ];
    for (const round of [1, 2]) {
      const results = await Promise.allSettled(statements.map((query) => one(db, query)));
      assert.deepEqual(
        results.map(({ status }) => status === "fulfilled"),
        [true, false, false, false, true],
        `round ${round}`,
      );
    }
  },

  async "what the store can never take is a poison fault"({ db }) {
    await write(db, { id: 1, text: "a" });
    await assert.rejects(write(db, { id: 1, text: "b" }), isPoison("23505"));
    await assert.rejects(one(db, sql`${'{"a": "\\u0000"}'}::jsonb`), isPoison("22P05"));
    await assert.rejects(one(db, sql`${"\0"}::text`), isPoison("22021"));
    await assert.rejects(write(db, { id: 2, text: null as never }), isPoison("23502"));
  },

  async "a mistake in a statement is a bug, and stays what it was"({ db }) {
    await assert.rejects(sql`select * from nowhere`.execute(db), { code: "42P01" });
    await assert.rejects(sql`select 1; select 2`.execute(db), { code: "42601" });
  },

  async "a failure that the caller swallows cannot be committed"({ db }) {
    const swallowing = db.transaction().execute(async (transaction) => {
      await write(transaction, { id: 1, text: "a" });
      await write(transaction, { id: 1, text: "b" }).catch(() => {});
    });
    await assert.rejects(swallowing, AbortedTransactionError);
    assert.deepEqual(await notes(db), []);
  },

  async "many queries at once are all answered, each with its own"({ db }) {
    const ids = Array.from({ length: 500 }, (_, id) => id);
    const answers = await Promise.all(ids.map((id) => one(db, sql`${id}::int8`)));
    assert.deepEqual(answers, ids);
  },

  async "migrations are applied once, in order"({ maintenance: db }) {
    const migrations = {
      "0002_second": { up: (db: AnyDatabase) => run(db, "alter table seat add number int") },
      "0001_first": { up: (db: AnyDatabase) => run(db, "create table seat (id int)") },
    };
    assert.deepEqual(await pendingMigrations(db, migrations), ["0001_first", "0002_second"]);
    assert.deepEqual(await migrateToLatest(db, migrations), ["0001_first", "0002_second"]);
    assert.deepEqual(await migrateToLatest(db, migrations), []);
    assert.deepEqual(await pendingMigrations(db, migrations), []);
    await sql`insert into seat (id, number) values (1, 2)`.execute(db);
  },

  async "a migration that fails leaves nothing behind, and says why"({ maintenance: db }) {
    const first = { up: (db: AnyDatabase) => run(db, "create table seat (id int)") };
    const broken = { up: (db: AnyDatabase) => run(db, "create table seat (id int)") };
    const migrations = { "0001_first": first, "0002_broken": broken };
    await assert.rejects(migrateToLatest(db, migrations), { code: "42P07" });
    assert.deepEqual(Object.keys(migrations), await pendingMigrations(db, migrations));
    assert.deepEqual(await migrateToLatest(db, { "0001_first": first }), ["0001_first"]);
  },

  async "a database ahead of this release is refused"({ maintenance: db }) {
    const known = { up: (db: AnyDatabase) => run(db, "create table seat (id int)") };
    const newer = { up: (db: AnyDatabase) => run(db, "alter table seat add number int") };
    await migrateToLatest(db, { "0001_known": known, "0002_newer": newer });
    await assert.rejects(
      migrateToLatest(db, { "0001_known": known }),
      new UnknownMigrations(["0002_newer"]),
    );
    await assert.rejects(pendingMigrations(db, { "0001_known": known }), UnknownMigrations);
  },
};

// deno-lint-ignore no-explicit-any -- as Kysely declares migrations
type AnyDatabase = Kysely<any>;

async function run(db: AnyDatabase, statement: string): Promise<void> {
  await sql.raw(statement).execute(db);
}

async function write(db: AnyDatabase, { id, text }: Note): Promise<void> {
  await sql`insert into note (id, text) values (${id}, ${text})`.execute(db);
}

async function notes(db: AnyDatabase): Promise<Note[]> {
  return (await sql<Note>`select * from note order by id`.execute(db)).rows;
}

export async function one(db: AnyDatabase, expression: ReturnType<typeof sql>): Promise<unknown> {
  const { rows } = await sql<{ value: unknown }>`select ${expression} as value`.execute(db);
  return rows[0]!.value;
}

export function hasOutcome(outcome: TransientFault["outcome"]): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof TransientFault, String(error));
    assert.equal(error.outcome, outcome);
    return true;
  };
}

function isPoison(code: string): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof PoisonFault, String(error));
    assert.equal((error.cause as { code: string }).code, code);
    return true;
  };
}

/** Repeats `check` while a store recovers; the limit only turns a hang into a failure. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline || !(error instanceof TransientFault)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
