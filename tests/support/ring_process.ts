/**
 * A node of the ring, or of another test, as a process of its own, with the permissions that it needs
 * and no other.
 *
 * @module
 */
import assert from "node:assert/strict";
import { TextLineStream } from "../../bench/text_lines.ts";

export interface RingVariables {
  readonly DATABASE_URL: string;
  readonly RELAY_LEASE_MS: string;
  readonly RELAY_POLL_MS: string;
}

const root = new URL("../../", import.meta.url);

/** An orderly end finishes what is in hand, and waits for nothing else. */
const END_MS_MAX = 15_000;

const alive = new Set<Deno.ChildProcess>();
// A test that is cut short disposes of nothing.
globalThis.addEventListener("unload", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** Such a node, from its start to its end. Disposing it kills what still runs. */
export class RingProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<Deno.CommandStatus>;
  readonly #stderr: Promise<string>;
  readonly #stdout: ReadableStreamDefaultReader<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    alive.add(child);
    this.#ended = child.status.finally(() => alive.delete(child));
    this.#stderr = new Response(child.stderr).text();
    this.#stdout = child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
  }

  /** Resolves once it is up. */
  static async start(
    variables: RingVariables,
    program = "tests/support/ring_node.ts",
  ): Promise<RingProcess> {
    const { host } = new URL(variables.DATABASE_URL);
    const child = new Deno.Command("deno", {
      args: [
        "run",
        "--quiet",
        "--frozen",
        "--no-prompt",
        `--allow-net=${host}`,
        // The driver looks at its own, though it is told everything.
        `--allow-env=${Object.keys(variables)},PG*`,
        program,
      ],
      cwd: root,
      env: { ...variables, NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const node = new RingProcess(child);
    const { value } = await node.#stdout.read();
    if (value !== "up") throw new Error(`It ended before it was up: ${await node.#stderr}`);
    return node;
  }

  /** Stops all of it, as a machine does that is suspended, until it is thawed. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  async crash(): Promise<void> {
    this.#child.kill("SIGKILL");
    const { signal } = await this.#gone();
    assert.equal(signal, "SIGKILL", "it had not ended before");
  }

  /** Asks for an orderly end, and sees that it comes. */
  async end(): Promise<void> {
    this.#child.kill("SIGTERM");
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#child.kill("SIGKILL");
    }, END_MS_MAX);
    const { code } = await this.#gone();
    clearTimeout(timer);
    assert(!isLate, `it did not end within ${END_MS_MAX} ms`);
    assert.equal(code, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (alive.has(this.#child)) this.#child.kill("SIGKILL");
    await this.#ended;
    await Promise.all([this.#stdout.cancel(), this.#stderr]);
  }

  async #gone(): Promise<Deno.CommandStatus> {
    const status = await this.#ended;
    await this.#stdout.cancel();
    assert.equal(await this.#stderr, "", "nothing went wrong in it");
    return status;
  }
}
