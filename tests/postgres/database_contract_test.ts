import { testDatabaseContract } from "../lib/postgres/database_contract.ts";
import { openServerDatabase } from "../support/database.ts";

testDatabaseContract("server", openServerDatabase);
