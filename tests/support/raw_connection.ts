/** One TCP connection on which HTTP is written by hand: whole, in part, or not at all. */
import assert from "node:assert/strict";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class RawConnection implements Disposable {
  readonly #socket: Deno.TcpConn;

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  static async open(port: number): Promise<RawConnection> {
    return new RawConnection(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Has the server accept it, by asking for something first. */
  static async accepted(port: number): Promise<RawConnection> {
    const connection = await RawConnection.open(port);
    assert.match(await connection.ask("GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n"), / 200 /);
    return connection;
  }

  async send(text: string): Promise<void> {
    const bytes = encoder.encode(text);
    for (let sent = 0; sent < bytes.length;) sent += await this.#socket.write(bytes.slice(sent));
  }

  /** The first of what is answered. */
  async ask(text: string): Promise<string> {
    await this.send(text);
    return await this.some() ?? "";
  }

  /** What has come, once there is something; undefined once the server has closed. */
  async some(): Promise<string | undefined> {
    const buffer = new Uint8Array(65_536);
    try {
      const read = await this.#socket.read(buffer);
      return read === null ? undefined : decoder.decode(buffer.subarray(0, read));
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return undefined;
      throw error;
    }
  }

  /** All that comes until the server closes, what was cut half-way included. */
  async rest(): Promise<string> {
    let text = "";
    for (;;) {
      const more = await this.some();
      if (more === undefined) return text;
      text += more;
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
