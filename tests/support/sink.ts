/**
 * Somebody who is sent webhooks, on this machine.
 *
 * @module
 */

export interface Received {
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

export class Sink implements AsyncDisposable {
  readonly received: Received[] = [];
  /** How it answers. */
  answer: (request: Received) => Response | Promise<Response> = () => new Response("ok");
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const options = { port: 0, hostname: "127.0.0.1", onListen() {} };
    this.#server = Deno.serve(options, async (request) => {
      const { pathname } = new URL(request.url);
      const received = { path: pathname, headers: request.headers, body: await request.text() };
      this.received.push(received);
      return await this.answer(received);
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Of a name that the tests resolve to this machine. */
  url(path: string): string {
    return `http://sink.test:${this.port}${path}`;
  }

  /** The types of the events that came there, in their order. */
  types(path: string): string[] {
    return this.at(path).map(({ body }) => JSON.parse(body).type);
  }

  at(path: string): Received[] {
    return this.received.filter((request) => request.path === path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Answers a connection with raw bytes, and counts how many there were. */
export class RawSink implements AsyncDisposable {
  connections = 0;
  readonly #listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  readonly #ended: Promise<void>;
  #isClosed = false;
  readonly #open = new Set<Deno.Conn>();

  constructor(serve: (connection: Deno.Conn) => Promise<void>) {
    this.#ended = this.#accept(serve);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.close();
    for (const connection of this.#open) closed(connection);
    await this.#ended;
  }

  async #accept(serve: (connection: Deno.Conn) => Promise<void>): Promise<void> {
    const served: Promise<void>[] = [];
    try {
      for await (const connection of this.#listener) {
        this.connections++;
        this.#open.add(connection);
        const ended = serve(connection).catch(() => {/* the other side went away */}).finally(
          () => {
            if (this.#open.delete(connection)) closed(connection);
          },
        );
        served.push(ended);
      }
    } finally {
      await Promise.all(served);
    }
  }
}

/** Whoever served it may have done so before. */
function closed(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
