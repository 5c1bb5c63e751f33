/** What the sources do not do at all, and what they do at places that SECURITY.md names. */
import assert from "node:assert/strict";
import { join } from "node:path";

const root = join(import.meta.dirname!, "../..");
const folders = ["lib", "actors", "routes", "deploy"];

interface Source {
  readonly file: string;
  /** Without comments. */
  readonly text: string;
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(root, folder))) {
    const file = `${folder}/${name}`;
    if (isDirectory) yield* filesIn(file);
    else if (isFile && name.endsWith(".ts")) yield file;
  }
}

/** Strings are kept as they are: a URL in one is no comment. */
function withoutComments(text: string): string {
  const stringOrComment =
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text.replace(stringOrComment, (_, string: string | undefined) => string ?? "");
}

async function everySource(): Promise<readonly Source[]> {
  const files = ["main.ts"];
  for (const folder of folders) files.push(...await Array.fromAsync(filesIn(folder)));
  return await Promise.all(files.map(async (file) => {
    const text = withoutComments(await Deno.readTextFile(join(root, file)));
    // What takes the place of another's fetch calls that one.
    return {
      file,
      text: text.includes("const { fetch } = app;") ? text.replaceAll(" fetch(", " ") : text,
    };
  }));
}

const sources = await everySource();

function filesWith(pattern: RegExp): string[] {
  return sources.filter(({ text }) => pattern.test(text)).map(({ file }) => file).sort();
}

/** The files that a section of SECURITY.md names. */
async function namedIn(heading: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(root, "SECURITY.md"));
  const section = text.split(/^## /m).find((section) => section.startsWith(`${heading}\n`));
  assert(section !== undefined, `SECURITY.md has no section "${heading}"`);
  const files = [...section.matchAll(/`([a-z_/]+\.ts)`/g)].map(([, file]) => file!);
  return [...new Set(files)].sort();
}

const evaluating =
  /(?<!\.)\beval\(|\bnew Function\b|\bFunction\(|"node:vm"|\bsetTimeout\(\s*["'`]|\bimport\(\s*(?!")/;
const loose = /[^=!<>]==[^=]|!=[^=]/;
const cryptography =
  /"node:crypto"|\bcrypto\.(?:subtle|getRandomValues)|"hash-wasm"|from "jose"|\bsha256\(/;
const weakHashes = /["'`](?:md5|sha-?1|rc4|des|aes-\d+-ecb)["'`]/i;
const chance = /\bMath\.random\b/;
/** Told apart by how long it takes: what two texts have in common at their beginning. */
const comparedSecret =
  /(?:secret|password|digest|signature|hash|hmac|mac)\w* [!=]== (?!undefined|null|"")|[!=]== [\w.#?]*(?:secret|password|digest|signature|hash|hmac|mac)\b/i;
const outgoing =
  /(?<!\{ (?:STATUS_CODES|BlockList, isIPv6|isIP) \} from )"node:(?:net|tls|https?|dgram)"|"node:dns\/promises"|\bDeno\.connect|(?<![.\w])fetch\(|"@redis\/client"|"@upstash\/redis"|"nodemailer"/;

Deno.test("nothing makes code of text", () => {
  assert.deepEqual(filesWith(evaluating), []);
});

/** In text of other languages, such as SQL and Lua, signs mean something else. */
function withoutTexts({ file, text }: Source): Source {
  return {
    file,
    text: text.replace(/`(?:[^`\\]|\\.)*`|"(?:[^"\\\n]|\\.)*"|\/(?:[^/\n\\]|\\.)+\/[a-z]*/g, '""'),
  };
}

Deno.test("nothing compares across types", () => {
  const found = sources.map(withoutTexts).filter(({ text }) => loose.test(text));
  assert.deepEqual(found.map(({ file }) => file), []);
});

Deno.test("only hashes are compared in a time that says how alike they are", () => {
  const found = sources.map(withoutTexts)
    .filter(({ text }) => text.split("\n").some((line) => comparedSecret.test(line)));
  // Of what was shown, or of what was done: whoever knows how a hash begins knows nothing of that.
  assert.deepEqual(found.map(({ file }) => file).sort(), [
    "actors/user/aggregate.ts",
    "lib/postgres/audit_seals.ts",
    "lib/postgres/audit_verification.ts",
    "lib/runtime/activation.ts",
    "routes/auth.ts",
    "routes/create_admin_cli.ts",
    "routes/jobs.ts",
  ]);
});

Deno.test("keys, hashes and secrets are handled in the files that SECURITY.md names", async () => {
  assert.deepEqual(await namedIn("Cryptography"), filesWith(cryptography));
});

Deno.test("no hash is used that is broken, but for the name that Redis gives to a script", () => {
  assert.deepEqual(filesWith(weakHashes), ["lib/kv/script_hash.ts"]);
});

Deno.test("what is guessed by nobody does not come from where chance is only good for waiting", () => {
  assert.deepEqual(filesWith(chance), ["lib/env.ts"]);
  const making = filesWith(/\bgetRandomValues\b/);
  for (const { file, text } of sources) {
    if (making.includes(file)) assert.doesNotMatch(text, /\brandom\(\)/, file);
  }
});

Deno.test("connections lead out of the files that SECURITY.md names", async () => {
  assert.deepEqual(await namedIn("Connections"), filesWith(outgoing));
});

Deno.test("SECURITY.md names files that are there", async () => {
  const text = await Deno.readTextFile(join(root, "SECURITY.md"));
  const named = [...text.matchAll(/`([a-z_]+(?:\/[\w.]+)*\.(?:ts|csv|lock|json))`/g)];
  assert(named.length > 50);
  for (const [, file] of named) {
    assert((await Deno.stat(join(root, file!))).isFile, file);
  }
});

Deno.test("these searches see what is planted before them", () => {
  const planted: readonly (readonly [RegExp, string])[] = [
    [evaluating, 'eval("1")'],
    [evaluating, "new Function(text)"],
    [evaluating, "await import(name)"],
    [evaluating, 'import vm from "node:vm";'],
    [loose, "if (a == b) return;"],
    [loose, "if (a != null) return;"],
    [cryptography, "crypto.getRandomValues(bytes)"],
    [cryptography, 'import { createHash } from "node:crypto";'],
    [weakHashes, 'createHash("md5")'],
    [chance, "const token = Math.random();"],
    [comparedSecret, "if (shown !== kept.secret) return;"],
    [comparedSecret, "return signature === expected;"],
    [outgoing, 'await fetch("https://elsewhere.example")'],
    [outgoing, 'import { connect } from "node:net";'],
  ];
  for (const [pattern, text] of planted) assert.match(withoutComments(text), pattern);
  const innocent: readonly (readonly [RegExp, string])[] = [
    [evaluating, 'await import("./here.ts")'],
    [loose, "a === b && c !== d && e <= f && g >= h; const i = () => 0;"],
    [outgoing, "http.fetch(request)"],
    [outgoing, "this.#prefetch(page)"],
    [chance, "// not Math.random()"],
    [comparedSecret, "if (secret === undefined) return;"],
  ];
  for (const [pattern, text] of innocent) assert.doesNotMatch(withoutComments(text), pattern);
});
