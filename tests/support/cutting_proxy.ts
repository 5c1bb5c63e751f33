/** A way to the database server that can be cut at a chosen statement. */

/** Where the cut falls: the statement never arrives, may arrive, or did and its answer got lost. */
export type Moment = "before" | "during" | "after";

export interface Cut {
  /** Part of what the client sends: something that is in no other statement. */
  readonly marker: string;
  /** How many sendings behind the marked one the cut falls. */
  readonly later?: number;
  readonly moment: Moment;
}

interface Link {
  readonly client: Deno.TcpConn;
  readonly server: Deno.TcpConn;
  /** Sendings still to come before the cut, once the marker has passed. */
  left?: number;
  isAnswerLost: boolean;
}

export class CuttingProxy implements AsyncDisposable {
  readonly url: string;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: Deno.ConnectOptions;
  readonly #links = new Set<Link>();
  readonly #ended: Promise<void>;
  #cut: Cut | undefined;

  constructor(serverUrl: string) {
    const url = new URL(serverUrl);
    this.#target = { hostname: url.hostname, port: Number(url.port || 5432) };
    url.hostname = "127.0.0.1";
    url.port = String(this.#listener.addr.port);
    this.url = url.href;
    this.#ended = this.#accept();
  }

  get hasCut(): boolean {
    return this.#cut === undefined;
  }

  /** Cuts once; the connections that follow stay whole. */
  cutAt(cut: Cut): void {
    this.#cut = cut;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const link of this.#links) this.#close(link);
    await this.#ended;
  }

  async #accept(): Promise<void> {
    const pumps: Promise<void>[] = [];
    for await (const client of this.#listener) {
      const server = await Deno.connect(this.#target);
      const link: Link = { client, server, isAnswerLost: false };
      this.#links.add(link);
      pumps.push(this.#pump(link, client, server, (bytes) => this.#momentIn(link, bytes)));
      pumps.push(this.#pump(link, server, client, () => link.isAnswerLost ? "before" : undefined));
    }
    await Promise.all(pumps);
  }

  async #pump(
    link: Link,
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    momentIn: (bytes: Uint8Array) => Moment | undefined,
  ): Promise<void> {
    try {
      const buffer = new Uint8Array(65_536);
      for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
        const moment = momentIn(buffer.subarray(0, read));
        if (moment === "before") break;
        if (moment === "after") link.isAnswerLost = true;
        for (let sent = 0; sent < read;) sent += await to.write(buffer.subarray(sent, read));
        if (moment === "during") break;
      }
    } catch {
      // One side has gone, however it went; then so does the other.
    }
    this.#close(link);
  }

  #momentIn(link: Link, bytes: Uint8Array): Moment | undefined {
    if (this.#cut === undefined) return undefined;
    const { marker, later = 0, moment } = this.#cut;
    if (link.left !== undefined) link.left--;
    else if (new TextDecoder().decode(bytes).includes(marker)) link.left = later;
    if (link.left !== 0) return undefined;
    this.#cut = undefined;
    return moment;
  }

  #close(link: Link): void {
    if (!this.#links.delete(link)) return;
    link.client.close();
    link.server.close();
  }
}
