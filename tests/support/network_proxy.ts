/**
 * A stretch of network before a server, which can be made to misbehave.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";

export type Direction = "to-server" | "to-client";

/** What becomes of some bytes: these go on, or nothing more ever does, or both ends are cut. */
export type Treatment = Uint8Array | "swallow" | "cut";

export type Treat = (bytes: Uint8Array, direction: Direction) => Treatment;

/** How what goes on does so; all of it both ways. */
export interface Weather {
  readonly latencyMs?: number;
  /** Added to the latency, anew for each piece: up to so much. */
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** Arrives in pieces of so many bytes. */
  readonly sliceBytes?: number;
  /** Kept back until the weather is better, as a network does that loses packets for a while. */
  readonly held?: readonly Direction[];
}

/** Where a cut falls: the bytes never arrive, may arrive, or did and the answer to them got lost. */
export type Moment = "before" | "during" | "after";

export interface Cut {
  /** Part of what the client sends: something that is in nothing else. */
  readonly marker: string;
  /** How many sendings behind the marked one the cut falls. */
  readonly later?: number;
  readonly moment: Moment;
}

/** Above this much on its way in one direction, its sender has to wait. */
const UNDER_WAY_BYTES_MAX = 1_048_576;

const asIs: Treat = (bytes) => bytes;

export class NetworkProxy implements AsyncDisposable {
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #links = new Set<Link>();
  #treat: Treat = asIs;
  #weather: Weather = {};
  #betterWeather = Promise.withResolvers<void>();
  #cut: Cut | undefined;

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
    return url.href.replace(/\/$/, "");
  }

  /** Connections through it. */
  get links(): number {
    return this.#links.size;
  }

  get hasCut(): boolean {
    return this.#cut === undefined;
  }

  /** From now on, `treat` decides on all that comes through. */
  treat(treat: Treat): void {
    this.#treat = treat;
  }

  /** From now on, what goes on does so like this. */
  turn(weather: Weather): void {
    this.#weather = weather;
    this.#betterWeather.resolve();
    this.#betterWeather = Promise.withResolvers();
  }

  /** Cuts once; the connections that follow stay whole. */
  cutAt(cut: Cut): void {
    this.#cut = cut;
  }

  /** Ends all connections, as a machine does that knows nothing of them; says how many. */
  reset(): number {
    const count = this.#links.size;
    for (const { client, server } of this.#links) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    return count;
  }

  /** From now on, all goes on as it comes. Who still talks to somebody who has gone learns of it. */
  heal(): void {
    this.#treat = asIs;
    this.#cut = undefined;
    this.turn({});
    for (const link of this.#links) {
      if (link.client.destroyed || link.server.destroyed) destroy(link);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    const ends = [...this.#sockets].map((socket) => once(socket, "close"));
    for (const socket of this.#sockets) socket.destroy();
    this.heal();
    await Promise.all([closed, ...ends]);
  }

  #join(client: Socket): void {
    const server = connect(Number(this.#target.port || 5432), this.#target.hostname);
    client.setNoDelay(true);
    server.setNoDelay(true);
    const link: Link = { client, server, isAnswerLost: false };
    this.#links.add(link);
    this.#forward(link, "to-server");
    this.#forward(link, "to-client");
  }

  #forward(link: Link, direction: Direction): void {
    const [from, to] = direction === "to-server"
      ? [link.client, link.server]
      : [link.server, link.client];
    const stretch = new Stretch(from, to, direction, () => this.#weather, () => {
      return this.#betterWeather.promise;
    });
    this.#sockets.add(from);
    let isDead = false;
    from.on("data", (bytes) => {
      const treatment = isDead ? "swallow" : this.#treat(bytes, direction);
      if (treatment === "swallow") {
        // Later bytes would not make sense to either end without these.
        isDead = true;
        return;
      }
      const moment = treatment === "cut" ? "before" : this.#momentIn(link, treatment, direction);
      if (moment === "after") link.isAnswerLost = true;
      if (moment !== "before") stretch.carry(treatment as Uint8Array);
      if (moment === "before" || moment === "during") stretch.finish(() => destroy(link));
    });
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      if (to.destroyed) this.#links.delete(link);
      // A dead network tells nobody that the other end has gone.
      if (!isDead) stretch.finish(() => to.destroy());
    });
  }

  #momentIn(link: Link, bytes: Uint8Array, direction: Direction): Moment | undefined {
    if (direction === "to-client") return link.isAnswerLost ? "before" : undefined;
    if (this.#cut === undefined) return undefined;
    const { marker, later = 0, moment } = this.#cut;
    if (link.left !== undefined) link.left--;
    else if (new TextDecoder().decode(bytes).includes(marker)) link.left = later;
    if (link.left !== 0) return undefined;
    this.#cut = undefined;
    return moment;
  }
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Sendings still to come before the cut, once the marker has passed. */
  left?: number;
  isAnswerLost: boolean;
}

function destroy({ client, server }: Link): void {
  client.destroy();
  server.destroy();
}

/** One direction of one connection: what it carries arrives in order, whatever the weather. */
class Stretch {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #direction: Direction;
  readonly #weather: () => Weather;
  readonly #change: () => Promise<void>;
  #arrived: Promise<void> = Promise.resolve();
  #underWay = 0;

  constructor(
    from: Socket,
    to: Socket,
    direction: Direction,
    weather: () => Weather,
    change: () => Promise<void>,
  ) {
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    this.#weather = weather;
    this.#change = change;
  }

  carry(bytes: Uint8Array): void {
    const { latencyMs = 0, jitterMs = 0, ...rest } = this.#weather();
    const isClear = latencyMs + jitterMs === 0 && Object.keys(rest).length === 0;
    if (isClear && this.#underWay === 0) return void this.#to.write(bytes);
    const dueAt = performance.now() + latencyMs + jitterMs * Math.random();
    this.#underWay += bytes.length;
    if (this.#underWay > UNDER_WAY_BYTES_MAX) this.#from.pause();
    this.#arrived = this.#arrived.then(async () => {
      await this.#deliver(bytes, dueAt);
      this.#underWay -= bytes.length;
      if (this.#underWay <= UNDER_WAY_BYTES_MAX) this.#from.resume();
    });
  }

  /** Once all that was carried has arrived. */
  finish(end: () => void): void {
    if (this.#underWay === 0) end();
    else this.#arrived.then(end);
  }

  async #deliver(bytes: Uint8Array, dueAt: number): Promise<void> {
    await pause(dueAt - performance.now());
    while (this.#weather().held?.includes(this.#direction) && !this.#to.destroyed) {
      await this.#change();
    }
    for (let sent = 0; sent < bytes.length && !this.#to.destroyed;) {
      const { bytesPerSecond, sliceBytes = bytes.length } = this.#weather();
      const piece = bytes.subarray(sent, sent + sliceBytes);
      this.#to.write(piece);
      sent += piece.length;
      if (bytesPerSecond !== undefined) await pause(1_000 * piece.length / bytesPerSecond);
      // So that the pieces leave as they are, and are not joined on the way.
      else if (sent < bytes.length) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
