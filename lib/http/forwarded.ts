/**
 * How a request came to the proxy that brought it.
 *
 * @module
 */

/**
 * Whether it came over TLS, by what the proxy says that is connected to this service; undefined where
 * no proxy says anything. The last value is of that proxy; those before it may be anybody's.
 */
export function isForwardedSecure({ headers }: Request): boolean | undefined {
  const schemes = headers.get("x-forwarded-proto");
  if (schemes === null) return undefined;
  return schemes.slice(schemes.lastIndexOf(",") + 1).trim().toLowerCase() === "https";
}
