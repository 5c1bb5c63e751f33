/** That no value gets into the text of a statement, by looking at all sources that talk to Postgres. */
import assert from "node:assert/strict";
import { join } from "node:path";

const root = join(import.meta.dirname!, "../..");
const folders = ["lib", "actors", "routes", "deploy", "migrations"];

/** What puts text into a statement as it is; everything else is a parameter. */
const verbatim =
  /\b(?:sql\s*\.\s*(?:raw|lit)|CompiledQuery\s*\.\s*raw|\.\s*unsafe)\s*\(\s*(.{0,60})/g;
/** Names in quotes: escaped by Kysely, and yet a caller has no say in what tables there are. */
const named = /\bsql\s*\.\s*(?:id|ref|table)\s*\(\s*(.{0,60})/g;
/** A statement that is put together outside of `sql`, which would have made parameters of it. */
const composed =
  /(?<!\bsql(?:<[^`]*>)?)`\s*(?:select|insert|update|delete|with(?: recursive)? \w+ as|create|drop|alter|truncate|grant|merge|copy|set|lock)\s[^`]*?\$\{|"\s*(?:select|insert|update|delete)\s[^"]*"\s*\+/gi;

/**
 * Where that is done, how often, and what is put there. Who adds one says here why no caller can
 * reach it; a place that is gone is taken out.
 */
const known: Readonly<Record<string, { readonly places: number; readonly because: string }>> = {
  "lib/postgres/session.ts": {
    places: 1,
    because: "the one way to the driver: text of Kysely, values as parameters",
  },
  "lib/postgres/event_store.ts": {
    places: 3,
    because:
      "two statements that are constants, and kinds and types of the code as an index has them",
  },
  "lib/postgres/job_queue.ts": { places: 1, because: "a constant" },
  "lib/postgres/job_endings.ts": { places: 2, because: "two statements that are constants" },
  "lib/postgres/outbox.ts": { places: 2, because: "a constant, and names of tables of the code" },
  "lib/postgres/dead_letters.ts": { places: 1, because: "one of two names of tables" },
  "lib/postgres/job_statements.ts": { places: 1, because: "parts that are constants" },
  "lib/postgres/statements.ts": { places: 1, because: "parts that are constants" },
  "lib/postgres/table_structure.ts": {
    places: 5,
    because: "definitions that Postgres itself gives of its tables, by names of the code",
  },
  "lib/postgres/rebuild_store.ts": { places: 8, because: "schemas and tables of projections" },
};

interface Found {
  readonly file: string;
  readonly what: string;
}

function textOf(source: string): readonly string[] {
  return [verbatim, named, composed].flatMap((pattern) =>
    [...source.matchAll(pattern)].map(([whole]) => whole)
  );
}

async function* sources(folder: string): AsyncGenerator<{ file: string; source: string }> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(root, folder))) {
    const file = `${folder}/${name}`;
    if (isDirectory) yield* sources(file);
    else if (isFile && name.endsWith(".ts")) {
      yield { file, source: await Deno.readTextFile(join(root, file)) };
    }
  }
}

async function everything(): Promise<Found[]> {
  const found: Found[] = [];
  const main = { file: "main.ts", source: await Deno.readTextFile(join(root, "main.ts")) };
  const note = ({ file, source }: { file: string; source: string }) => {
    for (const what of textOf(source)) found.push({ file, what });
  };
  note(main);
  for (const folder of folders) for await (const source of sources(folder)) note(source);
  return found;
}

Deno.test("text gets into a statement as it is at known places only, and none of them is a caller's", async () => {
  // Migrations run before anybody is served, on constants; they are frozen besides.
  const found = (await everything()).filter(({ file }) => !file.startsWith("migrations/"));
  const places = Object.groupBy(found, ({ file }) => file);
  const counted = Object.fromEntries(
    Object.entries(places).map(([file, of]) => [file, of!.length]),
  );
  const wanted = Object.fromEntries(
    Object.entries(known).map(([file, { places }]) => [file, places]),
  );
  assert.deepEqual(counted, wanted, JSON.stringify(found, null, 1));
});

Deno.test("neither the rules nor the routes, nor a migration at run time, compose a statement", async () => {
  for (const { file, what } of await everything()) {
    assert(!/^(actors|routes|deploy|main)\b/.test(file), `${file}: ${what}`);
  }
});

Deno.test("the search for composed statements sees what is planted before it", () => {
  const planted = [
    "await sql.raw(`select * from live_event order by ${sort}`).execute(db);",
    "const order = sql.lit(name);",
    "CompiledQuery.raw(`delete from ${table}`, []);",
    "await client.unsafe(text);",
    "db.orderBy(sql.ref(query.sort));",
    "sql.table(name);",
    "const text = `select * from event where key = '${key}'`;",
    'const text = "select * from event where key = " + key;',
    "const text = `\n  UPDATE event set key = ${key}`;",
  ];
  for (const line of planted) assert.equal(textOf(line).length > 0, true, line);
  const innocent = [
    "await sql`select * from event where key = ${key}`.execute(db);",
    "await sql<Row>`\n  select * from event where key = ${key}`.execute(db);",
    "const text = `selected ${count} of them`;",
    'db.selectFrom("live_event").where("id", "=", id);',
  ];
  for (const line of innocent) assert.deepEqual(textOf(line), [], line);
});
