/** No pattern in the source takes longer than it should, whatever it is held against. */
import assert from "node:assert/strict";
import { join } from "node:path";
import recheck from "recheck/lib/browser.js";

const root = join(import.meta.dirname!, "../..");
const folders = ["deploy", "actors", "deploy", "lib", "routes", "migrations"];
/** Of one pattern; most take a few of them. */
const TIMEOUT_MS = 60_000;

interface Literal {
  readonly file: string;
  readonly source: string;
  readonly flags: string;
}

/** Where a slash begins a pattern and does not divide: after what cannot end a value. */
const LITERAL =
  /(?<=[(,=:[!&|?{};\n>]\s*|\breturn\s+)\/((?![*/\s])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/([dgimsuvy]*)(?=[\s.,;)\]}])/g;

function literalsIn(file: string, text: string): readonly Literal[] {
  return [...text.matchAll(LITERAL)].map(([, source, flags]) => {
    return { file, source: source!, flags: flags! };
  });
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(root, folder))) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (isFile && name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}

async function allLiterals(): Promise<readonly Literal[]> {
  const literals: Literal[] = [];
  for (const folder of folders) {
    for await (const file of sources(folder)) {
      literals.push(...literalsIn(file, await Deno.readTextFile(join(root, file))));
    }
  }
  literals.push(...literalsIn("main.ts", await Deno.readTextFile(join(root, "main.ts"))));
  return literals;
}

function complexityOf({ source, flags }: Pick<Literal, "source" | "flags">): string {
  const known = flags.replace(/[dv]/g, "");
  const { status, complexity, error } = recheck.checkSync(source, known, { timeout: TIMEOUT_MS });
  return status === "unknown" ? `unknown: ${error?.kind}` : complexity?.type ?? status;
}

Deno.test("every pattern of the source is matched in linear time", async () => {
  const literals = await allLiterals();
  assert(literals.length >= 60, `${literals.length} were found`);
  const distinct = new Map(
    literals.map((literal) => [`/${literal.source}/${literal.flags}`, literal]),
  );
  const slow: string[] = [];
  for (const [pattern, literal] of distinct) {
    const complexity = complexityOf(literal);
    if (complexity !== "linear" && complexity !== "safe") {
      slow.push(`${literal.file}: ${pattern} is ${complexity}`);
    }
  }
  assert.deepEqual(slow, []);
});

Deno.test("a pattern that is not is seen", () => {
  const planted =
    "const SLOW = /^(a+)+$/;\nreturn /(x|x)*y/.test(text);\nconst half = a / b / c;\n";
  const literals = literalsIn("planted.ts", planted);
  assert.deepEqual(literals.map(({ source }) => source), ["^(a+)+$", "(x|x)*y"]);
  for (const literal of literals) assert.equal(complexityOf(literal), "exponential");
  assert.equal(complexityOf({ source: "^[0-9]*[0-9]*x$", flags: "" }), "polynomial");
});

Deno.test("no pattern is made of what comes in", async () => {
  const made: string[] = [];
  for (const folder of folders) {
    for await (const file of sources(folder)) {
      const text = await Deno.readTextFile(join(root, file));
      if (/\bnew RegExp\(|\bRegExp\(/.test(text)) made.push(file);
    }
  }
  // Of the patterns of its own schemas.
  assert.deepEqual(made, ["lib/http/examples.ts"]);
});
