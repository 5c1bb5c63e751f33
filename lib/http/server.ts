/** What serves HTTP: with bounds of its own, or as the platform does. */
import type { Peer } from "./arrival.ts";

export type Handle = (request: Request, peer: Peer) => Response | Promise<Response>;

/** Disposing it accepts no more, answers what is in progress, and closes every connection. */
export interface HttpServer extends AsyncDisposable {
  readonly addr: Deno.NetAddr;
}

export interface Place {
  readonly hostname: string;
  /** 0 lets the system choose a free one. */
  readonly port: number;
}

/** Deno's own server. It has no bound for slow connections: somebody in front must. */
export function denoServer(place: Place, handle: Handle): HttpServer {
  return Deno.serve({ ...place, onListen() {} }, (request, { remoteAddr }) => {
    return handle(request, { remoteAddress: remoteAddr.hostname, isLeaving: false });
  });
}

/**
 * The same for platforms that decide themselves where requests come in. They end TLS, and write into
 * the URL whether there was any.
 */
export function platformServer(place: Place, handle: Handle): HttpServer {
  return denoServer(place, (request, peer) => {
    return handle(request, { ...peer, isSecure: request.url.startsWith("https:") });
  });
}
