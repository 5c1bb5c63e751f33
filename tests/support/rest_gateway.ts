/**
 * HTTP in front of a real Redis, as Upstash offers it: a command as a JSON array, or on `/pipeline`
 * several of them.
 *
 * @module
 */
import { createClient } from "@redis/client";

type Client = ReturnType<typeof clientOf>;

function clientOf(url: string) {
  // As replies are on the wire: nothing is made of them that HTTP would not show.
  return createClient({ url, RESP: 2 });
}

export class RestGateway implements AsyncDisposable {
  readonly url: string;
  readonly #client: Client;
  readonly #token: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #released: Promise<void> | undefined;
  #release = () => {};
  /** That have come in, and the commands in them. */
  requests = 0;
  commands = 0;

  private constructor(client: Client, token: string) {
    this.#client = client;
    this.#token = token;
    const place = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#server = Deno.serve(place, (request) => this.#answer(request));
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  static async start(redisUrl: string, token: string): Promise<RestGateway> {
    const client = clientOf(redisUrl);
    await client.connect();
    return new RestGateway(client, token);
  }

  /** From now on it takes requests, and neither passes them on nor answers, until it is released. */
  hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#released = promise;
    this.#release = resolve;
  }

  /** Those who waited are refused: they have given up. */
  release(): void {
    this.#released = undefined;
    this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#server.shutdown();
    this.#client.destroy();
  }

  async #answer(request: Request): Promise<Response> {
    if (request.headers.get("authorization") !== `Bearer ${this.#token}`) {
      const error = "WRONGPASS invalid or missing auth token";
      return Response.json({ error }, { status: 401 });
    }
    const isPipeline = new URL(request.url).pathname === "/pipeline";
    const body = await request.json() as unknown[];
    const commands = (isPipeline ? body : [body]) as readonly unknown[][];
    this.commands += commands.length;
    this.requests++;
    if (this.#released !== undefined) {
      await this.#released;
      return Response.json({ error: "gone" }, { status: 503 });
    }
    const isEncoded = request.headers.get("upstash-encoding") === "base64";
    const replies = await Promise.all(commands.map((command) => this.#run(command, isEncoded)));
    if (isPipeline) return Response.json(replies);
    const [reply] = replies;
    return Response.json(reply, { status: "error" in reply! ? 400 : 200 });
  }

  async #run(command: readonly unknown[], isEncoded: boolean) {
    try {
      const result = await this.#client.sendCommand(command.map(String));
      return { result: isEncoded ? encoded(result) : result };
    } catch (error) {
      return { error: (error as Error).message };
    }
  }
}

/** All text but "OK". */
function encoded(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(encoded);
  if (typeof result !== "string" || result === "OK") return result;
  return new TextEncoder().encode(result).toBase64();
}
