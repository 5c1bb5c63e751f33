/**
 * Who has the database and all of the sources, but not the key, makes no seal. A node that has the key
 * would make it for them: one that saw what was there before refuses to, and says so.
 */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { auditKeyOf, type AuditKeys } from "../../lib/postgres/audit_chain.ts";
import { PostgresAudit } from "../../lib/postgres/audit.ts";
import { PostgresAuditSealing } from "../../lib/postgres/audit_seals.ts";
import { verifyAudit } from "../../lib/postgres/audit_verification.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { AuditRewritten } from "../../lib/runtime/audit.ts";
import { migrations } from "../../migrations/all.ts";
import type { Database } from "../../lib/postgres/database.ts";
import { openMemoryDatabase } from "../support/database.ts";

const ALL = { limit: 500, all: true } as const;
const ROWS = 6;
const ALTERED = 3;

const keys: AuditKeys = [auditKeyOf(crypto.getRandomValues(new Uint8Array(32)))];
const [{ id }] = keys;

/** That somebody would try who has none. */
const guesses: Readonly<Record<string, Uint8Array>> = {
  "none": new Uint8Array(0),
  "zeros": new Uint8Array(32),
  "the id of the key": new TextEncoder().encode(id),
  "one that follows from nothing": auditKeyOf(new Uint8Array(0)).bytes,
  "another": auditKeyOf(new Uint8Array(32).fill(2)).bytes,
};

/** So many rows, and a node that has sealed them; nothing stops who owns the tables from writing to them. */
async function sealedAndUnguarded({ maintenance, db }: Database): Promise<PostgresAuditSealing> {
  await migrateToLatest(maintenance, migrations);
  const audit = new PostgresAudit(db);
  for (let n = 1; n <= ROWS; n++) {
    const entry = { act: "market pause", subject: "market/ACME", outcome: "done" } as const;
    await audit.record({ ...entry, detail: { n } }, { id: "root" });
  }
  const sealing = new PostgresAuditSealing(db, keys);
  await sealing.seal(ALL);
  assert.equal((await verifyAudit(db, keys)).isWhole, true);
  await sql`alter table audit disable trigger user`.execute(db);
  await sql`alter table audit_seal disable trigger user`.execute(db);
  return sealing;
}

/** Another did it, and two more never happened. */
async function rewrite({ db }: Database): Promise<void> {
  await sql`delete from audit_seal where number >= ${ALTERED}`.execute(db);
  await sql`update audit set principal = 'somebody else' where detail ->> 'n' = ${`${ALTERED}`}`
    .execute(db);
  await sql`delete from audit where (detail ->> 'n')::int > ${ROWS - 2}`.execute(db);
}

Deno.test("a chain that was altered, and sealed anew by whoever guesses the key, does not hold", async () => {
  await using database = await openMemoryDatabase();
  await sealedAndUnguarded(database);
  await rewrite(database);
  const sealedAnew = async (by: AuditKeys) => {
    await sql`delete from audit_seal where number >= ${ALTERED}`.execute(database.db);
    await new PostgresAuditSealing(database.db, by).seal(ALL);
    return await verifyAudit(database.db, keys);
  };
  for (const [guess, bytes] of Object.entries(guesses)) {
    const finding = await sealedAnew([{ id, bytes }]);
    assert(!finding.isWhole, `${guess} will do`);
    assert.equal(finding.number, ALTERED);
  }
  assert.equal((await sealedAnew(keys)).isWhole, true, "it takes the key");
});

Deno.test("a node that saw what was sealed does not seal what it was rewritten to", async () => {
  await using database = await openMemoryDatabase();
  const { db } = database;
  const sealing = await sealedAndUnguarded(database);
  const told = (await sealing.head())!;
  await rewrite(database);
  const forged = (await sealing.head())!;
  assert.deepEqual([told.number, forged.number], [ROWS, ALTERED - 1]);
  await assert.rejects(sealing.seal(ALL), (error) => {
    assert(error instanceof AuditRewritten);
    assert.deepEqual([error.known, error.found], [told, forged]);
    return true;
  });
  assert.deepEqual(await sealing.head(), forged, "nothing was sealed");

  // One that starts thereafter has seen nothing, and seals what it finds; only a head tells.
  assert.equal(await new PostgresAuditSealing(db, keys).seal(ALL), ROWS - 2 - (ALTERED - 1));
  assert.equal((await verifyAudit(db, keys)).isWhole, true);
  const finding = await verifyAudit(db, keys, told);
  assert(!finding.isWhole && /the end was cut off/.test(finding.what));
  // And the node that was there before is not reconciled by that.
  await assert.rejects(sealing.seal(ALL), AuditRewritten);
});

Deno.test("an audit that was emptied is an alarm, and not a new beginning", async () => {
  await using database = await openMemoryDatabase();
  const { db } = database;
  const sealing = await sealedAndUnguarded(database);
  const told = (await sealing.head())!;
  await sql`truncate audit, audit_seal`.execute(db);
  await assert.rejects(sealing.seal(ALL), AuditRewritten);
  await new PostgresAudit(db).record(
    { act: "market pause", subject: "market/ACME", outcome: "done", detail: {} },
    { id: "root" },
  );
  await assert.rejects(sealing.seal(ALL), AuditRewritten);
  assert.equal((await verifyAudit(db, keys)).isWhole, true, "there is nothing that does not hold");
  assert.equal((await verifyAudit(db, keys, told)).isWhole, false);
});
