/**
 * A stretch of network before a server, which can be made to misbehave.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";

type Direction = "to-server" | "to-client";

/** What becomes of some bytes: these go on, or nothing more ever does, or both ends are cut. */
type Treatment = Uint8Array | "swallow" | "cut";

export class NetworkProxy implements AsyncDisposable {
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #treat: (bytes: Uint8Array, direction: Direction) => Treatment = (bytes) => bytes;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  /** Listens on a port of its own, and leads to `url`. */
  static async before(url: string): Promise<NetworkProxy> {
    const proxy = new NetworkProxy(new URL(url));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    const { port } = this.#server.address() as { port: number };
    const url = new URL(this.#target);
    url.host = `127.0.0.1:${port}`;
    return url.href;
  }

  /** From now on, `treat` decides on all that comes through. */
  treat(treat: (bytes: Uint8Array, direction: Direction) => Treatment): void {
    this.#treat = treat;
  }

  heal(): void {
    this.#treat = (bytes) => bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    const ends = [...this.#sockets].map((socket) => once(socket, "close"));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([closed, ...ends]);
  }

  #join(client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname);
    this.#forward(client, server, "to-server");
    this.#forward(server, client, "to-client");
  }

  #forward(from: Socket, to: Socket, direction: Direction): void {
    this.#sockets.add(from);
    let isDead = false;
    from.on("data", (bytes) => {
      const treatment = isDead ? "swallow" : this.#treat(bytes, direction);
      if (treatment === "cut") {
        from.destroy();
        to.destroy();
      } else if (treatment === "swallow") {
        // Later bytes would not make sense to either end without these.
        isDead = true;
      } else {
        to.write(treatment);
      }
    });
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      // A dead network tells nobody that the other end has gone.
      if (!isDead) to.destroy();
    });
  }
}
