/**
 * Postgres inside this process: PGlite in a worker, reached as if it were a server.
 *
 * It speaks the protocol of Postgres, so everything above the socket is the same as for a server.
 * Only one session at a time makes sense: behind all of them is one engine.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { lockDataDirectory } from "./data_lock.ts";
import type { EmbeddedReply, EmbeddedRequest } from "./embedded_worker.ts";
import type { Endpoint, SessionOptions } from "./session.ts";

/** Where the engine keeps its files. */
export type Location = { readonly dataDir: string } | { readonly memory: true };

type Credentials = Pick<SessionOptions, "user" | "password" | "database" | "ssl">;

const CLOSE_TIMEOUT_MS = 10_000;

/** What the server says to a client that it lets in without a password, and is ready for. */
const welcome = Uint8Array.of(0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49);

export class EmbeddedDatabase implements Endpoint, Credentials, AsyncDisposable {
  readonly user = "postgres";
  readonly password = "";
  readonly database = "postgres";
  readonly ssl = false;
  readonly #location: Location;
  readonly #resources: AsyncDisposableStack;
  #worker: Worker | undefined;
  #ready = Promise.withResolvers<void>();
  #closed = Promise.withResolvers<void>();
  readonly #sockets = new Map<number, EmbeddedSocket>();
  #socketsOpened = 0;
  /** Or has not started yet. */
  #hasEnded = true;
  #reviving: Promise<void> | undefined;

  private constructor(location: Location, resources: AsyncDisposableStack) {
    this.#location = location;
    this.#resources = resources;
  }

  /**
   * @throws {DataDirectoryInUse} when another process has the directory open.
   * @throws {EngineEnded} when the engine does not start on what is there.
   */
  static async open(location: Location): Promise<EmbeddedDatabase> {
    await using opening = new AsyncDisposableStack();
    if ("dataDir" in location) opening.use(await lockDataDirectory(location.dataDir));
    const embedded = new EmbeddedDatabase(location, opening.move());
    try {
      await embedded.#start();
    } catch (error) {
      await embedded.#terminate();
      throw error;
    }
    return embedded;
  }

  connect(): Duplex {
    if (this.#hasEnded) throw new EngineEnded("it has ended before");
    const id = ++this.#socketsOpened;
    const socket = new EmbeddedSocket({
      send: (bytes) => this.#post({ do: "run", socket: id, bytes }, [bytes.buffer]),
      onClose: () => this.#sockets.delete(id),
    });
    this.#sockets.set(id, socket);
    // Whatever the session before has left behind must not show.
    this.#post({ do: "reset", socket: id });
    return socket;
  }

  /**
   * Starts the engine again if it has died: the files are as a crash has left them, which it can
   * recover from. What was in memory is gone, and an empty database would be worse than none.
   *
   * @throws {EngineEnded} when that cannot be, or it does not start.
   */
  async revive(): Promise<void> {
    if (!this.#hasEnded) return;
    if (!("dataDir" in this.#location)) throw new EngineEnded("it was in memory only");
    // Whoever gave up waiting for it has not stopped it.
    this.#reviving ??= this.#start().finally(() => this.#reviving = undefined);
    await this.#reviving;
  }

  /** The engine cannot hear this: it does nothing else while it runs a statement. */
  async cancel(): Promise<void> {}

  /** Stops the engine as a server is stopped, with a checkpoint, and ends its worker. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) {
      this.#post({ do: "close" });
      const timer = setTimeout(() => this.#closed.resolve(), CLOSE_TIMEOUT_MS);
      await this.#closed.promise;
      clearTimeout(timer);
    }
    await this.#terminate();
  }

  async #start(): Promise<void> {
    // Two engines in one directory destroy it.
    this.#worker?.terminate();
    const worker = new Worker(new URL("./embedded_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<EmbeddedReply>) => this.#receive(data);
    worker.onerror = (event) => {
      // Otherwise the failure of the worker would be the failure of this thread.
      event.preventDefault();
      this.#end(event.message);
    };
    this.#worker = worker;
    this.#ready = Promise.withResolvers();
    this.#closed = Promise.withResolvers();
    const dataDir = "dataDir" in this.#location ? this.#location.dataDir : undefined;
    this.#post({ do: "open", dataDir });
    await this.#ready.promise;
    this.#hasEnded = false;
  }

  #post(request: EmbeddedRequest, transfer: Transferable[] = []): void {
    this.#worker!.postMessage(request, transfer);
  }

  #receive(reply: EmbeddedReply): void {
    switch (reply.is) {
      case "ready":
        return this.#ready.resolve();
      case "reset":
        return void this.#sockets.get(reply.socket)?.push(welcome);
      case "answer":
        return void this.#sockets.get(reply.socket)?.push(reply.bytes);
      case "closed":
        return this.#closed.resolve();
      case "failed":
        return this.#end(reply.message);
    }
  }

  /** All that waits for the engine learns that it has died. */
  #end(why: string): void {
    this.#hasEnded = true;
    const error = new EngineEnded(why);
    this.#ready.reject(error);
    this.#closed.resolve();
    for (const socket of this.#sockets.values()) socket.destroy(error);
  }

  async #terminate(): Promise<void> {
    this.#hasEnded = true;
    this.#worker?.terminate();
    await this.#resources.disposeAsync();
  }
}

/** The engine has failed, and all that is asked of it from then on does. */
export class EngineEnded extends Error {
  override readonly name = "EngineEnded";
  readonly code = "CONNECTION_CLOSED";

  constructor(why: string) {
    super(`The embedded database has ended: ${why}`);
  }
}

interface EmbeddedSocketOptions {
  readonly send: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly onClose: () => void;
}

/** The client's end of a connection to the engine, as the driver expects a socket to be. */
class EmbeddedSocket extends Duplex {
  readonly #options: EmbeddedSocketOptions;
  #isGreeted = false;

  constructor(options: EmbeddedSocketOptions) {
    super();
    this.#options = options;
  }

  get readyState(): "open" | "closed" {
    return this.destroyed ? "closed" : "open";
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    // The first message says who connects, which the engine need not know.
    if (this.#isGreeted) this.#options.send(new Uint8Array(chunk));
    this.#isGreeted = true;
    done();
  }

  override _final(done: () => void): void {
    this.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#options.onClose();
    done(error);
  }
}
