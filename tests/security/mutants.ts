/**
 * `deno task mutants:security`: every guard taken away once, and whether the test that is to notice
 * does.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mutated } from "../simulation/mutants/mutant.ts";
import { type Guard, guards } from "./guards.ts";
import { fixedPartsOf } from "./test_names.ts";

const root = join(import.meta.dirname!, "../..");
/** All that tests are made of. */
const PARTS = [
  ...["deno.json", "deno.lock", "main.ts", "lib", "actors", "routes", "migrations", "deploy"],
  ...["tests", "bench", "docs", "Dockerfile", "README.md", "SECURITY.md"],
];
/** Each is about one file of tests. */
const RUN_MAX_MS = 300_000;
const PERMISSIONS = [
  ...["--allow-read", "--allow-write", "--allow-env", "--allow-net=127.0.0.1"],
  "--allow-run=deno",
];

const usage = "deno task mutants:security [--only NAME]... [--jobs J]";

/** What a test said of itself; `undefined` where it was not even run. */
type Verdict = "passed" | "failed" | undefined;

async function copy(from: string, to: string): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (!isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}

/** A copy of the sources, in which mistakes are made and undone again. */
class Copy implements AsyncDisposable {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(): Promise<Copy> {
    const directory = await Deno.makeTempDir({ dir: "/tmp", prefix: "guards-" });
    for (const part of PARTS) await copy(join(root, part), join(directory, part));
    return new Copy(directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
  }

  async without(guard: Guard): Promise<Verdict> {
    const file = join(this.#directory, guard.file);
    const source = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, mutated(source, guard));
    try {
      return await this.run(guard);
    } finally {
      await Deno.writeTextFile(file, source);
    }
  }

  async run({ noticed: [file, name] }: Guard): Promise<Verdict> {
    const command = new Deno.Command("deno", {
      cwd: this.#directory,
      args: [
        "test",
        "--no-check",
        "--reporter=tap",
        ...PERMISSIONS,
        "--filter",
        `/${pattern(name)}/`,
        file,
      ],
      env: { NO_COLOR: "1" },
      signal: AbortSignal.timeout(RUN_MAX_MS),
      stdout: "piped",
      stderr: "null",
    });
    const { stdout } = await command.output();
    const lines = new TextDecoder().decode(stdout).split("\n");
    const verdicts = lines.flatMap((line) => /^(not )?ok \d+ - /.exec(line)?.[0] ?? []);
    if (verdicts.length === 0) return undefined;
    return verdicts.some((verdict) => verdict.startsWith("not")) ? "failed" : "passed";
  }
}

/** Matches the tests of that name, be it written out or a template. */
function pattern(name: string): string {
  return `^${fixedPartsOf(name).map(escaped).join(".*")}$`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

async function tried(copy: Copy, guard: Guard): Promise<string | undefined> {
  const control = await copy.run(guard);
  if (control !== "passed") return `${guard.noticed[1]} does not pass as it is`;
  const verdict = await copy.without(guard).catch((error: Error) => error.message);
  if (verdict !== "failed" && verdict !== "passed" && verdict !== undefined) return verdict;
  if (verdict === undefined) return "nothing runs without it";
  return verdict === "failed" ? undefined : "nobody notices";
}

async function main(args: string[]): Promise<number> {
  const { values: { only, jobs } } = parseArgs({
    args,
    options: {
      only: { type: "string", multiple: true, default: [] },
      jobs: { type: "string", default: "2" },
    },
  });
  const left = guards.filter(({ name }) => only.length === 0 || only.includes(name));
  if (left.length === 0 || !/^[1-9]$/.test(jobs)) {
    console.error(usage);
    return 2;
  }
  let [passed, failed] = [0, 0];
  const hand = async () => {
    await using copy = await Copy.open();
    for (let guard = left.shift(); guard !== undefined; guard = left.shift()) {
      const startedAt = performance.now();
      const fault = await tried(copy, guard);
      if (fault === undefined) passed++;
      else failed++;
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
      const verdict = fault === undefined ? `noticed by ${guard.noticed[0]}` : `FAILED: ${fault}`;
      console.log(`${guard.name.padEnd(44)} ${seconds.padStart(6)} s  ${verdict}`);
    }
  };
  await Promise.all(Array.from({ length: Number(jobs) }, hand));
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

Deno.exit(await main(Deno.args));
