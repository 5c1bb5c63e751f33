/**
 * A Postgres server that a test has to itself, to stop, kill and start as it likes.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";

/** Below those that the system deals out: no connection takes the port while nobody listens. */
const PORT_FIRST = 20_000;
const PORTS = 10_000;

const program = new URL("postgres_server", import.meta.url).pathname;

/** "fast" ends all sessions in order; "immediate" leaves it to the next start to recover. */
export type StopMode = "fast" | "immediate";

/**
 * Keeps what it has confirmed, as any server does that may be used. Disposing it removes it, and so
 * does the end of this process, whatever that is.
 */
export class OwnPostgres implements AsyncDisposable {
  readonly url: string;
  readonly #directory: string;

  private constructor(directory: string, port: number) {
    this.#directory = directory;
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  }

  /** @throws what is missing, where a server cannot be had. */
  static async start(): Promise<OwnPostgres> {
    const directory = await Deno.makeTempDir({ prefix: "troupe_postgres_" });
    const port = freePort();
    const server = new OwnPostgres(directory, port);
    try {
      await run("create", directory, String(port), String(Deno.pid));
      await server.#start();
    } catch (error) {
      await server.#remove();
      throw error;
    }
    return server;
  }

  /** Resolves once it answers again. */
  async restart(mode: StopMode, downMs: number): Promise<void> {
    await this.stop(mode);
    await systemEnv.sleep(downMs);
    await this.resume();
  }

  async stop(mode: StopMode): Promise<void> {
    await run("stop", this.#directory, mode);
  }

  /** Resolves once it answers. */
  async resume(): Promise<void> {
    await this.#start();
  }

  /**
   * Kills the process behind one session, whereupon the server ends all sessions and recovers.
   * False if that session had ended.
   */
  async crashBackend(pid: number): Promise<boolean> {
    return await run("crash", this.#directory, String(pid)) !== GONE;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await run("stop", this.#directory, "immediate");
    } finally {
      await this.#remove();
    }
  }

  async #start(): Promise<void> {
    try {
      await run("start", this.#directory);
    } catch (error) {
      throw new Error(`It did not start: ${await this.#log()}`, { cause: error });
    }
  }

  async #log(): Promise<string> {
    return await Deno.readTextFile(`${this.#directory}/log`).catch(() => "and has said nothing");
  }

  async #remove(): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** The exit code for what is not there any more. */
const GONE = 75;

async function run(...args: readonly string[]): Promise<number> {
  const command = new Deno.Command(program, { args: [...args], stdin: "null" });
  const { code, stderr } = await command.output();
  if (code === 0 || code === GONE) return code;
  throw new Error(`Cannot ${args[0]} a Postgres server: ${new TextDecoder().decode(stderr)}`);
}

function freePort(): number {
  for (;;) {
    const port = PORT_FIRST + Math.floor(systemEnv.random() * PORTS);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
