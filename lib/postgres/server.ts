/**
 * A Postgres server, as its URL names it.
 *
 * @module
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Backend, Endpoint, SessionOptions } from "./session.ts";

const CANCEL_REQUEST_CODE = 80_877_102;
const CANCEL_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 10_000;

type Address = { readonly host: string; readonly port: number } | { readonly path: string };

export type ServerUrl = Pick<SessionOptions, "user" | "password" | "database" | "ssl"> & {
  readonly address: Address;
  /** Names the server and the database, and no secret. */
  readonly name: string;
};

const sslModes = ["prefer", "require", "verify-full"] as const;

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…`. The host of a Unix socket goes
 * into the query: `postgres://user@localhost/database?host=/var/run/postgresql`.
 *
 * @throws {TypeError} that says what is wrong, without the password.
 */
export function parseServerUrl(text: string): ServerUrl {
  const url = URL.parse(text);
  if (url === null || !/^postgres(?:ql)?:$/.test(url.protocol)) {
    throw new TypeError("the URL must start with postgres:// or postgresql://");
  }
  const user = decodeURIComponent(url.username) || "postgres";
  const database = decodeURIComponent(url.pathname.slice(1)) || user;
  const port = Number(url.port || 5432);
  const folder = url.searchParams.get("host");
  const host = url.hostname.replace(/^\[|\]$/g, "") || "localhost";
  const address = folder === null ? { host, port } : { path: `${folder}/.s.PGSQL.${port}` };
  return {
    user,
    password: decodeURIComponent(url.password),
    database,
    ssl: sslMode(url.searchParams),
    address,
    name: `${folder ?? url.host}/${database}`,
  };
}

function sslMode(parameters: URLSearchParams): SessionOptions["ssl"] {
  for (const name of parameters.keys()) {
    if (name !== "sslmode" && name !== "host") {
      throw new TypeError(`the URL has an unknown ${name}`);
    }
  }
  const mode = parameters.get("sslmode") ?? "disable";
  if (mode === "disable") return false;
  const known = sslModes.find((known) => known === mode);
  if (known === undefined) {
    throw new TypeError(`sslmode must be disable, ${sslModes.join(", ")}`);
  }
  return known;
}

/** Connects sessions to a server over TCP or a Unix socket. */
export class ServerEndpoint implements Endpoint {
  readonly #address: Address;

  constructor(address: Address) {
    this.#address = address;
  }

  connect(): Socket {
    const options = "path" in this.#address
      ? this.#address
      // Each write is a whole batch already; to wait for more would only delay it.
      : { ...this.#address, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    // The driver reads `host` for the server's name in TLS.
    return Object.assign(connect(options), this.#address);
  }

  async cancel({ pid, secret }: Backend): Promise<void> {
    const message = new DataView(new ArrayBuffer(16));
    [16, CANCEL_REQUEST_CODE, pid, secret].forEach((word, n) => message.setUint32(n * 4, word));
    const socket = this.connect();
    socket.setTimeout(CANCEL_TIMEOUT_MS, () => socket.destroy());
    // The server answers by closing. It need not have been heard: nobody waits for the effect.
    socket.on("error", () => {});
    socket.end(new Uint8Array(message.buffer));
    socket.resume();
    await once(socket, "close");
  }
}
