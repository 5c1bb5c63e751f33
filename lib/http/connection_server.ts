/**
 * Deno's HTTP server on one accepted connection.
 *
 * `Deno.serve` accepts by itself, and then nobody can close one connection of many. What it is made
 * of can be had without the accepting: Deno keeps it for its own modules, under `Deno[Deno.internal]`,
 * and promises nothing. So this file is all that knows of it, a test fails when it changes, and
 * without it the service falls back on `Deno.serve`.
 *
 * @module
 */

export interface RequestInfo {
  /** Settles once the answer has been handed over, a streamed one at its end, or the peer left. */
  readonly completed: Promise<void>;
}

export type HandleOnConnection = (
  request: Request,
  info: RequestInfo,
) => Response | Promise<Response>;

export interface ServedConnection {
  /** Resolves, whoever closed it, once no handler is at work for it any more. */
  readonly finished: Promise<void>;
  /** Closes the connection as it stands. */
  close(): void;
}

export type ServeConnection = (
  socket: Deno.TcpConn,
  handle: HandleOnConnection,
  onError: (error: unknown) => Response,
) => ServedConnection;

/** As much of a signal as Deno's server asks of one. */
interface Cancellation {
  addEventListener(type: "abort", cancel: () => void): void;
}

type ServeHttpOnConnection = (
  socket: Deno.TcpConn,
  cancellation: Cancellation,
  handle: HandleOnConnection,
  onError: (error: unknown) => Response,
  onListen: () => void,
) => { readonly finished: Promise<void> };

/** Undefined where Deno does not lend it. */
export function connectionServer(): ServeConnection | undefined {
  const internals = Reflect.get(Deno, Reflect.get(Deno, "internal") ?? "") ?? {};
  const serveHttpOnConnection: unknown = Reflect.get(internals, "serveHttpOnConnection");
  if (typeof serveHttpOnConnection !== "function") return undefined;
  return serveWith(serveHttpOnConnection as ServeHttpOnConnection);
}

function serveWith(serveHttpOnConnection: ServeHttpOnConnection): ServeConnection {
  return (socket, handle, onError) => {
    let cancel = () => {};
    // Not an AbortSignal: what its listener throws, as this one does for a connection that has just
    // ended, cannot be caught and ends the process.
    const cancellation: Cancellation = {
      addEventListener: (_, listener) => void (cancel = listener),
    };
    const { finished } = serveHttpOnConnection(socket, cancellation, handle, onError, () => {});
    return {
      // It fails when the peer has gone, or never spoke HTTP, which is no concern of ours.
      finished: finished.catch(() => {}),
      close: () => {
        try {
          cancel();
        } catch (error) {
          if (!(error instanceof Deno.errors.BadResource)) throw error;
        }
      },
    };
  };
}
