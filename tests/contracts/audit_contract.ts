/** What the audit promises, on any database: it only grows, and whoever changes it is found out. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { PostgresAudit, PostgresAuditTrail } from "../../lib/postgres/audit.ts";
import { auditKeyOf, type AuditKeys } from "../../lib/postgres/audit_chain.ts";
import { PostgresAuditSealing } from "../../lib/postgres/audit_seals.ts";
import { type Broken, type Verified, verifyAudit } from "../../lib/postgres/audit_verification.ts";
import type { Database } from "../../lib/postgres/database.ts";
import { type AuditEntry, AuditRewritten } from "../../lib/runtime/audit.ts";
import type { Operator } from "../../lib/runtime/outbox.ts";

export const keys: AuditKeys = [auditKeyOf(new Uint8Array(32).fill(1))];
const newer = auditKeyOf(new Uint8Array(32).fill(2));
const ALL = { limit: 500, all: true } as const;

export function entry(changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    act: "market pause",
    subject: "market/ACME",
    outcome: "done",
    detail: { reason: "halt" },
    ...changes,
  };
}

export const root: Operator = {
  id: "root",
  from: "192.0.2.1",
  correlationId: "0190a5c0-7b1e-7000-8000-00000000000a",
};

/** So many rows, each sealed. */
export async function sealedRows(database: Database, rows: number): Promise<void> {
  const audit = new PostgresAudit(database.db);
  for (let n = 1; n <= rows; n++) await audit.record(entry({ detail: { n } }), root);
  await new PostgresAuditSealing(database.db, keys).seal(ALL);
}

function brokenAt(finding: Verified | Broken): number | undefined {
  return finding.isWhole ? undefined : finding.number;
}

/** What somebody does who has the database, but not the key. */
const tamperings: Readonly<Record<string, readonly [breaksAt: number, statements: string]>> = {
  "a detail is altered": [3, `update audit set detail = '{"n": 33}' where id = $3`],
  "a detail is altered by what JSON hardly shows": [
    3,
    `update audit set detail = '{"n": 3.0}' where id = $3`,
  ],
  "an actor is altered": [3, `update audit set principal = 'other' where id = $3`],
  "an outcome is altered": [3, `update audit set outcome = 'refused' where id = $3`],
  "a time is altered": [3, `update audit set at = at + interval '1 microsecond' where id = $3`],
  "an address is forgotten": [3, `update audit set came_from = null where id = $3`],
  "two fields trade their texts": [
    3,
    `update audit set act = subject, subject = act where id = $3`,
  ],
  "a row in the middle is deleted": [3, `delete from audit where id = $3`],
  "a row in the middle is deleted, with its seal": [
    3,
    `delete from audit_seal where audit_id = $3; delete from audit where id = $3`,
  ],
  "one in the middle is deleted, and the seals are numbered anew": [
    3,
    `delete from audit_seal where audit_id = $3; delete from audit where id = $3;
     update audit_seal set number = -number where number > 3;
     update audit_seal set number = -number - 1 where number < 0`,
  ],
  "the first is deleted, with its seal": [
    1,
    `delete from audit_seal where audit_id = $1; delete from audit where id = $1`,
  ],
  "two rows change places": [
    2,
    `update audit_seal set audit_id = -1 where number = 2;
     update audit_seal set audit_id = $2 where number = 4;
     update audit_seal set audit_id = $4 where number = 2`,
  ],
  "what two rows say changes places": [
    2,
    `update audit a set detail = b.detail from audit b
     where a.id = $2 and b.id = $4 or a.id = $4 and b.id = $2`,
  ],
  "a row is deleted, and put in again under another id": [
    3,
    `create temporary table taken on commit drop as select * from audit where id = $3;
     delete from audit where id = $3;
     insert into audit (principal, act, subject, detail, outcome)
       select principal, act, subject, detail, outcome from taken`,
  ],
  "a seal is made up": [3, `update audit_seal set mac = sha256('x') where number = 3`],
  "a seal is said to be of another key": [
    3,
    `update audit_seal set key_id = 'another' where number = 3`,
  ],
  "a row is put in between, under a copied seal": [
    3,
    `update audit_seal set number = -number where number >= 3;
     update audit_seal set number = -number + 1 where number < 0;
     insert into audit (principal, act, subject, detail) values ('x', 'y', 'z', '{}');
     insert into audit_seal (number, audit_id, key_id, mac)
       select 3, max(a.id), (select key_id from audit_seal limit 1), sha256('x') from audit a`,
  ],
};

export const auditContract: Readonly<Record<string, (database: Database) => Promise<void>>> = {
  "what is recorded is listed as it was, and once sealed, with its seal": async (database) => {
    const trail = new PostgresAuditTrail(database.queries);
    const audit = new PostgresAudit(database.db);
    const sealing = new PostgresAuditSealing(database.db, keys);
    assert.equal(await trail.head(), undefined);
    assert.deepEqual(await verifyAudit(database.db, keys), { isWhole: true, unsealed: 0 });
    await audit.record(entry(), root);
    await audit.record(entry({ act: "user disable", outcome: "refused" }), { id: "cli:me" });
    const [second, first] = await trail.list({ limit: 10 });
    const { id, at, ...said } = first!;
    assert.deepEqual(said, { ...entry(), operator: root });
    assert(second!.id > id && Math.abs(at - Date.now()) < 600_000);
    assert.deepEqual(second!.operator, { id: "cli:me" });
    assert.equal(await sealing.seal(ALL), 2);
    assert.equal(await sealing.seal(ALL), 0);
    const head = await trail.head();
    assert.deepEqual((await trail.list({ limit: 1 }))[0]!.seal, head);
    assert.equal(head!.number, 2);
    assert.deepEqual(await verifyAudit(database.db, keys), { isWhole: true, head, unsealed: 0 });
  },

  "it is listed by who, what, on what and when, page by page": async (database) => {
    const trail = new PostgresAuditTrail(database.queries);
    const audit = new PostgresAudit(database.db);
    for (const id of ["ann", "ben"]) {
      for (const act of ["job cancel", "flow cancel"]) {
        for (const subject of ["x/1", "x/2"]) await audit.record(entry({ act, subject }), { id });
      }
    }
    const all = await trail.list({ limit: 100 });
    assert.equal(all.length, 8);
    const count = async (query: object) => (await trail.list({ limit: 100, ...query })).length;
    assert.equal(await count({ actor: "ann" }), 4);
    assert.equal(await count({ act: "job cancel" }), 4);
    assert.equal(await count({ subject: "x/1", actor: "ben" }), 2);
    assert.equal(await count({ from: all[0]!.at + 1_000 }), 0);
    assert.equal(await count({ to: all.at(-1)!.at - 1_000 }), 0);
    assert.equal(await count({ from: all.at(-1)!.at, to: all[0]!.at + 1 }), 8);
    const page = await trail.list({ limit: 3 });
    const rest = await trail.list({ limit: 100, before: page.at(-1)!.id });
    assert.deepEqual([...page, ...rest], all);
  },

  "nothing in it can be changed or taken out": async (database) => {
    await sealedRows(database, 2);
    for (
      const statement of [
        "update audit set principal = 'other'",
        "update audit set principal = principal where false",
        "delete from audit",
        "truncate audit cascade",
        "update audit_seal set number = number + 10",
        "delete from audit_seal",
        "truncate audit_seal",
        // As whoever applies what was replicated.
        "with s as (select set_config('session_replication_role', 'replica', true)) " +
        "delete from audit using s",
      ]
    ) {
      await assert.rejects(
        sql.raw(statement).execute(database.db),
        /is only ever added to/,
        statement,
      );
    }
    assert.equal((await verifyAudit(database.db, keys)).isWhole, true);
  },

  "whatever is tampered with is named, the first of it": async (database) => {
    await sealedRows(database, 6);
    const { rows } = await sql<{ audit_id: string }>`
      select audit_id::text as audit_id from audit_seal order by number`.execute(database.db);
    const ids = rows.map(({ audit_id }) => audit_id);
    await unguarded(database);
    for (const [what, [at, statements]] of Object.entries(tamperings)) {
      const undo = new Error("Undone");
      await database.db.transaction().execute(async (transaction) => {
        for (const statement of statements.split(";")) {
          const text = statement.replace(/\$([0-9])/g, (_, n) => ids[Number(n) - 1]!);
          await sql.raw(text).execute(transaction);
        }
        assert.equal(brokenAt(await verifyAudit(transaction, keys)), at, what);
        throw undo;
      }).catch((error) => {
        if (error !== undo) throw error;
      });
    }
    assert.equal((await verifyAudit(database.db, keys)).isWhole, true, "and all was put back");
  },

  "what was cut off at the end shows against a head that was told": async (database) => {
    await sealedRows(database, 5);
    const trail = new PostgresAuditTrail(database.queries);
    const told = (await trail.head())!;
    assert.equal((await verifyAudit(database.db, keys, told)).isWhole, true);
    await unguarded(database);
    await sql`create table cut as select * from audit_seal where number > 3`.execute(database.db);
    await sql`create table cut_rows as select * from audit where id in (select audit_id from cut)`
      .execute(database.db);
    await sql`delete from audit_seal where number > 3`.execute(database.db);
    await sql`delete from audit where id not in (select audit_id from audit_seal)`
      .execute(database.db);
    assert.equal((await verifyAudit(database.db, keys)).isWhole, true, "by itself it looks whole");
    assert.equal(brokenAt(await verifyAudit(database.db, keys, told)), 4);
    // Others grow in its place.
    await sealedRows(database, 4);
    assert.equal((await verifyAudit(database.db, keys)).isWhole, true);
    assert.equal(brokenAt(await verifyAudit(database.db, keys, told)), 5);
    // And one that stood there before comes back, with the seal that it truly had.
    await sql`delete from audit_seal where number = 4`.execute(database.db);
    await sql`insert into audit_seal select * from cut where number = 4`.execute(database.db);
    await sql`insert into audit overriding system value
      select * from cut_rows where id = (select audit_id from cut where number = 4)`
      .execute(database.db);
    assert.equal(brokenAt(await verifyAudit(database.db, keys)), 5);
  },

  "who has seen a head seals nothing once that is gone, and goes on once it is back": async (
    database,
  ) => {
    const { db } = database;
    const audit = new PostgresAudit(db);
    const other = new PostgresAuditSealing(db, keys);
    const sealing = new PostgresAuditSealing(db, keys);
    for (let n = 1; n <= 5; n++) await audit.record(entry({ detail: { n } }), root);
    assert.equal(await other.seal(ALL), 5);
    assert.equal(await sealing.seal(ALL), 0, "what another has sealed is seen as well");
    const known = (await sealing.head())!;
    await audit.record(entry(), root);
    await unguarded(database);
    const rewritings: Readonly<Record<string, readonly string[]>> = {
      "the end is cut off": ["delete from audit_seal where number > 3"],
      "all is emptied": ["delete from audit_seal", "delete from audit"],
      "the last is another": ["update audit_seal set mac = sha256('x') where number = 5"],
      "what follows hides it": [
        "update audit_seal set mac = sha256('x') where number = 5",
        "insert into audit_seal select 6, a.id, 'x', sha256('y') from audit a order by id desc limit 1",
      ],
      "all is numbered anew": ["update audit_seal set number = number + 100"],
    };
    for (const table of ["audit", "audit_seal"]) {
      await sql`create table ${sql.table(`${table}_before`)} as select * from ${sql.table(table)}`
        .execute(db);
    }
    for (const [what, statements] of Object.entries(rewritings)) {
      for (const statement of statements) await sql.raw(statement).execute(db);
      const found = await other.head();
      for (const node of [sealing, other]) {
        for (const all of [true, false]) {
          await assert.rejects(node.seal({ limit: 500, all }), (error) => {
            assert(error instanceof AuditRewritten, what);
            assert.deepEqual([error.known, error.found], [known, found], what);
            return true;
          });
        }
      }
      assert.deepEqual(await other.head(), found, "nothing was sealed");
      await sql`delete from audit_seal`.execute(db);
      await sql`delete from audit`.execute(db);
      await sql`insert into audit overriding system value select * from audit_before`.execute(db);
      await sql`insert into audit_seal select * from audit_seal_before`.execute(db);
    }
    assert.equal(await sealing.seal(ALL), 1);
    assert.equal(await other.seal(ALL), 0);
    assert.equal((await verifyAudit(db, keys, known)).isWhole, true);
  },

  "rows that are dated back, or come from before the first, do not hold": async (database) => {
    const { db } = database;
    await sealedRows(database, 2);
    await unguarded(database);
    const BACKDATED = /its time is more than 24 hours before that of number [24],/;
    const planted: readonly (readonly [rows: Readonly<Record<string, string>>, RegExp | null])[] = [
      [{ 1001: "now() - interval '23 hours'" }, null],
      [{ 1001: "now() - interval '25 hours'" }, BACKDATED],
      // By steps, each of them short; and before one that is far ahead.
      [
        { 1001: "now() - interval '23 hours'", 1002: "now() - interval '46 hours'" },
        BACKDATED,
      ],
      [
        { 1001: "now()", 1002: "now() + interval '26 hours'", 1003: "now() + interval '1 hour'" },
        BACKDATED,
      ],
      [{ 1001: "timestamptz '-infinity'" }, /its time is none/],
      [{ 1001: "timestamptz 'infinity'" }, /its time is none/],
      [{ [-5]: "now()" }, /its id is below 1/],
      [{ 0: "now()" }, /its id is below 1/],
    ];
    for (const [rows, breaks] of planted) {
      const ids = Object.keys(rows);
      for (const [id, at] of Object.entries(rows)) {
        await sql`
          insert into audit (id, at, principal, act, subject, detail) overriding system value
          values (${id}::bigint, ${sql.raw(at)}, 'root', 'a', 'b', '{}')`.execute(db);
      }
      const text = JSON.stringify(rows);
      assert.equal(await new PostgresAuditSealing(db, keys).seal(ALL), ids.length, text);
      const finding = await verifyAudit(db, keys);
      if (breaks === null) assert.equal(finding.isWhole, true, text);
      else assert.match(finding.isWhole ? "whole" : finding.what, breaks, text);
      await sql`delete from audit_seal where number > 2`.execute(db);
      await sql`delete from audit where id::text = any(${ids}::text[])`.execute(db);
    }
  },

  "rows that wait for a seal are counted, and prove nothing": async (database) => {
    await sealedRows(database, 1);
    await new PostgresAudit(database.db).record(entry(), root);
    const finding = await verifyAudit(database.db, keys);
    assert(finding.isWhole);
    assert.deepEqual([finding.unsealed, finding.head!.number], [1, 1]);
  },

  "a new key goes on where the old one ended": async (database) => {
    await sealedRows(database, 2);
    await new PostgresAudit(database.db).record(entry(), root);
    await new PostgresAuditSealing(database.db, [newer, ...keys]).seal(ALL);
    const both = await verifyAudit(database.db, [newer, ...keys]);
    assert(both.isWhole && both.head!.number === 3);
    assert.equal(brokenAt(await verifyAudit(database.db, keys)), 3);
    assert.equal(brokenAt(await verifyAudit(database.db, [newer])), 1);
  },

  "what came late is sealed when all are looked at": async (database) => {
    await sealedRows(database, 1);
    const sealing = new PostgresAuditSealing(database.db, keys);
    await sql`
      insert into audit (id, principal, act, subject, detail) overriding system value
      values (1000001, 'root', 'a', 'b', '{}'), (500001, 'root', 'late', 'b', '{}')`
      .execute(database.db);
    assert.equal(await sealing.seal({ limit: 1, all: true }), 1);
    assert.equal(await sealing.seal(ALL), 1);
    await sql`
      insert into audit (id, principal, act, subject, detail) overriding system value
      values (500002, 'root', 'later', 'b', '{}')`.execute(database.db);
    assert.equal(await sealing.seal({ limit: 500, all: false }), 0);
    assert.equal(await sealing.seal(ALL), 1);
    const finding = await verifyAudit(database.db, keys);
    assert(finding.isWhole && finding.head!.number === 4 && finding.unsealed === 0);
  },
};

/** The owner of the tables can do that: it is why there are seals. */
async function unguarded({ db }: Database): Promise<void> {
  for (const table of ["audit", "audit_seal"]) {
    await sql`alter table ${sql.table(table)} disable trigger ${sql.raw(`${table}_is_kept`)}`
      .execute(db);
  }
  await sql`alter table audit_seal drop constraint audit_seal_audit_id_fkey`.execute(db);
}
