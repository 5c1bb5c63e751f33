/**
 * A Postgres server that a test has to itself, to stop, kill and start as it likes.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";
import { reservedPort } from "./reserved_port.ts";

const program = new URL("postgres_server", import.meta.url).pathname;

/** "fast" ends all sessions in order; "immediate" leaves it to the next start to recover. */
export type StopMode = "fast" | "immediate";

/** Disks that can be filled: the one of the data, and the one of the log of writes. */
export type Volume = "pg" | "wal";

export interface OwnPostgresOptions {
  /** Lines of its configuration. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Gives it a disk in memory for each volume, of that size; takes the rights of root. */
  readonly volumeMb?: number;
}

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
  static async start({ settings = {}, volumeMb }: OwnPostgresOptions = {}): Promise<OwnPostgres> {
    const directory = await Deno.makeTempDir({ prefix: "troupe_postgres_" });
    const port = reservedPort();
    const server = new OwnPostgres(directory, port);
    try {
      if (volumeMb !== undefined) await run("volumes", directory, String(volumeMb));
      const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
      await run("create", directory, String(port), String(Deno.pid), ...lines);
      await server.resume();
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

  /** Whether it runs and takes sessions, within a moment. */
  async answers(): Promise<boolean> {
    return await run("ask", this.#directory).then(() => true, () => false);
  }

  /** Kills its first process; it is down then. */
  async kill(): Promise<void> {
    await run("kill", this.#directory);
  }

  /** Nothing more fits onto the volume, until it is drained. */
  async fill(volume: Volume): Promise<void> {
    await run("fill", this.#directory, volume);
  }

  async drain(volume: Volume): Promise<void> {
    await run("drain", this.#directory, volume);
  }

  /**
   * Injects a fault, as `strace` names it, into every `fdatasync` of the log of writes, for so long.
   * Resolves to how many calls it befell.
   */
  async tripSyncs(fault: string, forMs: number): Promise<number> {
    const { stdout } = await run("trip", this.#directory, String(forMs), fault);
    return stdout.split("\n").filter((line) => /INJECTED|DELAYED/.test(line)).length;
  }

  /** @throws what is not whole. */
  async check(): Promise<void> {
    await run("check", this.#directory);
  }

  /**
   * Kills the process behind one session, whereupon the server ends all sessions and recovers.
   * False if that session had ended.
   */
  async crashBackend(pid: number): Promise<boolean> {
    const { code } = await run("crash", this.#directory, String(pid));
    return code !== GONE;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remove();
  }

  /** Resolves once it answers, after all that there was to recover. */
  async resume(): Promise<void> {
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
    await run("remove", this.#directory);
  }
}

/** Why a server of this machine could not be struck like that; undefined if it could. */
export async function hindrance(means: "volumes" | "trip"): Promise<string | undefined> {
  return await run("may", means).then(() => undefined, (error: Error) => error.message);
}

/** The exit code for what is not there any more. */
const GONE = 75;

async function run(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly stdout: string }> {
  const command = new Deno.Command(program, { args: [...args], stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  if (code === 0 || code === GONE) return { code, stdout: new TextDecoder().decode(stdout) };
  throw new Error(`Cannot ${args[0]} a Postgres server: ${new TextDecoder().decode(stderr)}`);
}
