/** Sessions on a Postgres server that do nothing but be there. */

const PROTOCOL_VERSION = 196_608;

/** The first byte of a message that says that the session is ready; of one that refuses it. */
const READY = 0x5a;

export class IdleSessions implements Disposable {
  readonly #url: URL;
  readonly #open = new Set<Deno.TcpConn>();

  constructor(url: string) {
    this.#url = new URL(url);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Takes one more; false if the server has none left, or is not there. */
  async take(): Promise<boolean> {
    const { hostname, port, username, pathname } = this.#url;
    let connection: Deno.TcpConn | undefined;
    try {
      connection = await Deno.connect({ hostname, port: Number(port) });
      await connection.write(greeting(username, pathname.slice(1)));
      const buffer = new Uint8Array(8_192);
      const length = await connection.read(buffer) ?? 0;
      // What is ready says so at the end of the first answer, five bytes after that byte.
      if (buffer[length - 6] === READY) {
        this.#open.add(connection);
        return true;
      }
    } catch (error) {
      if (
        !(error instanceof Deno.errors.ConnectionRefused) &&
        !(error instanceof Deno.errors.ConnectionReset)
      ) throw error;
    }
    connection?.close();
    return false;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#open) connection.close();
    this.#open.clear();
  }
}

function greeting(user: string, database: string): Uint8Array<ArrayBuffer> {
  const text = `user\0${user}\0database\0${database}\0application_name\0chaos\0\0`;
  const bytes = new Uint8Array(8 + text.length);
  new DataView(bytes.buffer).setUint32(0, bytes.length);
  new DataView(bytes.buffer).setUint32(4, PROTOCOL_VERSION);
  bytes.set(new TextEncoder().encode(text), 8);
  return bytes;
}
