/**
 * The service as three processes of the real program, each with a stretch of network before it and
 * one behind it, and a clock of its own.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";
import { NetworkProxy } from "../support/network_proxy.ts";
import { freePort, ServerProcess } from "../support/server_process.ts";

export interface NodeOptions {
  readonly databaseUrl: string;
  /** Of the Redis over which nodes tell one another of news, where there is one. */
  readonly redisUrl: string | undefined;
  /** Where its clock is kept, in so far as it may be set. */
  readonly clock: string | undefined;
  /** The file that what its processes log is kept in. */
  readonly logFile: string;
}

/** Sessions of one node beside those that it has in any case; all of them fit onto the server. */
const POOL_MAX = 3;
/** So short that actors leave memory again and again. */
const IDLE_MS = 5_000;
const START_PAUSE_MS = 200;
const START_MS_MAX = 90_000;
const END_MS_MAX = 20_000;

const clockProgram = new URL("with_clock", import.meta.url).pathname;

type Edges = Readonly<Record<"clients" | "database", NetworkProxy>> & {
  readonly redis?: NetworkProxy;
};

/** One place of the cluster: its address stays, whichever process is behind it. */
export class NodePlace implements AsyncDisposable {
  readonly edges: Edges;
  readonly #options: NodeOptions;
  readonly #port: string;
  #process: ServerProcess | undefined;
  /** How processes ended that nobody had killed. */
  readonly deaths: string[] = [];
  /** What was logged as an error. */
  readonly errors = new Map<string, number>();

  private constructor(
    options: NodeOptions,
    port: number,
    edges: Edges,
  ) {
    this.#options = options;
    this.#port = String(port);
    this.edges = edges;
  }

  static async open(options: NodeOptions): Promise<NodePlace> {
    const port = freePort();
    const clients = await NetworkProxy.before(`http://127.0.0.1:${port}`);
    const database = await NetworkProxy.before(options.databaseUrl);
    const { redisUrl } = options;
    const redis = redisUrl === undefined ? {} : { redis: await NetworkProxy.before(redisUrl) };
    const place = new NodePlace(options, port, { clients, database, ...redis });
    await place.setClock(0);
    return place;
  }

  /** Why clocks cannot be set here; undefined if they can. */
  static async hindranceOfClocks(): Promise<string | undefined> {
    const command = new Deno.Command(clockProgram, { args: ["--there"], stdin: "null" });
    const { success, stderr } = await command.output();
    return success ? undefined : new TextDecoder().decode(stderr);
  }

  /** Where clients go. */
  get url(): string {
    return this.edges.clients.url;
  }

  /** Tries until it is up: it may be that its database is not. */
  async start(): Promise<void> {
    const giveUpAt = performance.now() + START_MS_MAX;
    const { clock } = this.#options;
    const variables = {
      DATABASE_URL: this.edges.database.url,
      ...(this.edges.redis !== undefined && { REDIS_URL: this.edges.redis.url }),
      DATABASE_POOL_MAX: String(POOL_MAX),
      IDLE_MS: String(IDLE_MS),
      PORT: this.#port,
    };
    const through = clock === undefined ? [] : [clockProgram, clock];
    for (;;) {
      try {
        const process = await ServerProcess.start(variables, through);
        this.#process = process;
        void this.#mourn(process);
        return;
      } catch (error) {
        if (performance.now() > giveUpAt) throw error;
        await systemEnv.sleep(START_PAUSE_MS);
      }
    }
  }

  /** Kills its process; false if there was none. */
  async crash(): Promise<boolean> {
    const process = this.#process;
    if (process === undefined || process.hasEnded) return false;
    this.#process = undefined;
    await process.crash();
    this.#note(process);
    return true;
  }

  freeze(): boolean {
    return this.#signal("SIGSTOP");
  }

  /** All ways from and to it are as they should be. */
  heal(): void {
    for (const edge of Object.values(this.edges)) edge.heal();
  }

  thaw(): boolean {
    return this.#signal("SIGCONT");
  }

  /** Its time of day, off by so much. */
  async setClock(seconds: number): Promise<void> {
    const { clock } = this.#options;
    const offset = `${seconds < 0 ? "" : "+"}${seconds}s\n`;
    if (clock !== undefined) await Deno.writeTextFile(clock, offset);
  }

  /** Asks for an orderly end; says what was wrong with it. */
  async end(): Promise<string | undefined> {
    const process = this.#process;
    if (process === undefined) return "it was not there";
    this.#process = undefined;
    process.kill("SIGTERM");
    const timer = setTimeout(() => process.kill("SIGKILL"), END_MS_MAX);
    const { code, signal, stderr } = await process.ended;
    clearTimeout(timer);
    this.#note(process);
    return code === 0 ? undefined : `${signal ?? code}: ${stderr.join(" ")}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    await process?.[Symbol.asyncDispose]();
    for (const edge of Object.values(this.edges)) await edge[Symbol.asyncDispose]();
  }

  #signal(signal: Deno.Signal): boolean {
    if (this.#process === undefined || this.#process.hasEnded) return false;
    this.#process.kill(signal);
    return true;
  }

  /** Whoever dies without being killed is replaced; that it died is remembered. */
  async #mourn(process: ServerProcess): Promise<void> {
    const { code, signal, stderr } = await process.ended;
    if (this.#process !== process) return;
    this.deaths.push(`${signal ?? code}: ${stderr.join("\n")}`);
    this.#note(process);
    await this.start();
  }

  #note({ log }: ServerProcess): void {
    const text = log.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    Deno.writeTextFileSync(this.#options.logFile, text, { append: true });
    for (const { level, message, error } of log) {
      if (level !== "error") continue;
      const text = `${message}: ${JSON.stringify(error)}`.slice(0, 600);
      this.errors.set(text, (this.errors.get(text) ?? 0) + 1);
    }
  }
}
