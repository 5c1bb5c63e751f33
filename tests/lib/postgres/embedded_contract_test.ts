import { openMemoryDatabase } from "../../support/database.ts";
import { testDatabaseContract } from "./database_contract.ts";

testDatabaseContract("embedded", openMemoryDatabase);
