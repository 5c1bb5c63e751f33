/** Real connections, and time that stands still until it is advanced. */
import assert from "node:assert/strict";
import type { ConnectionBounds } from "../../../lib/http/connection_bounds.ts";
import { connectionServer } from "../../../lib/http/connection_server.ts";
import { GuardedServer } from "../../../lib/http/guarded_server.ts";
import type { Handle } from "../../../lib/http/server.ts";
import { inPieces } from "../../../lib/http/in_pieces.ts";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import { Http2Connection } from "../../support/http2_connection.ts";
import { RawConnection } from "../../support/raw_connection.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const bounds: ConnectionBounds = {
  connectionsMax: 100,
  perAddressMax: 100,
  headMs: 2_000,
  idleMs: 3_000,
  requestMs: 4_000,
  closingMs: 500,
};

const GET = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const HALF_SENT = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";

/** Time that can jump, as it does for a process that was stopped. */
class StallingEnv extends VirtualEnv {
  stalledMs = 0;

  override monotonic(): number {
    return super.monotonic() + this.stalledMs;
  }
}

interface Guarded extends AsyncDisposable {
  readonly env: StallingEnv;
  readonly port: number;
  /** What was cut so far, by cause. */
  cuts(): Readonly<Record<string, number>>;
  /** Has it begin to close; it gets on as time does. */
  beginClosing(): void;
  /** Has it close, and resolves when it has. */
  close(): Promise<void>;
}

function guarded(handle: Handle, changed: Partial<ConnectionBounds> = {}): Guarded {
  const serveConnection = connectionServer();
  assert(serveConnection !== undefined, "Deno lends its server for one connection");
  const env = new StallingEnv();
  const observed: RuntimeEvent[] = [];
  const server = new GuardedServer({ hostname: "127.0.0.1", port: 0 }, {
    serveConnection,
    handle,
    onError: () => new Response(null, { status: 500 }),
    bounds: { ...bounds, ...changed },
    env,
    observe: (event) => void observed.push(event),
  });
  let closing: Promise<void> | undefined;
  const beginClosing = () => closing ??= server[Symbol.asyncDispose]();
  const close = () => env.until(beginClosing());
  return {
    env,
    port: server.addr.port,
    beginClosing,
    close,
    cuts: () => {
      const cuts = observed.filter((event) => event.type === "connections-cut");
      return Object.fromEntries(
        [...Map.groupBy(cuts, ({ because }) => because)]
          .map(([because, all]) => [because, all.reduce((sum, cut) => sum + cut.connections, 0)]),
      );
    },
    [Symbol.asyncDispose]: close,
  };
}

const greet: Handle = () => new Response("hello");
const readBody: Handle = async (request) => new Response(await request.text().catch(() => "cut"));

Deno.test("who never speaks, or never ends its first head, is cut after that bound", async () => {
  await using server = guarded(greet);
  using silent = await RawConnection.open(server.port);
  using partial = await RawConnection.open(server.port);
  // One that is answered was accepted after those two.
  using witness = await RawConnection.open(server.port);
  await partial.send("GET / HTTP/1.1\r\nhost: a\r\n");
  assert.match(await witness.ask(GET), /hello/);
  await server.env.advance(bounds.headMs);
  assert.deepEqual(server.cuts(), {});
  await server.env.advance(500);
  assert.deepEqual(server.cuts(), { head: 2 });
  assert.equal(await silent.rest(), "");
  assert.equal(await partial.rest(), "");
  assert.match(await witness.ask(GET), /hello/);
});

Deno.test("who rests after an answer is cut; who asks again is not", async () => {
  await using server = guarded(greet);
  using resting = await RawConnection.open(server.port);
  using asking = await RawConnection.open(server.port);
  assert.match(await resting.ask(GET), /hello/);
  for (let i = 0; i < 4; i++) {
    assert.match(await asking.ask(GET), /hello/);
    await server.env.advance(1_000);
  }
  assert.deepEqual(server.cuts(), { idle: 1 });
  assert.equal(await resting.rest(), "");
});

Deno.test("each bound counts from when it began to hold, not from the one before", async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let begun = 0;
  await using server = guarded(async () => {
    await gates[begun++]!.promise;
    return new Response("hello");
  });
  using connection = await RawConnection.open(server.port);
  for (const [request, gate] of gates.entries()) {
    await server.env.advance(request === 0 ? bounds.headMs : bounds.idleMs);
    await connection.send(GET);
    while (begun === request) await server.env.settle();
    await server.env.advance(bounds.requestMs);
    gate.resolve();
    assert.match((await connection.some())!, /hello/);
  }
  assert.deepEqual(server.cuts(), {});
});

Deno.test("the time in which the process stood still counts against nobody", async () => {
  await using server = guarded(greet);
  using fresh = await RawConnection.open(server.port);
  using resting = await RawConnection.open(server.port);
  assert.match(await resting.ask(GET), /hello/);
  server.env.stalledMs = 60_000;
  await server.env.advance(1_000);
  assert.deepEqual(server.cuts(), {});
  assert.match(await fresh.ask(GET), /hello/);
  assert.match(await resting.ask(GET), /hello/);
  await server.env.advance(bounds.idleMs + 500);
  assert.deepEqual(server.cuts(), { idle: 2 });
});

Deno.test("who sends a body byte by byte is cut, however many bytes came", async () => {
  await using server = guarded(readBody);
  using slow = await RawConnection.open(server.port);
  using witness = await RawConnection.open(server.port);
  await slow.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n");
  assert.match(await witness.ask(GET), /200/);
  for (let i = 0; i < 9; i++) {
    await slow.send("x");
    await server.env.advance(500);
  }
  assert.deepEqual(server.cuts(), { request: 1, idle: 1 });
  assert.equal(await slow.rest(), "");
});

Deno.test("who asks on and on and takes no answer is cut", async () => {
  const begun = Promise.withResolvers<void>();
  await using server = guarded(() => {
    begun.resolve();
    return new Response("x".repeat(60_000));
  });
  using deaf = await RawConnection.open(server.port);
  const asking = (async () => {
    for (;;) await deaf.send(GET.repeat(100));
  })();
  asking.catch(() => {/* seen below */});
  await begun.promise;
  while (server.cuts().idle === undefined) await server.env.advance(bounds.idleMs);
  await assert.rejects(asking, /reset|pipe/i);
});

Deno.test("over HTTP/2, a request has its time, whatever else is asked over its connection", async () => {
  const large = new Uint8Array(1_000_000);
  await using server = guarded((request) => {
    return request.method === "HEAD" ? new Response() : new Response(inPieces(large));
  });
  using deaf = new Http2Connection(server.port, { windowBytes: 0 });
  assert.equal((await deaf.headOf({ ":path": "/" }))[":status"], 200);
  for (let elapsed = 0; elapsed < bounds.requestMs; elapsed += 500) {
    assert.deepEqual(server.cuts(), {});
    assert.equal((await deaf.headOf({ ":method": "HEAD" }))[":status"], 200);
    await server.env.advance(500);
  }
  await server.env.advance(500);
  assert.deepEqual(server.cuts(), { request: 1 });
  await deaf.closed;
});

Deno.test("over HTTP/2, the time of a request ends with it, and that of the next is its own", async () => {
  const gates = new Map<string, () => void>();
  const held: Handle = async ({ url }) => {
    await new Promise<void>((resolve) => gates.set(new URL(url).pathname, resolve));
    return new Response();
  };
  await using server = guarded(held);
  using busy = new Http2Connection(server.port, { windowBytes: 65_535 });
  const begun = async (path: string) => {
    const answered = busy.headOf({ ":path": path });
    while (!gates.has(path)) await server.env.settle();
    return { answered };
  };
  // There is always one in progress, and never one for longer than it may be.
  let { answered } = await begun("/0");
  for (let next = 1; next <= 4; next++) {
    await server.env.advance(bounds.requestMs - 1_000);
    const another = await begun(`/${next}`);
    gates.get(`/${next - 1}`)!();
    assert.equal((await answered)[":status"], 200);
    answered = another.answered;
  }
  assert.deepEqual(server.cuts(), {});
  gates.get("/4")!();
  await answered;
});

Deno.test("beyond the bound for an address, newcomers are closed and the others served", async () => {
  await using server = guarded(greet, { perAddressMax: 2 });
  using first = await RawConnection.open(server.port);
  assert.match(await first.ask(GET), /hello/);
  {
    using second = await RawConnection.open(server.port);
    assert.match(await second.ask(GET), /hello/);
    using third = await RawConnection.open(server.port);
    assert.equal(await third.rest(), "");
    assert.match(await first.ask(GET), /hello/);
  }
  // The second is known to be gone once another one is let in.
  for (;;) {
    using later = await RawConnection.open(server.port);
    if (/hello/.test(await later.ask(GET).catch(() => ""))) break;
  }
});

Deno.test("beyond the bound for all, a newcomer takes the place of one that waits", async () => {
  await using server = guarded(greet, { connectionsMax: 2 });
  using resting = await RawConnection.open(server.port);
  assert.match(await resting.ask(GET), /hello/);
  using silent = await RawConnection.open(server.port);
  using newcomer = await RawConnection.open(server.port);
  assert.match(await newcomer.ask(GET), /hello/);
  assert.equal(await silent.rest(), "");
  assert.match(await resting.ask(GET), /hello/);
});

Deno.test("while all are being served, nobody is displaced, and newcomers are closed", async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using server = guarded(async () => {
    begun.resolve();
    await gate.promise;
    return new Response("at last");
  }, { connectionsMax: 1 });
  using busy = await RawConnection.open(server.port);
  await busy.send(GET);
  await begun.promise;
  using newcomer = await RawConnection.open(server.port);
  assert.equal(await newcomer.rest(), "");
  gate.resolve();
  assert.match((await busy.some())!, /at last/);
});

Deno.test("a handler knows who asks, and may hang up on whoever owes the rest of a body", async () => {
  await using server = guarded((_, peer) => {
    peer.isLeaving = true;
    return new Response(`no, ${peer.remoteAddress}`, { status: 413 });
  });
  using owing = await RawConnection.open(server.port);
  assert.match(await owing.ask(HALF_SENT), /413[^]*no, 127\.0\.0\.1/i);
  await server.env.advance(1_500);
  assert.deepEqual(server.cuts(), { left: 1 });
  assert.equal(await owing.rest(), "");
});

Deno.test("closing answers what is in progress, and waits for nobody who asks for nothing", async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using server = guarded(async (_, peer) => {
    begun.resolve();
    await gate.promise;
    return new Response(peer.isLeaving ? "the last" : "one of many");
  });
  using silent = await RawConnection.open(server.port);
  using busy = await RawConnection.open(server.port);
  await busy.send(GET);
  await begun.promise;
  server.beginClosing();
  assert.equal(await silent.rest(), "");
  await assert.rejects(RawConnection.open(server.port), Deno.errors.ConnectionRefused);
  gate.resolve();
  // Told to leave, it has a moment to take the answer and go.
  assert.match((await busy.some())!, /the last/);
  await server.close();
  assert.deepEqual(server.cuts(), { left: 1 });
  assert.equal(await busy.rest(), "");
});

Deno.test("closing waits only so long for a body that does not come", async () => {
  const begun = Promise.withResolvers<void>();
  await using server = guarded((request) => {
    begun.resolve();
    return request.text().then((text) => new Response(text), () => new Response("cut"));
  });
  using slow = await RawConnection.open(server.port);
  await slow.send(HALF_SENT);
  await begun.promise;
  await server.close();
  assert.deepEqual(server.cuts(), { request: 1 });
  assert.equal(await slow.rest(), "");
});

Deno.test("to cut a connection whose peer has gone while it is served harms nobody", async () => {
  const gate = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  await using server = guarded(async (request) => {
    await request.text().catch(() => gone.resolve());
    await gate.promise;
    return new Response("to nobody");
  });
  {
    using leaving = await RawConnection.open(server.port);
    await leaving.send(HALF_SENT);
  }
  await gone.promise;
  await server.env.advance(bounds.requestMs + 500);
  assert.deepEqual(server.cuts(), { request: 1 });
  gate.resolve();
  using next = await RawConnection.open(server.port);
  assert.match(await next.ask(GET), /to nobody/);
});
