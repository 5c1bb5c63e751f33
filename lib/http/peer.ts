/** Who is at the other end of a connection, as routes see it: `c.env`. */
import type { Context } from "hono";

export interface Peer {
  /** Of the other end of the connection: a proxy, where there is one. */
  readonly remoteAddress: string;
  /** Closes the connection once the answer is out, however much its sender still owes. */
  hangUp(): void;
}

/** The peer of a request, if it came over a connection. */
export function peerOf(c: Context): Peer | undefined {
  const env = c.env as Partial<Peer> | undefined;
  return env?.hangUp === undefined ? undefined : env as Peer;
}
