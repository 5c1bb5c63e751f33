/**
 * One HTTP request to somebody who is not trusted.
 *
 * Over `node:https`, as `fetch` always resolves the name itself: here the socket is opened to the
 * address that was checked, and the name serves only for the `Host` header and the certificate.
 *
 * @module
 */
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { isAddress } from "./addresses.ts";
import { type Destination, portOf } from "./destination.ts";

export const ANSWER_BYTES_MAX = 65_536;
/** Answers like "100 Continue" before the one that counts. */
const INTERIM_MAX = 10;

export interface Posting {
  readonly destination: Destination;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface PostAnswer {
  readonly status: number;
  /** As it was sent. */
  readonly retryAfter: string | undefined;
}

/**
 * Resolves once the answer has ended, or has grown beyond {@linkcode ANSWER_BYTES_MAX}, of which
 * nothing is kept. Follows no redirect and keeps no connection.
 *
 * @throws {Error} in words that may be shown: of the connection or the certificate; the reason of the
 * signal, at once, when that is aborted.
 */
export type Post = (posting: Posting, signal: AbortSignal) => Promise<PostAnswer>;

/** `certificateAuthority` is PEM, and stands instead of those that the platform trusts. */
export function poster(certificateAuthority?: string): Post {
  return async (posting, signal) => await exchange(posting, signal, certificateAuthority);
}

function exchange(
  { destination, headers, body }: Posting,
  signal: AbortSignal,
  certificateAuthority: string | undefined,
): Promise<PostAnswer> {
  signal.throwIfAborted();
  const { url } = destination;
  const { request } = url.protocol === "https:" ? https : http;
  return new Promise((resolve, reject) => {
    const sent = request({
      method: "POST",
      path: url.pathname + url.search,
      agent: agentTo(destination, certificateAuthority),
      headers: {
        "Host": url.host,
        "Content-Type": "application/json",
        "Content-Length": new TextEncoder().encode(body).byteLength,
        "User-Agent": "Troupe-Webhooks/1",
        "Accept-Encoding": "identity",
        ...headers,
      },
    });
    // First of all, and to the end: an error that nobody hears ends the process.
    sent.on("error", reject);
    const isAborted = () => {
      reject(signal.reason);
      sent.destroy();
    };
    signal.addEventListener("abort", isAborted, { once: true });
    // Whoever answers without an end, in a way that is none, would keep this side reading.
    let interim = 0;
    const refuse = (reason: string) => {
      reject(new Error(reason));
      signal.removeEventListener("abort", isAborted);
      sent.destroy();
    };
    sent.on("information", () => {
      if (++interim > INTERIM_MAX) refuse("It sent too many interim answers");
    });
    sent.on("upgrade", () => refuse("It answered 101: nothing was to be switched"));
    sent.on("response", (answer) => {
      read(answer).then(resolve, reject).finally(() => {
        signal.removeEventListener("abort", isAborted);
        sent.destroy();
      });
    });
    sent.end(body);
  });
}

/** Throws the content away; a body is neither kept, nor unpacked, nor logged. */
function read(answer: IncomingMessage): Promise<PostAnswer> {
  return new Promise((resolve, reject) => {
    const { statusCode: status = 0, headers } = answer;
    const end = () => resolve({ status, retryAfter: headers["retry-after"] });
    let bytes = 0;
    answer.on("data", (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      if (bytes >= ANSWER_BYTES_MAX) end();
    });
    answer.on("end", end);
    answer.on("error", reject);
    answer.on("close", () => reject(new Error("The answer broke off")));
  });
}

/** Connects to the one address, whatever the request says; every certificate is verified. */
function agentTo({ url, address: host }: Destination, certificateAuthority: string | undefined) {
  const port = Number(portOf(url));
  if (url.protocol === "http:") {
    return withConnection(new http.Agent(once), () => net.connect({ host, port }));
  }
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const connect = () =>
    tls.connect({
      host,
      port,
      rejectUnauthorized: true,
      ALPNProtocols: ["http/1.1"],
      // An address has no server name; its certificate is compared with `host`.
      ...(!isAddress(name) && { servername: name }),
      ...(certificateAuthority !== undefined && { ca: certificateAuthority }),
    });
  return withConnection(new https.Agent(once), connect);
}

const once = { keepAlive: false, maxSockets: 1 };

function withConnection<Agent extends http.Agent>(agent: Agent, connect: () => net.Socket): Agent {
  return Object.assign(agent, { createConnection: connect });
}
