/** One connection that speaks HTTP/2 in the open, and takes no more of an answer than it wants. */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";

export interface Http2Request {
  readonly ":method"?: string;
  readonly ":path"?: string;
  readonly ":scheme"?: string;
  readonly [name: string]: string | undefined;
}

export class Http2Connection implements Disposable {
  /** Resolves when the other side has closed it. */
  readonly closed: Promise<void>;
  readonly #session: ClientHttp2Session;

  /** `windowBytes` of each answer are taken, and no more until it is read. */
  constructor(port: number, { windowBytes }: { readonly windowBytes: number }) {
    const settings = { initialWindowSize: windowBytes };
    this.#session = connect(`http://127.0.0.1:${port}`, { settings });
    this.closed = new Promise((resolve) => this.#session.once("close", resolve));
    // That it was cut is what `closed` tells.
    this.#session.on("error", () => {});
  }

  /** Asks, and resolves to the head of the answer; the rest of it is not taken. */
  async headOf(
    request: Http2Request,
  ): Promise<IncomingHttpHeaders & { readonly ":status"?: number }> {
    const stream = this.#session.request({ ...request });
    return await new Promise((resolve, reject) => {
      stream.once("response", resolve);
      stream.on("error", reject);
      stream.once("close", () => reject(new Error("It was not answered")));
    });
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}
