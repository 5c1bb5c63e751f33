/**
 * That `asvs.csv` judges every item of OWASP ASVS 5.0.0 up to level 2, and that what it names is there.
 *
 * @see https://github.com/OWASP/ASVS/tree/master/5.0
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fixedPartsOf, testNamesIn } from "./test_names.ts";

const root = join(import.meta.dirname!, "../..");

/** The levels of the items of each section, in their order; those of level 3 are not judged. */
const levels: Readonly<Record<string, string>> = {
  "1.1": "22",
  "1.2": "1111122223",
  "1.3": "112222222223",
  "1.4": "222",
  "1.5": "123",
  "2.1": "122",
  "2.2": "112",
  "2.3": "12223",
  "2.4": "23",
  "3.1": "3",
  "3.2": "113",
  "3.3": "12223",
  "3.4": "11222233",
  "3.5": "11122333",
  "3.6": "3",
  "3.7": "22333",
  "4.1": "12233",
  "4.2": "23333",
  "4.3": "22",
  "4.4": "1222",
  "5.1": "2",
  "5.2": "112333",
  "5.3": "113",
  "5.4": "222",
  "6.1": "122",
  "6.2": "111111112222",
  "6.3": "11223333",
  "6.4": "112233",
  "6.5": "22222333",
  "6.6": "2223",
  "6.7": "33",
  "6.8": "2222",
  "7.1": "222",
  "7.2": "1111",
  "7.3": "22",
  "7.4": "11222",
  "7.5": "223",
  "7.6": "22",
  "8.1": "1233",
  "8.2": "1123",
  "8.3": "133",
  "8.4": "23",
  "9.1": "111",
  "9.2": "1222",
  "10.1": "22",
  "10.2": "223",
  "10.3": "22223",
  "10.4": "1111122222233333",
  "10.5": "22222",
  "10.6": "22",
  "10.7": "222",
  "11.1": "2233",
  "11.2": "22233",
  "11.3": "11233",
  "11.4": "1222",
  "11.5": "23",
  "11.6": "23",
  "11.7": "33",
  "12.1": "12233",
  "12.2": "11",
  "12.3": "22223",
  "13.1": "2333",
  "13.2": "222223",
  "13.3": "2233",
  "13.4": "1222233",
  "14.1": "22",
  "14.2": "12223333",
  "14.3": "122",
  "15.1": "12233",
  "15.2": "12233",
  "15.3": "1222222",
  "15.4": "3333",
  "16.1": "2",
  "16.2": "22222",
  "16.3": "2222",
  "16.4": "222",
  "16.5": "2223",
  "17.1": "23",
  "17.2": "22223333",
  "17.3": "22",
};

const ITEMS_OF_LEVEL = { 1: 70, 2: 183 };
const WORDS_MAX = 10;

/** Sections of what has to be written down: there a document may hold an item. */
const written = ["2.1", "5.1", "6.1", "7.1", "8.1", "11.1", "13.1", "14.1", "15.1", "16.1"];

interface Row {
  readonly item: string;
  readonly level: string;
  readonly about: string;
  /** Whether it is about this service: `yes`, `no`, or that it is for whoever deploys it. */
  readonly applies: string;
  readonly held_by: string;
  readonly reason: string;
}

const COLUMNS = ["item", "level", "about", "applies", "held_by", "reason"];

/** RFC 4180, of one line each. */
function cellsOf(line: string): string[] {
  const cell = /(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g;
  const cells = [...line.matchAll(cell)];
  assert.equal(cells.map(([whole]) => whole).join(""), line, `no line of a CSV file: ${line}`);
  return cells.map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare!);
}

function rowsOf(text: string): Row[] {
  const [head, ...lines] = text.trimEnd().split("\n");
  assert.equal(head, COLUMNS.join(","));
  return lines.map((line) => {
    const cells = cellsOf(line);
    assert.equal(cells.length, COLUMNS.length, line);
    return Object.fromEntries(COLUMNS.map((name, n) => [name, cells[n]!])) as unknown as Row;
  });
}

function expectedItems(): Map<string, string> {
  return new Map(
    Object.entries(levels).flatMap(([section, levels]) =>
      [...levels].map((level, n) => [`${section}.${n + 1}`, level] as const)
    ).filter(([, level]) => level !== "3"),
  );
}

/** What is wrong with a row by itself; empty if nothing is. */
function faultIn({ item, about, applies, held_by, reason }: Row): string {
  if (about === "" || about.split(/\s+/).length > WORDS_MAX) return "says in ten words what it is";
  if (!["yes", "no", "deployer"].includes(applies)) return "applies, or not, or is the deployer's";
  if (held_by === "" && reason === "") return "has a test or a reason";
  if (applies !== "yes" && (held_by !== "" || reason === "")) return "has a reason, and no test";
  const section = item.split(".").slice(0, 2).join(".");
  const isWritten = written.includes(section);
  for (const { file } of holdersOf(held_by)) {
    if (file.endsWith(".md") && !isWritten) return "is held by a test, not by words";
  }
  return "";
}

interface Holder {
  readonly file: string;
  /** Of a test as its file has it, with `${…}` where it is made of parts; or a heading. */
  readonly name: string;
}

function holdersOf(held: string): Holder[] {
  if (held === "") return [];
  return held.split(/; (?=[\w./]+\.(?:ts|md): )/).map((holder) => {
    const [, file, name] = /^([\w./]+\.(?:ts|md)): (.+)$/.exec(holder) ?? [];
    assert(file !== undefined, `names no test: ${holder}`);
    return { file, name: name! };
  });
}

function headingsIn(text: string): Set<string> {
  return new Set([...text.matchAll(/^#{1,4} (.+)$/gm)].map(([, heading]) => heading!.trim()));
}

const names = new Map<string, ReadonlySet<string>>();

/** Fails where there is no such file. */
async function namesOf(file: string): Promise<ReadonlySet<string>> {
  const known = names.get(file);
  if (known !== undefined) return known;
  const text = await Deno.readTextFile(join(root, file));
  const found = file.endsWith(".md") ? headingsIn(text) : testNamesIn(text);
  names.set(file, found);
  return found;
}

const rows = rowsOf(await Deno.readTextFile(join(import.meta.dirname!, "asvs.csv")));

Deno.test("every item of levels 1 and 2 is judged once, in its place and at its level", () => {
  const expected = expectedItems();
  for (const [level, count] of Object.entries(ITEMS_OF_LEVEL)) {
    assert.equal([...expected.values()].filter((of) => of === level).length, count);
  }
  assert.deepEqual(rows.map(({ item, level }) => [item, level]), [...expected]);
});

Deno.test("every item has a test that holds it, or a reason why none does", () => {
  for (const row of rows) assert.equal(faultIn(row), "", row.item);
});

Deno.test("every test that is named is there under that name", async () => {
  for (const { item, held_by } of rows) {
    for (const { file, name } of holdersOf(held_by)) {
      assert((await namesOf(file)).has(name), `${item}: ${file} has no "${name}"`);
    }
  }
});

Deno.test("what applies and is not held is said in SECURITY.md as well", async () => {
  const text = await Deno.readTextFile(join(root, "SECURITY.md"));
  const open = rows.filter(({ applies, held_by }) => applies === "yes" && held_by === "");
  for (const { item } of open) assert(text.includes(`V${item}`), `V${item} is not mentioned`);
});

Deno.test("a row that is incomplete, or names what is not there, is noticed", () => {
  const row: Row = {
    item: "1.1.1",
    level: "2",
    about: "what it is",
    applies: "yes",
    held_by: "tests/a_test.ts: a; b",
    reason: "",
  };
  assert.equal(faultIn(row), "");
  const faulty: Partial<Row>[] = [
    { about: "" },
    { about: "one two three four five six seven eight nine ten eleven" },
    { applies: "" },
    { applies: "maybe" },
    { held_by: "" },
    { applies: "no" },
    { applies: "no", held_by: "" },
    { applies: "deployer", held_by: "" },
    { held_by: "README.md: Start" },
  ];
  for (const changes of faulty) {
    assert.notEqual(faultIn({ ...row, ...changes }), "", JSON.stringify(changes));
  }
  assert.deepEqual(holdersOf("tests/a_test.ts: a; b; tests/c_test.ts: d: e"), [
    { file: "tests/a_test.ts", name: "a; b" },
    { file: "tests/c_test.ts", name: "d: e" },
  ]);
  assert.throws(() => holdersOf("somewhere"), /names no test/);
  const source = `
    Deno.test("says \\"so\\"", () => {});
    Deno.test(\`\${what} is refused\`, () => {});
    Deno.test(\`\${a} is \${b === "}" ? "" : \`, and \${c}\`}!\`, () => {});
    Deno.test({
      name: "an object",
    });
    await t.step("a step", () => {});
    // "not a test", Deno.testing("neither"), it("nor this")`;
  assert.deepEqual([...testNamesIn(source)], [
    'says "so"',
    "${what} is refused",
    '${a} is ${b === "}" ? "" : `, and ${c}`}!',
    "an object",
    "a step",
  ]);
  assert.deepEqual(fixedPartsOf('${a} is ${b === "}" ? "" : `, and ${c}`}!'), ["", " is ", "!"]);
  assert.deepEqual([...headingsIn("# A\ntext\n## B c\n#nothing")], ["A", "B c"]);
  assert.deepEqual(cellsOf('1,"a, ""b""",,c'), ["1", 'a, "b"', "", "c"]);
  assert.throws(() => cellsOf('1,"a'), /no line of a CSV/);
});
