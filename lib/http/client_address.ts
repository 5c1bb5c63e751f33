/**
 * Where a request comes from: the other end of its connection, or what a trusted proxy says of it.
 *
 * @module
 */
import type { Context } from "hono";
import ipaddr from "ipaddr.js";
import type { TrustedProxies } from "../config.ts";
import { arrivalOf } from "./arrival.ts";
import { networkOf } from "./connection_bounds.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Tells whether an address is of one of these proxies. */
export function proxyList(trusted: readonly TrustedProxies[]): (address: string) => boolean {
  if (trusted.length === 0) return () => false;
  return (text) => {
    const address = addressIn(text);
    return address !== undefined &&
      trusted.some(([network, bits]) =>
        address.kind() === network.kind() && address.match(network, bits)
      );
  };
}

/** More proxies in a row than anybody has. */
const HOPS_MAX = 16;
/** What comes from no connection, as in a test. */
const NOWHERE = "unknown";

/**
 * The address that a request counts for: one in IPv4, or a /64 in IPv6, of which everybody has a
 * whole one.
 *
 * `X-Forwarded-For` is read from its end, where each proxy adds whom it was asked by, and only as
 * far as those are trusted who say so: nothing that a client writes into it is ever looked at. A hop
 * that is no address ends it at the proxy that let it through.
 */
export function clientAddress(c: Context): string {
  const { peer, isTrustedProxy } = arrivalOf(c);
  if (peer === undefined) return NOWHERE;
  const { remoteAddress } = peer;
  if (isTrustedProxy === undefined || !isTrustedProxy(remoteAddress)) {
    return networkOf(remoteAddress);
  }
  const hops = c.req.header("x-forwarded-for") ?? "";
  return networkOf(firstStranger(remoteAddress, hops, isTrustedProxy));
}

function firstStranger(
  proxy: string,
  hops: string,
  isTrusted: (address: string) => boolean,
): string {
  let address = proxy;
  let end = hops.length;
  for (let hop = 0; hop < HOPS_MAX && end > 0 && isTrusted(address); hop++) {
    const start = hops.lastIndexOf(",", end - 1);
    const before = addressIn(hops.slice(start + 1, end).trim());
    if (before === undefined) break;
    address = before.toString();
    end = start;
  }
  return address;
}

/** Some proxies add the port. */
const WITH_PORT = /^(?:\[([0-9a-f:.]{2,45})\]|([0-9.]{7,15}))(?::[0-9]{1,5})?$/i;
const LONGEST = 64;

/** An IPv4 address in the form of an IPv6 one is that IPv4 address. */
function addressIn(text: string): Address | undefined {
  if (text.length > LONGEST) return undefined;
  const match = WITH_PORT.exec(text);
  const bare = match?.[1] ?? match?.[2] ?? text;
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(bare) ||
    bare.includes(":") && ipaddr.IPv6.isValid(bare);
  return isAddress ? ipaddr.process(bare) : undefined;
}
