import { assertRevokedEverywhere } from "../support/revocations_anywhere.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

Deno.test("what is revoked on one node counts on no other, by way of the database alone", async () => {
  await assertRevokedEverywhere(database);
});
