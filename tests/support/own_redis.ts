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

export class OwnRedis implements AsyncDisposable {
  readonly url: string;
  readonly #port: number;
  #child: Deno.ChildProcess | undefined;

  private constructor(port: number) {
    this.#port = port;
    this.url = `redis://127.0.0.1:${port}`;
  }

  /** @throws where there is no `redis-server` to be had. */
  static async start(): Promise<OwnRedis> {
    const redis = new OwnRedis(reservedPort());
    await redis.restart();
    return redis;
  }

  /** Resolves once it accepts connections. */
  async restart(): Promise<void> {
    await this.crash();
    const child = new Deno.Command("redis-server", {
      args: ["--port", String(this.#port), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"],
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
  async command(...words: string[]): Promise<void> {
    const client = createClient({ url: this.url });
    await client.connect();
    await client.sendCommand(words);
    client.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
  }
}
