/**
 * The environment: one schema, read once, passed on as plain values.
 *
 * @module
 */
import { z } from "zod";

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
    readonly url: string;
    /** Services that share a Redis each have one of their own. */
    readonly channel: string;
  } | undefined;
  readonly tokens: {
    /** Without one, a key is kept in `dataDir`. */
    readonly secret: Uint8Array<ArrayBuffer> | undefined;
    readonly issuer: string;
    readonly audience: string;
    /** How long a token is good for that `deno task token` mints. */
    readonly ttlMs: number;
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
  DATABASE_ALLOW_UNSAFE: z.enum(["true", "false"], "true or false").default("false"),

  REDIS_URL: z.string().refine(isRedisUrl, "a redis:// or rediss:// URL").optional(),
  REDIS_CHANNEL: name("troupe"),

  TOKEN_SECRET: z.string().transform(secretBytes)
    .refine(
      (bytes) => bytes.length >= SECRET_BYTES_MIN,
      `at least ${SECRET_BYTES_MIN} bytes, as text or in base64url`,
    ).optional(),
  TOKEN_ISSUER: name("troupe"),
  TOKEN_AUDIENCE: name("troupe"),
  TOKEN_TTL_HOURS: integer(12, { min: 1, max: 24 * 366 }),

  WEBHOOK_ALLOWED_HOSTS: z.string().transform((text) => text.split(",").map((host) => host.trim()))
    .refine(
      (hosts) => hosts.every((host) => /^[a-z0-9._:-]{1,253}$/i.test(host)),
      "host names or host:port, with commas between them",
    ).default([]),

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
});

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
      allowUnsafe: read.DATABASE_ALLOW_UNSAFE === "true",
    },
    redis: read.REDIS_URL === undefined
      ? undefined
      : { url: read.REDIS_URL, channel: read.REDIS_CHANNEL },
    tokens: {
      secret: read.TOKEN_SECRET,
      issuer: read.TOKEN_ISSUER,
      audience: read.TOKEN_AUDIENCE,
      ttlMs: read.TOKEN_TTL_HOURS * HOUR_MS,
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

function isPostgresUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^postgres(?:ql)?:$/.test(url.protocol) && url.hostname !== "";
}

function isRedisUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== "";
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
