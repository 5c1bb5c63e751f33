/**
 * A Redis that a test has to itself, to kill, freeze and start as it likes. It keeps nothing.
 *
 * @module
 */
import { createClient } from "@redis/client";
import { TextLineStream } from "../../bench/text_lines.ts";
import { reservedPort } from "./reserved_port.ts";

const alive = new Set<Deno.ChildProcess>();
// A test that is cut short disposes of nothing.
globalThis.addEventListener("unload", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export interface OwnRedisOptions {
  readonly isClustered?: boolean;
  /** Silent for so long, a server of a cluster counts as dead, and a replica takes its place. */
  readonly nodeTimeoutMs?: number;
}

/** What a Redis takes unless told. */
const NODE_TIMEOUT_MS = 15_000;

export class OwnRedis implements AsyncDisposable {
  readonly url: string;
  readonly #port: number;
  readonly #options: OwnRedisOptions;
  /** Where the others of a cluster reach it; undefined where it is no part of one. */
  readonly busPort: number | undefined;
  /** It writes down there whom it knows. */
  #directory: string | undefined;
  #child: Deno.ChildProcess | undefined;

  private constructor(port: number, options: OwnRedisOptions, busPort?: number) {
    this.#port = port;
    this.#options = options;
    this.busPort = busPort;
    this.url = `redis://127.0.0.1:${port}`;
  }

  /** @throws where there is no `redis-server` to be had. */
  static async start(options: OwnRedisOptions = {}): Promise<OwnRedis> {
    const { isClustered = false } = options;
    const redis = new OwnRedis(reservedPort(), options, isClustered ? reservedPort() : undefined);
    if (isClustered) redis.#directory = await Deno.makeTempDir({ prefix: "troupe-redis-" });
    await redis.restart();
    return redis;
  }

  /** Resolves once it accepts connections. */
  async restart(): Promise<void> {
    await this.crash();
    const { nodeTimeoutMs = NODE_TIMEOUT_MS } = this.#options;
    const child = new Deno.Command("redis-server", {
      args: [
        ...["--port", String(this.#port), "--bind", "127.0.0.1"],
        ...["--save", "", "--dir", this.#directory ?? "/tmp"],
        ...this.busPort === undefined ? [] : [
          ...["--cluster-enabled", "yes", "--cluster-port", String(this.busPort)],
          ...["--repl-diskless-sync-delay", "0"],
          ...["--cluster-node-timeout", String(nodeTimeoutMs)],
        ],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    alive.add(child);
    void child.status.finally(() => alive.delete(child));
    this.#child = child;
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TextLineStream(),
    );
    for await (const line of lines) {
      if (line.includes("Ready to accept connections")) return;
    }
    throw new Error("redis-server ended before it was ready");
  }

  async crash(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    if (alive.has(child)) child.kill("SIGKILL");
    await child.status;
  }

  /** It keeps its connections and says nothing, until it is thawed. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Over a connection of its own. */
  async command(...words: string[]): Promise<unknown> {
    const client = createClient({ url: this.url });
    await client.connect();
    const reply = await client.sendCommand(words);
    client.destroy();
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
    if (this.#directory !== undefined) await Deno.remove(this.#directory, { recursive: true });
  }
}
