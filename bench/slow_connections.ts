/**
 * A thousand connections of five kinds that hold on, and a client that only wants to be served.
 *
 *     deno task slow-connections [--each=200] [--server=guarded|Deno.serve] [--requests=4000] [--rounds=3]
 *
 * Says when the connections of each kind were closed, and how much longer the good client's slowest
 * requests took meanwhile: it registers people, as many requests before the others come as while they
 * hold on, in turns. Fails unless all are closed in time, and its p99 is at most doubled.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { People, startReal } from "./contestants.ts";
import { medianOf } from "./figures.ts";
import { GoodClient } from "./good_client.ts";
import { createDatabase, databaseServer, delay, type Server, settle } from "./processes.ts";

/** What slow ones send, they send byte by byte, one in this time. */
const dripMs = 1_000;
/** By the default bounds the longest is 30 s after the last answer. */
const closedWithinMs = 35_000;
const p99RatioMax = 2;

interface Kind {
  readonly name: string;
  /** Sent at once. */
  readonly first: string;
  /** Sent byte by byte afterwards, over and over. */
  readonly drip?: string;
  /** Takes no answer. */
  readonly isDeaf?: boolean;
}

function kindsFor(eventId: string, token: string): readonly Kind[] {
  const head = [
    `POST /api/v1/events/${eventId}/registrations HTTP/1.1`,
    "host: slow",
    `authorization: Bearer ${token}`,
    "content-type: application/json",
    "content-length: 60000",
    "",
    "",
  ].join("\r\n");
  const get = "GET /health/ready HTTP/1.1\r\nhost: slow\r\n\r\n";
  return [
    { name: "silent", first: "" },
    { name: "partial head", first: "GET / HTTP/1.1\r\nhost: slow\r\nx: ", drip: "y" },
    { name: "slow body", first: head, drip: " " },
    { name: "idle", first: get },
    { name: "never reading", first: get.repeat(20), isDeaf: true },
  ];
}

/** One that holds on, from its opening until it is closed. */
class SlowConnection {
  readonly kind: Kind;
  closedAfterMs: number | undefined;
  readonly #socket: Deno.TcpConn;
  readonly #openedAt = performance.now();

  private constructor(kind: Kind, socket: Deno.TcpConn) {
    this.kind = kind;
    this.#socket = socket;
    this.#send(kind.first);
    if (!kind.isDeaf) void this.#read();
  }

  static async open(kind: Kind, { hostname, port }: URL): Promise<SlowConnection> {
    return new SlowConnection(kind, await Deno.connect({ hostname, port: Number(port) }));
  }

  get isOpen(): boolean {
    return this.closedAfterMs === undefined;
  }

  /** One byte more. For one that takes no answer it is how it learns that there is nobody any more. */
  drip(): void {
    if (this.kind.isDeaf) this.#send("G");
    else if (this.kind.drip !== undefined) this.#send(this.kind.drip);
  }

  close(): void {
    this.#socket.close();
  }

  #send(text: string): void {
    this.#socket.write(new TextEncoder().encode(text)).catch(() => this.#closed());
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(4_096);
    try {
      while (await this.#socket.read(buffer) !== null);
    } catch {
      // It was reset, which is a way to close it.
    }
    this.#closed();
  }

  #closed(): void {
    this.closedAfterMs ??= performance.now() - this.#openedAt;
  }
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      each: { type: "string", default: "200" },
      server: { type: "string", default: "guarded" },
      requests: { type: "string", default: "4000" },
      rounds: { type: "string", default: "3" },
    },
  });
  const [each, requests, rounds] = [values.each, values.requests, values.rounds].map(Number) as [
    number,
    number,
    number,
  ];
  await using closing = new AsyncDisposableStack();
  const people = await People.create();
  const token = await people.organizer();
  const database = await createDatabase(databaseServer());
  closing.defer(database.drop);
  const dataDir = await Deno.makeTempDir({ prefix: "troupe_slow_" });
  closing.defer(() => Deno.remove(dataDir, { recursive: true }));
  const { secret } = people;
  const env = { SERVER: values.server };
  const server = await startReal({ secret, dataDir, databaseUrl: database.url, env });
  closing.defer(server.stop);
  const good = closing.use(await GoodClient.open(server, token));
  await good.p99Ms(requests);

  const ratios: number[] = [];
  let late = 0;
  for (let round = 1; round <= rounds; round++) {
    await settle(server.pid);
    const before = await good.p99Ms(requests);
    const held = await holdOn(server, { kinds: kindsFor(good.eventId, token), each });
    const meanwhile: number[] = [];
    // As long as they hold on, and at least once.
    const until = performance.now() + closedWithinMs;
    do {
      meanwhile.push(await good.p99Ms(requests));
    } while (held.connections.some(({ isOpen }) => isOpen) && performance.now() < until);
    held.stop();
    const worst = medianOf(meanwhile);
    ratios.push(worst / before);
    console.log(
      `round ${round}: p99 ${before.toFixed(1)} ms alone, ${worst.toFixed(1)} ms meanwhile`,
    );
    console.log(report(held.connections));
    late += held.connections.filter(({ isOpen }) => isOpen).length;
    held.connections.forEach((connection) => connection.close());
  }
  const ratio = medianOf(ratios);
  console.log(`p99 ${ratio.toFixed(2)} times, at most ${p99RatioMax}; left open: ${late}`);
  const isGood = late === 0 && ratio <= p99RatioMax;
  console.log(isGood ? "HELD" : "NOT HELD");
  return isGood ? 0 : 1;
}

async function holdOn(
  server: Server,
  { kinds, each }: { readonly kinds: readonly Kind[]; readonly each: number },
): Promise<{ readonly connections: readonly SlowConnection[]; stop(): void }> {
  const connections: SlowConnection[] = [];
  const dripping = setInterval(() => {
    for (const connection of connections) if (connection.isOpen) connection.drip();
  }, dripMs);
  for (let i = 0; i < each; i++) {
    for (const kind of kinds) {
      connections.push(await SlowConnection.open(kind, new URL(server.url)));
    }
  }
  await delay(dripMs);
  return { connections, stop: () => clearInterval(dripping) };
}

function report(connections: readonly SlowConnection[]): string {
  const byKind = Map.groupBy(connections, ({ kind }) => kind.name);
  return [...byKind].map(([name, all]) => {
    const closed = all.flatMap(({ closedAfterMs }) => closedAfterMs ?? []).sort((a, b) => a - b);
    const [first, last] = [closed[0], closed.at(-1)].map((ms) => ((ms ?? 0) / 1_000).toFixed(1));
    const when = closed.length === 0 ? "" : `, after ${first} to ${last} s`;
    return `  ${name.padEnd(14)} ${closed.length} of ${all.length} closed${when}`;
  }).join("\n");
}

if (import.meta.main) Deno.exit(await main(Deno.args));
