/**
 * Ways to serve HTTP from Deno, each behind the same handler, for `bench/http_servers.ts`.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Handle, HttpServer, Place } from "../lib/http/server.ts";
import {
  guardedServer,
  type OpenServer,
  type ServerParts,
  unguardedServer,
} from "../deploy/server.ts";

export const serverKinds = ["guarded", "Deno.serve", "node:http", "relay"] as const;
export type ServerKind = typeof serverKinds[number];

/** As `SERVER` says; what the service uses, unless it says. */
export function chosenServer(): OpenServer {
  return openers[(Deno.env.get("SERVER") ?? "guarded") as ServerKind];
}

const openers: Readonly<Record<ServerKind, OpenServer>> = {
  "guarded": guardedServer,
  "Deno.serve": unguardedServer,
  "node:http": opened(nodeServer),
  "relay": opened(relayedServer),
};

function opened(open: (place: Place, handle: Handle) => HttpServer): OpenServer {
  return ({ config, http }: ServerParts) =>
    open(
      { hostname: config.host, port: config.port },
      (request, peer) => http.fetch(request, { peer }),
    );
}

/** Node's server, which has the time-outs, and the least that makes a `Request` of what it gives. */
function nodeServer({ hostname, port }: Place, handle: Handle): HttpServer {
  const server = createServer((incoming, outgoing) => {
    const chunks: Uint8Array[] = [];
    incoming.on("data", (chunk) => chunks.push(chunk));
    incoming.on("end", () => void reply(handle, incoming, { outgoing, chunks }));
  });
  server.listen(port, hostname, 511);
  return {
    addr: { transport: "tcp", hostname, port },
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function reply(
  handle: Handle,
  incoming: IncomingMessage,
  { outgoing, chunks }: { readonly outgoing: ServerResponse; readonly chunks: Uint8Array[] },
): Promise<void> {
  const { method = "GET", url, headers, socket } = incoming;
  const request = new Request(`http://${headers.host}${url}`, {
    method,
    headers: headers as Record<string, string>,
    ...(method === "POST" && { body: new Blob(chunks as Uint8Array<ArrayBuffer>[]) }),
  });
  const peer = { remoteAddress: socket.remoteAddress ?? "", isLeaving: false };
  const response = await handle(request, peer);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(await response.text());
}

/** A front of ours in the same process: every byte is read and written once more. */
function relayedServer({ hostname, port }: Place, handle: Handle): HttpServer {
  const server = Deno.serve(
    { hostname, port: 0, onListen() {} },
    (request) => handle(request, { remoteAddress: "", isLeaving: false }),
  );
  const listener = Deno.listen({ hostname, port });
  const accepting = (async () => {
    for await (const socket of listener) void relay(socket, server.addr.port);
  })();
  return {
    addr: { transport: "tcp", hostname, port },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await accepting;
      await server.shutdown();
    },
  };
}

async function relay(socket: Deno.TcpConn, port: number): Promise<void> {
  using outer = socket;
  using inner = await Deno.connect({ hostname: "127.0.0.1", port });
  outer.setNoDelay(true);
  inner.setNoDelay(true);
  await Promise.race([copy(outer, inner), copy(inner, outer)]).catch(() => {/* one has gone */});
}

async function copy(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(16_384);
  for (;;) {
    const read = await from.read(buffer);
    if (read === null) return;
    for (let sent = 0; sent < read;) sent += await to.write(buffer.subarray(sent, read));
  }
}
