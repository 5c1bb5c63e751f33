/**
 * The name under which a request says that it reached this service.
 *
 * @module
 */

/**
 * A name or an address, and a port: what else may stand in `Host` is nothing that a client sends.
 * Deno puts it before the path as it is, so that `a?b` as a host would make the path a query.
 */
const AUTHORITY = /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i;

/**
 * The authority of the URL that Deno has made of a request; undefined for what is none, or where the
 * `Host` says something else, as it may beside a target with a host of its own.
 */
export function authorityOf({ url, headers }: Request): string | undefined {
  const start = url.indexOf("//") + 2;
  const host = headers.get("host");
  if (host !== null) {
    const isWhole = url.startsWith(host, start) && url[start + host.length] === "/";
    return isWhole && AUTHORITY.test(host) ? host : undefined;
  }
  // In HTTP/2 it is no header. HTTP/1 without one looks the same here: as localhost, by Deno.
  const end = url.indexOf("/", start);
  const authority = end < 0 ? url.slice(start) : url.slice(start, end);
  return AUTHORITY.test(authority) ? authority : undefined;
}

/** Tells whether an authority is one of `hosts`: each with a port, or without for any port. */
export function hostList(hosts: readonly string[]): (authority: string) => boolean {
  const listed = new Set(hosts.map((host) => host.toLowerCase()));
  return (authority) => {
    const name = authority.toLowerCase();
    return listed.has(name) || listed.has(name.replace(/:[0-9]+$/, ""));
  };
}
