/**
 * The environment: one schema, read once, passed on as plain values.
 *
 * @module
 */
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { defaultQuotas, MalformedQuotas, type Quotas, quotasIn } from "./quotas.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Config {
  readonly host: string;
  /** 0 lets the system choose a free one. */
  readonly port: number;
  readonly dataDir: string;
  readonly logLevel: LogLevel;
  readonly database: {
    /** Without one, the embedded database in `dataDir` is used. */
    readonly url: string | undefined;
    readonly poolMax: number;
    /** Accepts a server that may lose what it has confirmed, such as one with `fsync=off`. */
    readonly allowUnsafe: boolean;
  };
  /** Without one, nodes do not tell one another what they wrote. */
  readonly redis: {
    /** Several are nodes of one cluster. */
    readonly urls: readonly string[];
    /** Services that share a Redis each have one of their own. */
    readonly channel: string;
  } | undefined;
  /** A Redis that is reached by HTTP, for what nodes share beside the database, but for news. */
  readonly upstash: { readonly url: string; readonly token: string } | undefined;
  readonly rateLimits: {
    /** Undefined where there are none. */
    readonly quotas: Quotas | undefined;
    /** Of which each has its part while they cannot count together; more if more are heard of. */
    readonly nodes: number;
  };
  /** What they say of where a request comes from is believed. */
  readonly trustedProxies: readonly TrustedProxies[];
  readonly tokens: {
    /** The first signs, all are believed. Without any, keys are kept in `dataDir`. */
    readonly secrets: readonly Uint8Array<ArrayBuffer>[];
    readonly issuer: string;
    readonly audience: string;
    /** How long a token is good for that `deno task token` mints. */
    readonly ttlMs: number;
  };
  /** Words of one's own beyond the list; undefined where nothing is filtered. */
  readonly contentFilter: { readonly words: readonly string[] } | undefined;
  /** With the first of them the audit is sealed; the others have sealed what is there already. */
  readonly audit: { readonly secrets: readonly Uint8Array<ArrayBuffer>[] };
  /** Who is let in, and how; see `lib/http/door.ts`. */
  readonly door: {
    readonly allowedHosts: readonly string[];
    readonly origins: readonly string[];
    readonly isHttpsRequired: boolean;
    readonly isAlwaysSecure: boolean;
  };
  readonly mail: {
    /** Without one, letters are written to the log. */
    readonly smtpUrl: string | undefined;
    readonly from: string;
    /** Of the page that takes the token which verifies an address; the token is appended. */
    readonly verifyUrl: string | undefined;
  };
  readonly webhooks: {
    /** For development: hosts, or `host:port`, that webhooks may reach whatever they are. */
    readonly allowedHosts: readonly string[];
  };
  readonly limits: {
    /** Messages that may wait for one actor. */
    readonly mailboxCapacity: number;
    readonly residentActorsMax: number;
    /** An actor idle for this long is passivated. */
    readonly idleMs: number;
    readonly requestTimeoutMs: number;
    readonly bodyBytesMax: number;
    /** From the head of a request to the end of its body. */
    readonly bodyMs: number;
    /** Open at once. */
    readonly connectionsMax: number;
    readonly connectionsPerAddressMax: number;
    /** From a connection's beginning to the end of its first request's head. */
    readonly headMs: number;
    /** From an answer to the end of the next request's head, its taking included. */
    readonly keepAliveMs: number;
    /** How long requests are still served after SIGTERM, while balancers learn of it. */
    readonly shutdownGraceMs: number;
    /** How long a shutdown waits for work in progress. */
    readonly shutdownMs: number;
    /** How long the reply to an `Idempotency-Key` is remembered. */
    readonly replyRetentionMs: number;
    /** How long a query waits for a projection to reach the reader's own writes. */
    readonly consistencyWaitMs: number;
  };
}

/** One network of them. */
export type TrustedProxies = ReturnType<typeof ipaddr.parseCIDR>;

export interface ConfigurationFault {
  readonly name: string;
  readonly expected: string;
}

/** Everything wrong with the configuration at once. It names variables and never their values. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly faults: readonly ConfigurationFault[];

  constructor(faults: readonly ConfigurationFault[], options?: ErrorOptions) {
    const lines = faults.map(({ name, expected }) => `${name} must be ${expected}`);
    super(`Cannot start: ${lines.join("; ")}`, options);
    this.faults = faults;
  }
}

const SECRET_BYTES_MIN = 32;
const RETIRED_SECRETS_MAX = 7;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const Environment = z.object({
  // Only this machine, unless told otherwise: nobody who tries the service on a laptop means to
  // offer it to the café's network. A container must be reached from outside itself, so the
  // Dockerfile says HOST=0.0.0.0, and what is published is decided where it is run.
  HOST: z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, "a host name or an IP address")
    .default("127.0.0.1"),
  PORT: integer(8_000, { min: 0, max: 65_535 }),
  DATA_DIR: z.string().refine((path) => !path.includes("\0"), "a path").default("./data"),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error"], "debug, info, warn or error")
    .default("info"),

  DATABASE_URL: z.string().refine(isPostgresUrl, "a postgres:// or postgresql:// URL").optional(),
  DATABASE_POOL_MAX: integer(8, { min: 1, max: 1_000 }),
  DATABASE_ALLOW_UNSAFE: flag(),

  REDIS_URL: z.string().transform((text) => text.split(",").map((url) => url.trim()))
    .refine(
      (urls) => urls.every(isRedisUrl),
      "a redis:// or rediss:// URL, or those of nodes of a cluster with commas between them",
    ).optional(),
  REDIS_CHANNEL: name("troupe"),
  UPSTASH_REDIS_REST_URL: z.string().refine(isHttpUrl, "an https:// or http:// URL").optional(),
  UPSTASH_REDIS_REST_TOKEN: z.string().regex(/^[\x21-\x7e]{1,500}$/, "visible ASCII characters")
    .optional(),

  RATE_LIMITS: z.string().transform(quotas).default(defaultQuotas),
  RATE_LIMIT_NODES: integer(1, { min: 1, max: 10_000 }),
  TRUSTED_PROXIES: z.string().transform(networks).default([]),

  TOKEN_SECRET: z.string().transform(secretBytes)
    .refine(isSecret, `at least ${SECRET_BYTES_MIN} bytes, as text or in base64url`).optional(),
  TOKEN_SECRETS_RETIRED: z.string().transform((text) => text.split(",").map(secretBytes))
    .refine(
      (secrets) => secrets.length <= RETIRED_SECRETS_MAX && secrets.every(isSecret),
      `up to ${RETIRED_SECRETS_MAX} secrets as in TOKEN_SECRET, with commas between them`,
    ).default([]),
  TOKEN_ISSUER: name("troupe"),
  TOKEN_AUDIENCE: name("troupe"),
  TOKEN_TTL_HOURS: integer(12, { min: 1, max: 24 * 366 }),

  SMTP_URL: z.string().refine(isSmtpUrl, "an smtp:// or smtps:// URL").optional(),
  MAIL_FROM: z.string().regex(/^[^\p{C}]{3,320}$/u, "an e-mail address, with or without a name")
    .default("Troupe <troupe@localhost>"),
  MAIL_VERIFY_URL: z.string().refine(isWebUrl, "an http:// or https:// URL").optional(),
  AUDIT_KEY: z.string().transform((text) => text.split(",").map((part) => secretBytes(part.trim())))
    .refine(
      (secrets) => secrets.every((bytes) => bytes.length >= SECRET_BYTES_MIN),
      `at least ${SECRET_BYTES_MIN} bytes, as text or in base64url; older ones after it, with commas`,
    ).default([]),

  CONTENT_FILTER: z.enum(["on", "off"], "on or off").default("off"),
  CONTENT_FILTER_WORDS: list(
    /^[\p{L}\p{N}][\p{L}\p{N} '-]{0,99}$/u,
    "words of letters and digits, with commas between them",
  ),

  ALLOWED_HOSTS: list(
    /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i,
    "host names or host:port, with commas between them",
  ),
  CORS_ORIGINS: list(isOrigin, "origins such as https://app.example.com, with commas between them"),
  HTTPS_REDIRECT: flag(),
  HSTS: flag(),

  WEBHOOK_ALLOWED_HOSTS: list(
    /^[a-z0-9._:-]{1,253}$/i,
    "host names or host:port, with commas between them",
  ),

  MAILBOX_CAPACITY: integer(10_000, { min: 1, max: 1_000_000 }),
  RESIDENT_ACTORS_MAX: integer(100_000, { min: 1, max: 10_000_000 }),
  IDLE_MS: integer(60_000, { min: 100, max: DAY_MS }),
  REQUEST_TIMEOUT_MS: integer(10_000, { min: 1, max: HOUR_MS }),
  BODY_BYTES_MAX: integer(65_536, { min: 1_024, max: 16 * 1_048_576 }),
  BODY_MS: integer(10_000, { min: 100, max: HOUR_MS }),
  CONNECTIONS_MAX: integer(4_096, { min: 1, max: 1_000_000 }),
  CONNECTIONS_PER_ADDRESS_MAX: integer(1_024, { min: 1, max: 1_000_000 }),
  HEAD_MS: integer(10_000, { min: 100, max: HOUR_MS }),
  KEEP_ALIVE_MS: integer(30_000, { min: 100, max: HOUR_MS }),
  SHUTDOWN_GRACE_MS: integer(2_000, { min: 0, max: HOUR_MS }),
  SHUTDOWN_MS: integer(10_000, { min: 0, max: HOUR_MS }),
  REPLY_RETENTION_HOURS: integer(168, { min: 1, max: 24 * 366 }),
  CONSISTENCY_WAIT_MS: integer(2_000, { min: 0, max: 60_000 }),
}).superRefine((read, context) => {
  const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token, REDIS_URL } = read;
  const fault = (name: string, message: string) =>
    context.addIssue({ code: "custom", path: [name], message });
  if (url !== undefined && token === undefined) {
    fault("UPSTASH_REDIS_REST_TOKEN", "given with UPSTASH_REDIS_REST_URL");
  }
  if (url === undefined && token !== undefined) {
    fault("UPSTASH_REDIS_REST_URL", "given with UPSTASH_REDIS_REST_TOKEN");
  }
  if (url !== undefined && REDIS_URL !== undefined) {
    fault("UPSTASH_REDIS_REST_URL", "absent where there is a REDIS_URL");
  }
  if (read.TOKEN_SECRET === undefined && read.TOKEN_SECRETS_RETIRED.length > 0) {
    fault("TOKEN_SECRETS_RETIRED", "absent while there is no TOKEN_SECRET");
  }
  // Where requests are sent is made of the Host, which anybody can write.
  if (read.HTTPS_REDIRECT && read.ALLOWED_HOSTS.length === 0) {
    fault("ALLOWED_HOSTS", "given where HTTPS_REDIRECT is true");
  }
});

/** The names of all that it reads: a process needs to be let at no other variable for it. */
export const variableNames: readonly string[] = Object.keys(Environment.shape);

/** Of what a process was told, that. */
export function variablesIn(env: Pick<Deno.Env, "get">): Readonly<Record<string, string>> {
  const told = variableNames.flatMap((name) => {
    const value = env.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(told);
}

/**
 * Reads the configuration from `env`. A variable set to nothing counts as absent.
 *
 * @throws {ConfigurationError} with all that is wrong.
 */
export function readConfig(env: Readonly<Record<string, string>>): Config {
  const present = Object.entries(env).filter(([, value]) => value !== "");
  const result = Environment.safeParse(Object.fromEntries(present));
  if (!result.success) throw new ConfigurationError(faultsIn(result.error));
  return configOf(result.data);
}

function configOf(read: z.output<typeof Environment>): Config {
  return {
    host: read.HOST,
    port: read.PORT,
    dataDir: read.DATA_DIR,
    logLevel: read.LOG_LEVEL,
    database: {
      url: read.DATABASE_URL,
      poolMax: read.DATABASE_POOL_MAX,
      allowUnsafe: read.DATABASE_ALLOW_UNSAFE,
    },
    redis: read.REDIS_URL === undefined
      ? undefined
      : { urls: read.REDIS_URL, channel: read.REDIS_CHANNEL },
    upstash: upstashOf(read),
    rateLimits: { quotas: read.RATE_LIMITS ?? undefined, nodes: read.RATE_LIMIT_NODES },
    trustedProxies: read.TRUSTED_PROXIES,
    tokens: {
      secrets: read.TOKEN_SECRET === undefined
        ? []
        : [read.TOKEN_SECRET, ...read.TOKEN_SECRETS_RETIRED],
      issuer: read.TOKEN_ISSUER,
      audience: read.TOKEN_AUDIENCE,
      ttlMs: read.TOKEN_TTL_HOURS * HOUR_MS,
    },
    contentFilter: read.CONTENT_FILTER === "on" ? { words: read.CONTENT_FILTER_WORDS } : undefined,
    audit: { secrets: read.AUDIT_KEY },
    door: {
      allowedHosts: read.ALLOWED_HOSTS,
      origins: read.CORS_ORIGINS,
      isHttpsRequired: read.HTTPS_REDIRECT,
      isAlwaysSecure: read.HSTS,
    },
    mail: {
      smtpUrl: read.SMTP_URL,
      from: read.MAIL_FROM,
      verifyUrl: read.MAIL_VERIFY_URL,
    },
    webhooks: { allowedHosts: read.WEBHOOK_ALLOWED_HOSTS },
    limits: {
      mailboxCapacity: read.MAILBOX_CAPACITY,
      residentActorsMax: read.RESIDENT_ACTORS_MAX,
      idleMs: read.IDLE_MS,
      requestTimeoutMs: read.REQUEST_TIMEOUT_MS,
      bodyBytesMax: read.BODY_BYTES_MAX,
      bodyMs: read.BODY_MS,
      connectionsMax: read.CONNECTIONS_MAX,
      connectionsPerAddressMax: read.CONNECTIONS_PER_ADDRESS_MAX,
      headMs: read.HEAD_MS,
      keepAliveMs: read.KEEP_ALIVE_MS,
      shutdownGraceMs: read.SHUTDOWN_GRACE_MS,
      shutdownMs: read.SHUTDOWN_MS,
      replyRetentionMs: read.REPLY_RETENTION_HOURS * HOUR_MS,
      consistencyWaitMs: read.CONSISTENCY_WAIT_MS,
    },
  };
}

function upstashOf(read: z.output<typeof Environment>): Config["upstash"] {
  const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = read;
  return url === undefined || token === undefined ? undefined : { url, token };
}

/** Null for none at all: what is undefined would be the default. */
function quotas(text: string, context: z.RefinementCtx): Quotas | null {
  if (text === "off") return null;
  try {
    return quotasIn(text);
  } catch (error) {
    if (!(error instanceof MalformedQuotas)) throw error;
    context.addIssue({ code: "custom", message: error.message });
    return z.NEVER;
  }
}

function networks(text: string, context: z.RefinementCtx): TrustedProxies[] {
  const found = text.split(",").map((part) => networkIn(part.trim()));
  const networks = found.filter((network) => network !== undefined);
  if (networks.length === found.length) return networks;
  context.addIssue({
    code: "custom",
    message: "addresses or networks such as 10.0.0.0/8, with commas between them",
  });
  return z.NEVER;
}

/** A single address is a network of one. */
function networkIn(text: string): TrustedProxies | undefined {
  const [address, bits, ...more] = text.split("/");
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(address!) ||
    address!.includes(":") && ipaddr.IPv6.isValid(address!);
  if (!isAddress || more.length > 0) return undefined;
  if (bits === undefined) return [ipaddr.parse(address!), address!.includes(":") ? 128 : 32];
  return /^[0-9]{1,3}$/.test(bits) && ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined;
}

function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "";
}

function faultsIn(error: z.ZodError): ConfigurationFault[] {
  return error.issues.map(({ path, message }) => ({ name: path.join("."), expected: message }));
}

function integer(fallback: number, { min, max }: { readonly min: number; readonly max: number }) {
  return z.string()
    .refine(
      (text) => /^[0-9]{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max,
      `a whole number from ${min} to ${max}`,
    )
    .transform(Number)
    .default(fallback);
}

function name(fallback: string) {
  return z.string().regex(/^[\x21-\x7e]{1,200}$/, "1 to 200 visible ASCII characters")
    .default(fallback);
}

function flag() {
  return z.enum(["true", "false"], "true or false").transform((text) => text === "true")
    .default(false);
}

/** With commas between its parts. */
function list(isPart: RegExp | ((part: string) => boolean), expected: string) {
  return z.string().transform((text) => text.split(",").map((part) => part.trim()))
    .refine(
      (parts) => parts.every((part) => isPart instanceof RegExp ? isPart.test(part) : isPart(part)),
      expected,
    ).default([]);
}

/** As a browser writes it: no path, no default port, in small letters. `*` is none, and `null` neither. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}

function isPostgresUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^postgres(?:ql)?:$/.test(url.protocol) && url.hostname !== "";
}

function isSmtpUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^smtps?:$/.test(url.protocol) && url.hostname !== "";
}

function isWebUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol);
}

function isRedisUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== "";
}

function isSecret(bytes: Uint8Array): boolean {
  return bytes.length >= SECRET_BYTES_MIN;
}

/** Decoded where it reads as enough base64url, as the key file holds it; otherwise plain text. */
function secretBytes(text: string): Uint8Array<ArrayBuffer> {
  const decodesToEnough = /^[A-Za-z0-9_-]+=*$/.test(text) && text.length * 3 / 4 >= 32;
  if (decodesToEnough) {
    try {
      return Uint8Array.fromBase64(text, { alphabet: "base64url" });
    } catch (error) {
      // A passphrase can have the alphabet and yet not the length of base64url.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return new TextEncoder().encode(text);
}
