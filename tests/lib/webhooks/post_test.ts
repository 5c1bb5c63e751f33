/** One request to somebody who means no good. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ANSWER_BYTES_MAX, poster } from "../../../lib/webhooks/post.ts";
import { RawSink, Sink } from "../../support/sink.ts";

const certificates = join(import.meta.dirname!, "../../support/certificates");
const read = (name: string) => Deno.readTextFileSync(join(certificates, name));

const TIMEOUT_MS = 500;

/** Sends something to that port of this machine, as if the URL stood for it. */
async function posted(url: string, options: { ca?: string; ms?: number } = {}) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error("too late")), options.ms ?? 10_000);
  const destination = { url: new URL(url), address: "127.0.0.1" };
  const posting = { destination, headers: { "webhook-id": "x" }, body: '{"note":"é"}' };
  try {
    return await poster(options.ca)(posting, late.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Takes the whole request, then goes on with `answer`. */
function answering(answer: (connection: Deno.Conn) => Promise<void>): RawSink {
  return new RawSink(async (connection) => {
    const buffer = new Uint8Array(65_536);
    let text = "";
    while (!text.includes("}")) {
      const count = await connection.read(buffer);
      if (count === null) return;
      text += new TextDecoder().decode(buffer.subarray(0, count));
    }
    await answer(connection);
  });
}

async function say(connection: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** Until the other side has gone, or this one has closed it. */
async function untilClosed(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(1_024);
  const more = () => connection.read(buffer).catch(() => null);
  while (await more() !== null);
}

Deno.test("the name is in the Host header, the path and the body arrive as they are", async () => {
  await using sink = new Sink();
  const { status } = await posted(`http://name.test:${sink.port}/a%20b/?c=d`);
  assert.equal(status, 200);
  const [{ headers, body, path }] = sink.received as [typeof sink.received[number]];
  assert.equal(headers.get("host"), `name.test:${sink.port}`);
  assert.equal(headers.get("content-type"), "application/json");
  assert.equal(headers.get("webhook-id"), "x");
  assert.equal(body, '{"note":"é"}');
  assert.equal(path, "/a%20b/");
});

Deno.test("a redirect is an answer, and not followed", async () => {
  await using sink = new Sink();
  sink.answer = ({ path }) =>
    path === "/" ? Response.redirect(`http://127.0.0.1:${sink.port}/next`, 307) : new Response();
  assert.equal((await posted(`http://name.test:${sink.port}/`)).status, 307);
  assert.deepEqual(sink.received.map(({ path }) => path), ["/"]);
});

Deno.test("of an answer of 10 MB not more is read than it takes to know", async () => {
  let sent = 0;
  let isCut = false;
  await using sink = answering(async (connection) => {
    await say(connection, `HTTP/1.1 200 OK\r\nContent-Length: ${10 * 2 ** 20}\r\n\r\n`);
    const chunk = "x".repeat(65_536);
    try {
      for (; sent < 10 * 2 ** 20; sent += chunk.length) await say(connection, chunk);
    } catch {
      isCut = true;
    }
  });
  assert.equal((await posted(`http://name.test:${sink.port}/`)).status, 200);
  await sink[Symbol.asyncDispose]();
  assert(isCut, "the connection was ended in the middle");
  assert(sent < 10 * 2 ** 20 && ANSWER_BYTES_MAX < 2 ** 20);
});

Deno.test("an answer that drips, or never comes, ends with the deadline", async () => {
  const drips = async (connection: Deno.Conn) => {
    await say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    const closed = untilClosed(connection);
    let isOpen = true;
    closed.finally(() => isOpen = false);
    while (isOpen) {
      await say(connection, "x").catch(() => isOpen = false);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await closed;
  };
  const floods = async (connection: Deno.Conn) => {
    const closed = untilClosed(connection);
    let isOpen = true;
    closed.finally(() => isOpen = false);
    while (isOpen) {
      await say(connection, "HTTP/1.1 100 Continue\r\n\r\n").catch(() => isOpen = false);
    }
    await closed;
  };
  for (const behaviour of [untilClosed, drips, floods]) {
    await using sink = answering(behaviour);
    const startedAt = performance.now();
    await assert.rejects(posted(`http://name.test:${sink.port}/`, { ms: TIMEOUT_MS }));
    assert(performance.now() - startedAt < 10 * TIMEOUT_MS);
  }
});

Deno.test("of interim answers there may be some, and not a flood", async () => {
  const continued = "HTTP/1.1 100 Continue\r\n\r\n";
  const end = "HTTP/1.1 204 No Content\r\n\r\n";
  await using polite = answering((connection) => say(connection, continued.repeat(3) + end));
  assert.equal((await posted(`http://name.test:${polite.port}/`)).status, 204);
  await using flood = answering((connection) => say(connection, continued.repeat(1_000) + end));
  await assert.rejects(posted(`http://name.test:${flood.port}/`), /too many interim answers/);
});

Deno.test("an answer that breaks off, or is none, is a failure", async () => {
  const answers = [
    "",
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
    "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nx",
    `HTTP/1.1 200 OK\r\n${"X-Long: y\r\n".repeat(20_000)}\r\n`,
  ];
  for (const answer of answers) {
    await using sink = answering((connection) => say(connection, answer));
    await assert.rejects(
      posted(`http://name.test:${sink.port}/`, { ms: 5_000 }),
      answer.slice(0, 60),
    );
  }
});

Deno.test("nothing that is compressed is unpacked", async () => {
  const zeros = new Blob([new Uint8Array(20 * 2 ** 20)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  const bomb = new Uint8Array(await new Response(zeros).arrayBuffer());
  assert(bomb.length < ANSWER_BYTES_MAX);
  await using sink = new Sink();
  sink.answer = () => new Response(bomb, { headers: { "content-encoding": "gzip" } });
  assert.equal((await posted(`http://name.test:${sink.port}/`)).status, 200);
});

Deno.test("a certificate must be of the name and of somebody trusted", async () => {
  const server = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    cert: read("leaf.pem"),
    key: read("leaf.key"),
    onListen() {},
  }, (request) => new Response(request.headers.get("host")));
  const { port } = server.addr;
  const ca = read("ca.pem");
  try {
    assert.equal((await posted(`https://hooks.example.com:${port}/`, { ca })).status, 200);
    await assert.rejects(posted(`https://evil.example.com:${port}/`, { ca }), /altnames/);
    await assert.rejects(posted(`https://127.0.0.1:${port}/`, { ca }), /altnames|cert/);
    await assert.rejects(posted(`https://hooks.example.com:${port}/`), /certificate/);
  } finally {
    await server.shutdown();
  }
});

Deno.test("plain HTTP where TLS is meant is a failure", async () => {
  await using sink = new Sink();
  await assert.rejects(posted(`https://hooks.example.com:${sink.port}/`));
  assert.equal(sink.received.length, 0);
});

Deno.test("what is cancelled ends at once, with the reason", async () => {
  await using sink = answering(untilClosed);
  const cancelled = new AbortController();
  const destination = { url: new URL(`http://name.test:${sink.port}/`), address: "127.0.0.1" };
  const answer = poster()({ destination, headers: {}, body: "{}" }, cancelled.signal);
  cancelled.abort(new Error("shutting down"));
  await assert.rejects(answer, /shutting down/);
  await assert.rejects(
    poster()({ destination, headers: {}, body: "{}" }, cancelled.signal),
    /shutting down/,
  );
});
