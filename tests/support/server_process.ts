/**
 * The real service as a process of its own, with the permissions that `deno task start` gives it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { TextLineStream } from "../../bench/text_lines.ts";
import { systemEnv } from "../../lib/env.ts";
import { openTokenKeys } from "../../lib/http/token_keys.ts";
import { mintToken } from "../../lib/http/tokens.ts";

export type Variables = Readonly<Record<string, string>>;

export interface LogEntry {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface Ending {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

const root = new URL("../../", import.meta.url);
const TOKEN_SECRET = "a secret that only tests know, of 32 bytes and more";

/** Nothing of the developer's own environment may decide how a test ends. */
const baseVariables: Variables = {
  DATABASE_URL: "",
  HOST: "127.0.0.1",
  PORT: "0",
  LOG_LEVEL: "info",
  TOKEN_SECRET,
  NO_COLOR: "1",
  SHUTDOWN_GRACE_MS: "0",
  // Few people ask for much here; tests of limits set their own.
  RATE_LIMITS: "all=1000000/min/bucket",
};

const alive = new Set<Deno.ChildProcess>();
// A test that is cut short disposes of nothing.
globalThis.addEventListener("unload", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** `main.ts` with arguments, from its start to its end. Disposing it kills what still runs. */
export class ServerProcess implements AsyncDisposable {
  readonly ended: Promise<Ending>;
  readonly #child: Deno.ChildProcess;
  readonly #stdout: string[] = [];
  readonly #stderr: string[] = [];
  #onLine = Promise.withResolvers<void>();
  #hasEnded = false;
  #url: string | undefined;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    alive.add(child);
    this.ended = this.#end();
  }

  static async spawn(variables: Variables, ...args: readonly string[]): Promise<ServerProcess> {
    return await ServerProcess.#spawn([], variables, args);
  }

  /** The same with these flags of `deno run` instead of those of the task. */
  static async startWith(flags: readonly string[], variables: Variables): Promise<ServerProcess> {
    return await (await ServerProcess.#spawn([], variables, [], flags)).#listening();
  }

  static async #spawn(
    through: readonly string[],
    variables: Variables,
    args: readonly string[],
    instead?: readonly string[],
  ): Promise<ServerProcess> {
    const flags = instead ?? (await startCommand()).slice(1);
    const [program, ...before] = [...through, "deno"];
    const child = new Deno.Command(program!, {
      args: [...before, "run", "--quiet", ...new Set(["--frozen", ...flags]), "main.ts", ...args],
      cwd: root,
      env: { ...baseVariables, ...variables },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new ServerProcess(child);
  }

  /** Resolves once requests are answered. `through` is a program that becomes the one it is given. */
  static async start(
    variables: Variables,
    through: readonly string[] = [],
  ): Promise<ServerProcess> {
    return await (await ServerProcess.#spawn(through, variables, [])).#listening();
  }

  async #listening(): Promise<this> {
    const { url } = await this.logged("listening");
    this.#url = url as string;
    return this;
  }

  /** For what ends by itself. */
  static async run(variables: Variables, ...args: readonly string[]): Promise<Ending> {
    await using running = await ServerProcess.spawn(variables, ...args);
    const isServing = await running.logged("listening").then(() => true, () => false);
    assert(!isServing, "it was to end by itself, and serves");
    return await running.ended;
  }

  get url(): string {
    assert(this.#url !== undefined, "it listens");
    return this.#url;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get port(): string {
    return new URL(this.url).port;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get log(): LogEntry[] {
    return this.#stdout.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** The first entry with that message, once it is there. */
  async logged(message: string): Promise<LogEntry> {
    for (;;) {
      const line = this.#onLine.promise;
      const entry = this.log.find((entry) => entry.message === message);
      if (entry !== undefined) return entry;
      if (this.#hasEnded) {
        throw new Error(`It ended before "${message}": ${JSON.stringify(await this.ended)}`);
      }
      await line;
    }
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Ends it as a crash would, and waits until it is gone. */
  async crash(): Promise<void> {
    this.#child.kill("SIGKILL");
    const { signal } = await this.ended;
    assert.equal(signal, "SIGKILL", "it had not ended before");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.ended;
  }

  async #end(): Promise<Ending> {
    const { stdout, stderr } = this.#child;
    const [{ code, signal }] = await Promise.all([
      this.#child.status.then((status) => {
        this.#hasEnded = true;
        alive.delete(this.#child);
        return status;
      }),
      this.#collect(stdout, this.#stdout),
      this.#collect(stderr, this.#stderr),
    ]);
    this.#onLine.resolve();
    return { code, signal, stdout: this.#stdout, stderr: this.#stderr };
  }

  async #collect(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
    const text = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of text) {
      lines.push(line);
      this.#onLine.resolve();
      this.#onLine = Promise.withResolvers();
    }
  }
}

/** The words between `deno run` and `main.ts` in the task. */
async function startCommand(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const command: string = tasks.start.command;
  const flags = /^deno (run .*) main\.ts$/.exec(command)?.[1];
  assert(flags !== undefined, "the task `start` is one call of `deno run`");
  return flags.split(" ");
}

/** A token that every server of these tests takes. */
export async function tokenFor(sub: string, ...roles: readonly string[]): Promise<string> {
  const secret = new TextEncoder().encode(TOKEN_SECRET);
  const keys = await openTokenKeys({ secrets: [secret], dataDir: "" });
  const options = { keys, issuer: "troupe", audience: "troupe", env: systemEnv };
  return await mintToken(options, { sub, roles, ttlMs: 3_600_000 });
}

/** A port that nobody has, for servers that have to come back to it. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
