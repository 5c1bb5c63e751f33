/** What comes with a request beside its message: as Hono hands it on, `c.env`. */
import type { Context } from "hono";
import type { ServiceMode } from "../resilience/mode.ts";
import type { AnswerHeaders } from "./problem.ts";

/** Who is at the other end of a connection. */
export interface Peer {
  /** Of the other end of the connection: a proxy, where there is one. */
  readonly remoteAddress: string;
  /**
   * The connection is closed once the answer is out, however much its sender still owes. An answer
   * made by then says so, see `commonHeaders`.
   */
  isLeaving: boolean;
  /** What came over it can be read in two ways, so nothing more that comes is. */
  isUnclear?: boolean;
  /** It is known to be over TLS, by whoever accepted it. */
  readonly isSecure?: boolean;
}

export interface Arrival {
  /** Absent where no connection is, as in a test. */
  readonly peer?: Peer | undefined;
  /** Whether this address is of a proxy that is believed whom it speaks for. */
  readonly isTrustedProxy?: (address: string) => boolean;
  /** Of whatever answers it; see `door.ts`. */
  readonly headers?: AnswerHeaders;
  /** The node that it came to. */
  readonly service?: Pick<ServiceMode, "mode"> | undefined;
}

export function arrivalOf(c: Context): Arrival {
  return c.env ?? {};
}

/** Has the answer be the last over its connection. */
export function hangUp(c: Context): void {
  const { peer } = arrivalOf(c);
  if (peer !== undefined) peer.isLeaving = true;
}
