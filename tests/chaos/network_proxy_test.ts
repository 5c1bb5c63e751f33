/** A stretch of network does what its weather says, and nothing else to what it carries. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { type Direction, NetworkProxy } from "../support/network_proxy.ts";

/** Says back whatever it hears. */
class Echo implements AsyncDisposable {
  readonly #server: Server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => this.heard.push(bytes));
    socket.pipe(socket);
  });
  readonly heard: Uint8Array[] = [];

  static async start(): Promise<Echo> {
    const echo = new Echo();
    echo.#server.listen(0, "127.0.0.1");
    await once(echo.#server, "listening");
    return echo;
  }

  get url(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}

interface Line extends AsyncDisposable {
  readonly proxy: NetworkProxy;
  readonly client: Deno.TcpConn;
  readonly heard: readonly Uint8Array[];
  /** Of the end of the line. */
  readonly url: string;
}

async function opened(): Promise<Line> {
  await using opening = new AsyncDisposableStack();
  const echo = opening.use(await Echo.start());
  const proxy = opening.use(await NetworkProxy.before(echo.url));
  const client = opening.use(await Deno.connect({ port: Number(new URL(proxy.url).port) }));
  const resources = opening.move();
  const { heard, url } = echo;
  return { proxy, client, heard, url, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Sends bytes that are all different, and reads as many back. */
async function roundTrip(client: Deno.TcpConn, length: number): Promise<Uint8Array> {
  const sent = Uint8Array.from({ length }, (_, n) => n * 7);
  const sending = (async () => {
    for (let from = 0; from < length;) from += await client.write(sent.subarray(from));
  })();
  const received = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const read = await client.read(received.subarray(filled));
    assert(read !== null, `closed after ${filled} bytes`);
    filled += read;
  }
  await sending;
  assert.deepEqual(received, sent);
  return received;
}

Deno.test("in pieces, late and slowly, everything arrives whole and in order", async () => {
  await using line = await opened();
  line.proxy.turn({ latencyMs: 5, jitterMs: 20, sliceBytes: 1_000, bytesPerSecond: 500_000 });
  await roundTrip(line.client, 20_000);
  assert(line.heard.length >= 20, `${line.heard.length} pieces`);
  line.proxy.turn({});
  await roundTrip(line.client, 3_000_000);
});

Deno.test("what is held arrives once the weather is better, and nothing before", async () => {
  await using line = await opened();
  line.proxy.turn({ held: ["to-server"] });
  const trip = roundTrip(line.client, 100);
  await aMomentLater(line);
  assert.deepEqual(lengths(line), [MOMENT_BYTES]);
  line.proxy.heal();
  await trip;
  assert.deepEqual(lengths(line), [MOMENT_BYTES, 100]);
});

for (const direction of ["to-server", "to-client"] as const satisfies Direction[]) {
  Deno.test(`dead ${direction}, a connection stays open and dead, and new ones are whole`, async () => {
    await using line = await opened();
    line.proxy.treat((bytes, at) => at === direction ? "swallow" : bytes);
    await line.client.write(new Uint8Array(10));
    const reading = line.client.read(new Uint8Array(10));
    await aMomentLater(line);
    line.proxy.heal();
    using other = await Deno.connect({ port: Number(new URL(line.proxy.url).port) });
    await roundTrip(other, 100);
    assert.equal(lengths(line).includes(10), direction === "to-client");
    line.proxy.reset();
    await assert.rejects(reading, Deno.errors.ConnectionReset);
  });
}

const MOMENT_BYTES = 1;

/** In which as much could have happened as happens on a way of its own, there and back. */
async function aMomentLater({ url }: Line): Promise<void> {
  await using clear = await NetworkProxy.before(url);
  using client = await Deno.connect({ port: Number(new URL(clear.url).port) });
  await roundTrip(client, MOMENT_BYTES);
}

function lengths({ heard }: Line): number[] {
  return heard.map(({ length }) => length);
}

Deno.test("a reset is heard as one by whoever is connected", async () => {
  await using line = await opened();
  await roundTrip(line.client, 10);
  assert.equal(line.proxy.reset(), 1);
  await assert.rejects(line.client.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
});
