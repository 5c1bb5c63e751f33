/**
 * A copy of the sources in a directory of its own, in which mistakes are made and undone again.
 *
 * @module
 */
import { type Mutant, mutated } from "./mutant.ts";
import type { Probed } from "./probe.ts";

/** All that the simulation consists of. */
const PARTS = ["deno.json", "deno.lock", "lib", "actors", "tests/simulation", "tests/support"];
/** A run that takes longer will never end. */
const RUN_MAX_MS = 300_000;

export type Trial =
  | { readonly is: "probed"; readonly probed: Probed }
  /** It does not end, or does not even begin. */
  | { readonly is: "broken"; readonly why: string };

export class Tree implements AsyncDisposable {
  readonly #root: URL;

  private constructor(root: URL) {
    this.#root = root;
  }

  static async copyOf(project: URL): Promise<Tree> {
    const directory = await Deno.makeTempDir({ dir: "/tmp", prefix: "mutants-" });
    const root = new URL(`file://${directory}/`);
    for (const part of PARTS) await copy(new URL(part, project), new URL(part, root));
    return new Tree(root);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#root, { recursive: true });
  }

  /** Runs the simulation with the mistake in it, and takes it out again. */
  async try(mutant: Mutant, seedsMax: number): Promise<Trial> {
    const file = new URL(mutant.file, this.#root);
    const source = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, mutated(source, mutant));
    try {
      return await this.run(seedsMax, mutant.screams);
    } finally {
      await Deno.writeTextFile(file, source);
    }
  }

  async run(seedsMax: number, screams: readonly string[] = []): Promise<Trial> {
    const command = new Deno.Command("deno", {
      cwd: this.#root,
      args: [
        "run",
        "--no-check",
        "--no-prompt",
        "tests/simulation/mutants/probe.ts",
        String(seedsMax),
        ...screams,
      ],
      signal: AbortSignal.timeout(RUN_MAX_MS),
      stdout: "piped",
      stderr: "piped",
    });
    const { success, signal, stdout, stderr } = await command.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    if (success) return { is: "probed", probed: JSON.parse(text(stdout)) };
    if (signal !== null) return { is: "broken", why: "it does not come to its end" };
    return { is: "broken", why: text(stderr).trim().slice(0, 500) };
  }
}

async function copy(from: URL, to: URL): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (!isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await copy(new URL(name, `${from}/`), new URL(name, `${to}/`));
  }
}
