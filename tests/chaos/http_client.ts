/** Requests to the nodes of the service, over connections that are kept and may break. */
import { ConnectionLost, HttpConnection } from "../../bench/http_connection.ts";

export interface Request {
  readonly method: string;
  /** What follows `/api/v1`. */
  readonly path: string;
  readonly token: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answered {
  readonly status: number;
  /** What the `ETag` says. */
  readonly version: number | undefined;
  // deno-lint-ignore no-explicit-any -- what is in it is what the test is about
  readonly body: any;
}

/** There was no answer, or not in time: what became of the request is not known. */
export class Unanswered extends Error {
  override readonly name = "Unanswered";
}

/** Idle connections to one node that are kept. */
const IDLE_MAX = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class HttpClient implements Disposable {
  readonly #targets: readonly URL[];
  readonly #idle: HttpConnection[][];
  readonly #open = new Set<HttpConnection>();

  /** One URL for each node. */
  constructor(urls: readonly string[]) {
    this.#targets = urls.map((url) => new URL(url));
    this.#idle = urls.map(() => []);
  }

  get nodes(): number {
    return this.#targets.length;
  }

  /** @throws {Unanswered} after `timeoutMs` at the latest. */
  async send(node: number, request: Request, timeoutMs: number): Promise<Answered> {
    let connection: HttpConnection | undefined;
    const timer = setTimeout(() => connection?.close(), timeoutMs);
    try {
      connection = await this.#connection(node);
      const { status, head, body } = await connection.exchange(bytesOf(request));
      const etag = /\netag: "([0-9]+)"/i.exec(decoder.decode(head))?.[1];
      const text = decoder.decode(body);
      return {
        status,
        version: etag === undefined ? undefined : Number(etag),
        body: text === "" ? null : JSON.parse(text),
      };
    } catch (error) {
      if (!isLoss(error)) throw error;
      throw new Unanswered(error.message, { cause: error });
    } finally {
      clearTimeout(timer);
      if (connection !== undefined) this.#keep(node, connection);
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.#open) connection.close();
  }

  async #connection(node: number): Promise<HttpConnection> {
    for (let idle = this.#idle[node]!.pop(); idle; idle = this.#idle[node]!.pop()) {
      if (idle.isOpen) return idle;
      this.#open.delete(idle);
    }
    const connection = await HttpConnection.open(this.#targets[node]!);
    this.#open.add(connection);
    return connection;
  }

  #keep(node: number, connection: HttpConnection): void {
    if (connection.isOpen && this.#idle[node]!.length < IDLE_MAX) {
      this.#idle[node]!.push(connection);
    } else {
      connection.close();
      this.#open.delete(connection);
    }
  }
}

function isLoss(error: unknown): error is Error {
  return error instanceof ConnectionLost || error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.TimedOut ||
    error instanceof Deno.errors.BadResource;
}

function bytesOf({ method, path, token, body, headers = {} }: Request): Uint8Array {
  const lines = [
    `${method} /api/v1${path} HTTP/1.1`,
    "host: 127.0.0.1",
    `authorization: Bearer ${token}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  if (body !== undefined) {
    lines.push("content-type: application/json", `content-length: ${encoder.encode(body).length}`);
  }
  return encoder.encode(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
}
