/** What is in the image: what the service is made of, and nothing else. */
import assert from "node:assert/strict";
import { join } from "node:path";

const root = join(import.meta.dirname!, "../..");

async function left(): Promise<readonly string[]> {
  const text = await Deno.readTextFile(join(root, ".dockerignore"));
  return text.split("\n").map((line) => line.trim()).filter((line) => !/^(#|$)/.test(line));
}

/** As Docker reads a pattern: of a path from the root, or in all directories with `**` before it. */
function matches(pattern: string, path: string): boolean {
  const escaped = pattern.replaceAll(/[.+?^$()[\]{}|\\]/g, "\\$&");
  const expression = escaped.replaceAll("**/", "\0").replaceAll("*", "[^/]*")
    .replaceAll("\0", "(?:.*/)?");
  return RegExp(`^${expression}(?:/.*)?$`).test(path);
}

async function isLeftOut(path: string): Promise<boolean> {
  const patterns = await left();
  assert(!patterns.some((pattern) => pattern.startsWith("!")), "nothing is let in again");
  return patterns.some((pattern) => matches(pattern, path));
}

async function filesOf(program: string): Promise<readonly string[]> {
  const { stdout } = await new Deno.Command("deno", {
    args: ["info", "--json", program],
    cwd: root,
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    readonly modules: readonly { readonly local?: string }[];
  };
  return modules.flatMap(({ local }) => local?.startsWith(`${root}/`) ? [local] : [])
    .map((file) => file.slice(root.length + 1));
}

Deno.test("no history, tests, data or keys are in the image", async () => {
  const kept = [
    ...[".git/config", ".git/objects/ab/cd", ".env", ".env.production", "data/token.key"],
    ...["data/postgres/PG_VERSION", "tests/support/api.ts", "tests/support/certificates/leaf.key"],
    ...["bench/bench.ts", "docs/architecture.md", "README.md", "deploy/private.key", ".ci/run"],
    ...["lib/token.key", "node_modules/x/index.js"],
  ];
  for (const path of kept) assert.equal(await isLeftOut(path), true, path);
});

/** What is started by its name, which no import leads to. */
async function* workersIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    if (isDirectory) yield* workersIn(`${folder}/${name}`);
    else if (name.endsWith("_worker.ts")) {
      const source = await Deno.readTextFile(join(root, folder, name));
      if (/\bself\.onmessage|\bonmessage =/.test(source)) yield `${folder}/${name}`;
    }
  }
}

Deno.test("what the service is made of is in the image, with all that it needs", async () => {
  const programs = ["main.ts", ...await Array.fromAsync(workersIn("lib"))];
  assert(programs.includes("lib/postgres/embedded_worker.ts"));
  const dockerfile = await Deno.readTextFile(join(root, "Dockerfile"));
  const [, cached] = /^RUN deno cache --frozen (.*)$/m.exec(dockerfile)!;
  assert.deepEqual(new Set(cached!.split(" ")), new Set(programs));
  const files = new Set((await Promise.all(programs.map(filesOf))).flat());
  assert(files.has("main.ts") && files.has("routes/app.ts") && files.size > 100);
  for (const path of [...files, "deno.json", "deno.lock"]) {
    assert.equal(await isLeftOut(path), false, path);
    assert.doesNotMatch(path, /^(tests|bench)\//, "it needs nothing that is only for trying it");
  }
});
