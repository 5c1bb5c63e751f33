/** Projections and their rebuilds on the embedded database, in memory. */
import { rebuildContract } from "../../contracts/rebuild_contract.ts";
import { databaseOfThisFile } from "../../support/database.ts";

const database = await databaseOfThisFile();

rebuildContract("embedded Postgres", (test) => async () => await test(database));
