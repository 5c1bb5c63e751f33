/** Opens a data directory, records numbers one by one as long as it lives, and says which. */
import { sql } from "kysely";
import { openDatabase } from "../../../lib/postgres/database.ts";

const [dataDir] = Deno.args;
await using database = await openDatabase({ dataDir: dataDir! });
const { db } = database;
await sql`create table if not exists number (value int primary key)`.execute(db);
for (let value = 1;; value++) {
  await sql`insert into number (value) values (${value})`.execute(db);
  console.log(value);
}
