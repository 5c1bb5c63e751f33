/** The rules of the layout, kept true by failing when they are not. */
import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

/** Each folder, and what it may import beyond its own: project folders and packages. */
const allowed: Record<string, readonly string[]> = {
  "lib": ["ipaddr.js", "zod"],
  "lib/resilience": ["lib", "cockatiel"],
  "lib/runtime": ["lib", "lib/resilience"],
  "lib/jobs": ["lib", "lib/resilience", "lib/runtime", "croner", "zod"],
  "lib/jobs/flow": ["lib/jobs", "lib/runtime", "zod"],
  "lib/kv": ["lib", "lib/resilience"],
  "lib/limits": ["lib", "lib/kv", "lib/resilience", "lru-cache"],
  "lib/memory": ["lib", "lib/kv", "lib/jobs", "lib/runtime"],
  "lib/postgres": [
    "lib",
    "lib/jobs",
    "lib/jobs/flow",
    "lib/resilience",
    "lib/runtime",
    "@electric-sql/pglite",
    "@electric-sql/pglite-prepopulatedfs",
    "kysely",
    "postgres",
  ],
  "lib/upstash": ["lib", "lib/kv", "lib/resilience", "@upstash/redis"],
  "lib/redis": ["lib", "lib/kv", "lib/resilience", "lib/runtime", "@redis/client", "zod"],
  "lib/telemetry": ["lib", "lib/runtime", "@opentelemetry/api"],
  "lib/http": [
    "lib",
    "lib/limits",
    "lib/resilience",
    "lib/runtime",
    "hono",
    "ipaddr.js",
    "jose",
    "lru-cache",
    "obscenity",
    "zod",
    "zod-openapi",
  ],
  "lib/webhooks": ["lib", "lib/resilience", "lib/runtime", "ipaddr.js"],
  "lib/passwords": ["lib", "lib/resilience", "hash-wasm", "popular-passwords"],
  "lib/mail": ["nodemailer"],
  "actors": ["lib/jobs", "lib/runtime", "kysely", "zod"],
  "routes": [
    "lib",
    "actors",
    "lib/http",
    "lib/jobs",
    "lib/jobs/flow",
    "lib/mail",
    "lib/passwords",
    "lib/resilience",
    "lib/runtime",
    "lib/webhooks",
    "hono",
    "kysely",
    "swagger-ui-dist",
    "zod",
  ],
  "migrations": ["kysely"],
};

/** Where a package may be met, if not in the whole folder. Types weigh nothing and may pass. */
const homes: Record<string, RegExp> = {
  "ipaddr.js": /^lib\/(config|http\/client_address|webhooks\/addresses)\.ts$/,
  "croner": /^lib\/jobs\/cron\.ts$/,
  "swagger-ui-dist": /^routes\/documentation\.ts$/,
  "zod-openapi": /^lib\/http\/openapi\.ts$/,
  "zod": /^(lib\/config\.ts|lib\/http\/.+|lib\/jobs\/.+|lib\/redis\/.+|actors\/.+|routes\/.+)$/,
  "kysely":
    /^(lib\/postgres\/.+|migrations\/.+|actors\/.+\/(projection|listing|inbox|deliveries|replay|public_feed|revocations)\.ts|actors\/trading_(alerts|movements|transfers)\.ts)$/,
};

/** Where only `Env` may bring in time, chance, waiting and the world outside. */
const pure = [
  "lib/runtime",
  "lib/jobs",
  "lib/resilience",
  "lib/memory",
  "lib/limits",
  "actors",
];

const impurity =
  /\b(Date\.now|Math\.random|crypto\.|setTimeout|setInterval|setImmediate|queueMicrotask|fetch\(|Deno\.|performance\.|WeakRef|FinalizationRegistry|console\.)|\bnew Date(?!\s*\(\s*[^\s)])|(?<!new )\bDate\(|"node:/g;

const vague = /(^|_)(utils?|helpers?|common|misc|managers?|services?|base|impl|index)(_|\.)/;

const root = join(import.meta.dirname!, "..");

for (const [folder, targets] of Object.entries(allowed)) {
  Deno.test(`${folder} imports nothing but ${targets.join(", ")}`, async () => {
    for await (const { file, source } of sources(folder)) {
      assert.deepEqual(strays(folder, file, source), []);
    }
  });
}

Deno.test("every folder of lib has its place among the rules", async () => {
  for await (const { name, isDirectory } of Deno.readDir(join(root, "lib"))) {
    if (isDirectory) assert(`lib/${name}` in allowed, `lib/${name} may import whatever it likes`);
  }
});

Deno.test("an aggregate knows no other, only the words that they share", async () => {
  for await (const { file, source } of sources("actors")) {
    for (const { specifier } of imports(source)) {
      if (!specifier.startsWith(".")) continue;
      const target = relative(root, join(root, dirname(file), specifier));
      const isShared = dirname(target) === "actors";
      const isOther = target.startsWith("actors/") && dirname(target) !== dirname(file) &&
        !isShared;
      assert(!isOther, `${file} imports ${specifier}`);
    }
  }
});

for (const folder of pure) {
  Deno.test(`${folder} reaches for no clock, chance, timer or world of its own`, async () => {
    for await (const { file, source } of sources(folder)) {
      assert.deepEqual(impurities(source), [], `${file} is not pure`);
    }
  });
}

Deno.test("every file is named after what it holds", async () => {
  for (const folder of [...Object.keys(allowed), "tests"]) {
    for await (const { file } of sources(folder)) {
      assert(!vague.test(file.split("/").at(-1)!), `${file} needs a better name`);
    }
  }
});

Deno.test("these rules see what is planted before them", () => {
  const planted = [
    "const at = Date.now();",
    "const at = new Date();",
    "const at = new Date( );",
    "const at = new Date;",
    "const at = Date();",
    "const chance = Math.random();",
    "const id = crypto.randomUUID();",
    "setTimeout(task, 5);",
    "const timer = setInterval(task, 5);",
    "setImmediate(task);",
    "queueMicrotask(task);",
    'await fetch("http://elsewhere");',
    'Deno.env.get("HOME");',
    "performance.now();",
    "new WeakRef(actor);",
    "new FinalizationRegistry(forget);",
    'console.log("so far");',
    'import { setTimeout as sleep } from "node:timers/promises";',
  ];
  for (const line of planted) {
    assert.equal(impurities(`/** Why not. */\n${line} // Well.\n`).length > 0, true, line);
  }
  const innocent = [
    "// Not Date.now(): it may jump.",
    "/* setTimeout(0) costs a millisecond.\n * console.log as well. */",
    "const at = new Date(text);",
    "const at = new Date(\n  text,\n);",
    "function at(): Date { return env.now(); }",
    'const link = "http://here"; // Date.now()',
    "this.#prefetch(page);",
  ];
  for (const line of innocent) assert.deepEqual(impurities(line), [], line);

  const straying: Record<string, string> = {
    "lib/runtime/turn.ts": 'import { z } from "zod";',
    "lib/runtime/system.ts": 'import { LiveEvent } from "../../actors/live_event/aggregate.ts";',
    "lib/runtime/store.ts": 'import { open } from "../postgres/database.ts";',
    "lib/fault.ts": 'import { v7 } from "uuid";',
    "lib/resilience/retry.ts": 'const { z } = await import("zod");',
    "lib/http/problem.ts": 'import "../postgres/database.ts";',
    "actors/live_event/state.ts": 'import { sql } from "kysely";',
    "actors/live_event/views.ts": 'import type { Context } from "hono";',
    "routes/app.ts": 'export { sql } from "npm:kysely@0.29.9";',
    "migrations/all.ts": 'import { kind } from "../actors/live_event/aggregate.ts";',
  };
  for (const [file, line] of Object.entries(straying)) {
    const folder = Object.keys(allowed).filter((name) => file.startsWith(`${name}/`)).at(-1)!;
    assert.equal(strays(folder, file, line).length, 1, `${file}: ${line}`);
  }
  for (const name of ["utils.ts", "http_helpers.ts", "index.ts", "user_service.ts"]) {
    assert(vague.test(name), name);
  }
});

interface Import {
  readonly specifier: string;
  readonly isType: boolean;
}

function imports(source: string): Import[] {
  const clause =
    /(?:\b(?:import|export)\b(\s+type\b)?[^;"]*?\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g;
  return [...withoutComments(source).matchAll(clause)].map(([, type, specifier]) => {
    return { specifier: specifier!, isType: type !== undefined };
  });
}

/** The imports of a file that its folder's rules do not know. */
function strays(folder: string, file: string, source: string): string[] {
  return imports(source).filter(({ specifier, isType }) => {
    if (specifier.startsWith("./") || specifier.startsWith("node:")) return false;
    const target = home(file, specifier);
    if (target !== folder && !allowed[folder]!.includes(target)) return true;
    return !isType && homes[target]?.test(file) === false;
  }).map(({ specifier }) => `${file} imports ${specifier}`);
}

/** The folder, or the package, that a specifier leads to. */
function home(file: string, specifier: string): string {
  if (!specifier.startsWith(".")) {
    return specifier.replace(/^npm:\/?/, "").match(/^(@[^/]+\/)?[^/@]+/)![0];
  }
  const folder = relative(root, dirname(join(root, dirname(file), specifier)));
  return folder.startsWith("lib/") ? folder : folder.split("/")[0]!;
}

function impurities(source: string): string[] {
  return [...withoutComments(source).matchAll(impurity)].map(([found]) => found);
}

/** Strings are kept as they are: a URL in one is no comment. */
function withoutComments(source: string): string {
  const stringOrComment =
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return source.replace(stringOrComment, (_, string: string | undefined) => string ?? "");
}

/** The files of a folder, by their place in the project. Of `lib`, those that lie there only. */
async function* sources(folder: string): AsyncGenerator<{ file: string; source: string }> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(root, folder))) {
    const file = `${folder}/${name}`;
    if (isFile && name.endsWith(".ts")) {
      yield { file, source: await Deno.readTextFile(join(root, file)) };
    } else if (isDirectory && folder !== "lib") yield* sources(file);
  }
}
