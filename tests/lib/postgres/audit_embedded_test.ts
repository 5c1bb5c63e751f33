import { migrateToLatest } from "../../../lib/postgres/migrate.ts";
import { migrations } from "../../../migrations/all.ts";
import { auditContract } from "../../contracts/audit_contract.ts";
import { openMemoryDatabase } from "../../support/database.ts";

for (const [promise, holds] of Object.entries(auditContract)) {
  Deno.test(`embedded: ${promise}`, async () => {
    await using database = await openMemoryDatabase();
    await migrateToLatest(database.maintenance, migrations);
    await holds(database);
  });
}
