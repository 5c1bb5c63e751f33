/**
 * Which addresses on the network are anybody's, and which are ours or our neighbours'.
 *
 * @module
 */
import ipaddr from "ipaddr.js";

/** Public by their number, and yet answered by the cloud that this may run in. */
const internal = ["168.63.129.16/32"].map((range) => ipaddr.parseCIDR(range));
/** All that is routed on the Internet; what is not given out yet is nobody's to call. */
const globalUnicast = ipaddr.parseCIDR("2000::/3");

/**
 * Whether a webhook may be sent there: global unicast, and nothing that leads, in whatever form of
 * writing or by whatever tunnel (IPv4-mapped, NAT64, 6to4, Teredo), to a special network.
 *
 * `false` for what is no address in its usual form.
 */
export function isPublicAddress(text: string): boolean {
  if (!isAddress(text)) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== "unicast") return false;
  if (address.kind() === "ipv6" && !address.match(globalUnicast)) return false;
  return !internal.some((range) => address.kind() === range[0].kind() && address.match(range));
}

/** Four decimal numbers or an IPv6 address without a zone. */
export function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) ||
    text.includes(":") && !text.includes("%") && ipaddr.IPv6.isValid(text);
}
