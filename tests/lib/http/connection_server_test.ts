import assert from "node:assert/strict";
import { connectionServer } from "../../../lib/http/connection_server.ts";
import { RawConnection } from "../../support/raw_connection.ts";

const serve = connectionServer();

/** A connection that is served, and its other end. */
async function pair(handle: () => Promise<Response>) {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const peer = await RawConnection.open(listener.addr.port);
  const onError = () => new Response("sorry", { status: 500 });
  return { peer, served: serve!(await listener.accept(), handle, onError) };
}

Deno.test("this Deno lends its server for one connection", () => {
  assert(serve !== undefined);
});

Deno.test("one connection is closed as it stands, and others are not", async () => {
  const greet = () => Promise.resolve(new Response("hello"));
  const first = await pair(greet);
  const second = await pair(greet);
  first.served.close();
  await first.served.finished;
  assert.equal(await first.peer.rest(), "");
  assert.match(await second.peer.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), /hello/);
  second.peer[Symbol.dispose]();
  await second.served.finished;
  first.peer[Symbol.dispose]();
});

Deno.test("to close one that is over is no fault", async () => {
  const { peer, served } = await pair(() => Promise.resolve(new Response("hello")));
  peer[Symbol.dispose]();
  await served.finished;
  served.close();
});

Deno.test("a handler that fails is answered for", async () => {
  const { peer, served } = await pair(() => Promise.reject(new Error("a bug")));
  assert.match(await peer.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), / 500 [^]*sorry/);
  peer[Symbol.dispose]();
  await served.finished;
});
