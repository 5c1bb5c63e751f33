/**
 * Where webhooks may go.
 *
 * A URL is looked at twice: when it is registered, so that its owner hears of it, and before each
 * delivery, as names change what they stand for. Whoever connects uses an address out of this answer
 * and never resolves the name again.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import type { Env } from "../env.ts";
import { withinDeadline } from "../resilience/deadline.ts";
import { isAddress, isPublicAddress } from "./addresses.ts";

export const URL_CHARS_MAX = 2_000;
/** Where HTTPS is offered. Others are those of databases, mail and administration. */
const PORTS: ReadonlySet<string> = new Set(["", "8443"]);

/** The addresses of a name; throws where it has none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface Destination {
  readonly url: URL;
  /** Checked; the only one to connect to. */
  readonly address: string;
}

export type Admission =
  | { readonly isAdmitted: true; readonly destination: Destination }
  /** The reason is meant for the owner of the URL, and names no address. */
  | { readonly isAdmitted: false; readonly reason: string };

/** Says whether, and to which address, a webhook may be sent to a URL. */
export type Admit = (url: string) => Promise<Admission>;

export interface AdmissionOptions {
  readonly resolve: Resolve;
  /** Names, or `name:port`, that may be anything: plain HTTP, any port, this very machine. */
  readonly allowedHosts: readonly string[];
}

export function admission({ resolve, allowedHosts }: AdmissionOptions): Admit {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  return async (text) => {
    const url = text.length <= URL_CHARS_MAX && isPlain(text) ? URL.parse(text) : null;
    if (url === null) return refused(`Must be a URL of at most ${URL_CHARS_MAX} characters`);
    const name = url.hostname.replace(/^\[|\]$/g, "");
    const isAllowed = allowed.has(name) || allowed.has(`${name}:${portOf(url)}`);
    const fault = faultIn(url, name, isAllowed);
    if (fault !== undefined) return refused(fault);

    const addresses = isAddress(name) ? [name] : await resolved(resolve, name);
    if (addresses.length === 0) return refused("Must have a host name that resolves");
    // One bad address is enough: whoever controls the name chooses which of them is tried.
    if (!isAllowed && !addresses.every(isPublicAddress)) {
      return refused("Must not lead to a private, local or otherwise special address");
    }
    return { isAdmitted: true, destination: { url, address: preferred(addresses) } };
  };
}

/** `URL` forgives spaces and drops tabs and line breaks; nobody means them. */
function isPlain(text: string): boolean {
  return /^[^\s\p{C}\\]+$/u.test(text);
}

function faultIn(url: URL, name: string, isAllowed: boolean): string | undefined {
  const isWeb = url.protocol === "https:" || isAllowed && url.protocol === "http:";
  if (!isWeb) return "Must begin with https://";
  if (url.username !== "" || url.password !== "") return "Must hold no user name or password";
  if (url.hash !== "" || url.href.endsWith("#")) return "Must have no fragment";
  if (isAllowed) return undefined;
  if (!PORTS.has(url.port)) return "Must be on port 443 or 8443";
  if (isAddress(name)) return undefined;
  // A name without a dot is one of the network that this runs in.
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(name) ? undefined : "Must have a full host name";
}

export function portOf({ port, protocol }: URL): string {
  return port === "" ? protocol === "https:" ? "443" : "80" : port;
}

async function resolved(resolve: Resolve, name: string): Promise<readonly string[]> {
  try {
    return await resolve(name);
  } catch {
    // Why a name is not found is its owner's business; that it is not is all that is said.
    return [];
  }
}

/** Not every network that this runs in has IPv6. */
function preferred(addresses: readonly string[]): string {
  return addresses.find((address) => !address.includes(":")) ?? addresses[0]!;
}

function refused(reason: string): Admission {
  return { isAdmitted: false, reason };
}

const RESOLVE_MS = 5_000;

/** As the operating system sees the name. */
export function systemResolver(env: Pick<Env, "sleep">): Resolve {
  return async (name) => {
    const found = await withinDeadline(() => lookup(name, { all: true, verbatim: true }), {
      env,
      ms: RESOLVE_MS,
      cancelled: new AbortController().signal,
      late: () => new Error(`The name did not resolve within ${RESOLVE_MS} ms`),
    });
    return found.map(({ address }) => address);
  };
}
