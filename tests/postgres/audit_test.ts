/** The audit on a server, where several nodes write into it and seal it. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { PostgresAudit } from "../../lib/postgres/audit.ts";
import { PostgresAuditSealing } from "../../lib/postgres/audit_seals.ts";
import { verifyAudit } from "../../lib/postgres/audit_verification.ts";
import { openDatabase } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { auditContract, entry, keys, root } from "../contracts/audit_contract.ts";
import { createServerDatabase, openServerDatabase } from "../support/database.ts";

for (const [promise, holds] of Object.entries(auditContract)) {
  Deno.test(`server: ${promise}`, async () => {
    await using database = await openServerDatabase();
    await migrateToLatest(database.maintenance, migrations);
    await holds(database);
  });
}

Deno.test("nodes that write and seal at the same time make one chain of all rows", async () => {
  await using cleaning = new AsyncDisposableStack();
  const { url } = cleaning.use(await createServerDatabase());
  const nodes = [];
  for (let n = 0; n < 3; n++) nodes.push(cleaning.use(await openDatabase({ url })));
  const [first] = nodes;
  await migrateToLatest(first!.maintenance, migrations);
  let isOver = false;
  const sealers = nodes.map(async ({ db }) => {
    const sealing = new PostgresAuditSealing(db, keys);
    let sealed = 0;
    while (!isOver) sealed += await sealing.seal({ limit: 7, all: false });
    return sealed;
  });
  const writers = nodes.map(async ({ db }, node) => {
    const audit = new PostgresAudit(db);
    for (let n = 0; n < 100; n++) await audit.record(entry({ detail: { node, n } }), root);
  });
  // One that began first and is committed last, as within the statement of something long.
  const late = first!.db.transaction().execute(async (transaction) => {
    await new PostgresAudit(transaction).record(entry({ act: "late act" }), root);
    await Promise.all(writers);
  });
  await late;
  isOver = true;
  let sealed = (await Promise.all(sealers)).reduce((sum, rows) => sum + rows, 0);
  const rest = new PostgresAuditSealing(first!.db, keys);
  for (let rows = -1; rows !== 0;) sealed += rows = await rest.seal({ limit: 100, all: false });
  assert.equal(sealed, 301);
  const finding = await verifyAudit(first!.db, keys);
  assert(finding.isWhole && finding.head!.number === 301 && finding.unsealed === 0);
});

Deno.test("a row that is being written keeps nobody from sealing others", async () => {
  await using database = await openServerDatabase();
  await migrateToLatest(database.maintenance, migrations);
  const { db } = database;
  const sealing = new PostgresAuditSealing(db, keys);
  await db.transaction().execute(async (transaction) => {
    await new PostgresAudit(transaction).record(entry({ act: "long act" }), root);
    await new PostgresAudit(db).record(entry(), root);
    assert.equal(await sealing.seal({ limit: 10, all: false }), 1);
  });
  assert.equal(await sealing.seal({ limit: 10, all: false }), 1);
  const { rows } = await sql<{ act: string }>`
    select a.act from audit_seal s join audit a on a.id = s.audit_id order by s.number`.execute(db);
  assert.deepEqual(rows.map(({ act }) => act), ["market pause", "long act"]);
});
