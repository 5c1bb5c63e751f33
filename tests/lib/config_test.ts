import assert from "node:assert/strict";
import { ConfigurationError, readConfig } from "../../lib/config.ts";

function faultsOf(env: Record<string, string>): Record<string, string> {
  try {
    readConfig(env);
  } catch (error) {
    assert(error instanceof ConfigurationError);
    return Object.fromEntries(error.faults.map(({ name, expected }) => [name, expected]));
  }
  return {};
}

Deno.test("nothing needs to be configured", () => {
  assert.deepEqual(readConfig({ PATH: "/usr/bin", HOME: "/root" }), {
    host: "127.0.0.1",
    port: 8_000,
    dataDir: "./data",
    logLevel: "info",
    database: { url: undefined, poolMax: 8, allowUnsafe: false },
    redis: undefined,
    tokens: { secret: undefined, issuer: "troupe", audience: "troupe", ttlMs: 43_200_000 },
    webhooks: { allowedHosts: [] },
    limits: {
      mailboxCapacity: 10_000,
      residentActorsMax: 100_000,
      idleMs: 60_000,
      requestTimeoutMs: 10_000,
      bodyBytesMax: 65_536,
      bodyMs: 10_000,
      connectionsMax: 4_096,
      connectionsPerAddressMax: 1_024,
      headMs: 10_000,
      keepAliveMs: 30_000,
      shutdownGraceMs: 2_000,
      shutdownMs: 10_000,
      replyRetentionMs: 604_800_000,
      consistencyWaitMs: 2_000,
    },
  });
});

Deno.test("everything can be configured", () => {
  const config = readConfig({
    HOST: "::",
    PORT: "0",
    DATA_DIR: "/var/lib/troupe",
    LOG_LEVEL: "debug",
    DATABASE_URL: "postgresql://troupe:pass@db:5432/troupe?sslmode=require",
    DATABASE_POOL_MAX: "4",
    DATABASE_ALLOW_UNSAFE: "true",
    REDIS_URL: "rediss://:secret@cache:6380/2",
    REDIS_CHANNEL: "tickets",
    TOKEN_SECRET: "correct horse battery staple, twice",
    TOKEN_ISSUER: "https://id.example",
    TOKEN_AUDIENCE: "tickets",
    TOKEN_TTL_HOURS: "1",
    WEBHOOK_ALLOWED_HOSTS: "localhost, sink:9000",
    MAILBOX_CAPACITY: "1",
    RESIDENT_ACTORS_MAX: "2",
    IDLE_MS: "300",
    REQUEST_TIMEOUT_MS: "4",
    BODY_BYTES_MAX: "5000",
    BODY_MS: "501",
    CONNECTIONS_MAX: "502",
    CONNECTIONS_PER_ADDRESS_MAX: "503",
    HEAD_MS: "504",
    KEEP_ALIVE_MS: "505",
    SHUTDOWN_GRACE_MS: "12",
    SHUTDOWN_MS: "6",
    REPLY_RETENTION_HOURS: "7",
    CONSISTENCY_WAIT_MS: "8",
  });
  assert.deepEqual(config, {
    host: "::",
    port: 0,
    dataDir: "/var/lib/troupe",
    logLevel: "debug",
    database: {
      url: "postgresql://troupe:pass@db:5432/troupe?sslmode=require",
      poolMax: 4,
      allowUnsafe: true,
    },
    redis: { url: "rediss://:secret@cache:6380/2", channel: "tickets" },
    tokens: {
      secret: new TextEncoder().encode("correct horse battery staple, twice"),
      issuer: "https://id.example",
      audience: "tickets",
      ttlMs: 3_600_000,
    },
    webhooks: { allowedHosts: ["localhost", "sink:9000"] },
    limits: {
      mailboxCapacity: 1,
      residentActorsMax: 2,
      idleMs: 300,
      requestTimeoutMs: 4,
      bodyBytesMax: 5_000,
      bodyMs: 501,
      connectionsMax: 502,
      connectionsPerAddressMax: 503,
      headMs: 504,
      keepAliveMs: 505,
      shutdownGraceMs: 12,
      shutdownMs: 6,
      replyRetentionMs: 25_200_000,
      consistencyWaitMs: 8,
    },
  });
});

Deno.test("a variable set to nothing counts as absent", () => {
  const names = ["PORT", "HOST", "DATA_DIR", "DATABASE_URL", "TOKEN_SECRET", "LOG_LEVEL"];
  assert.deepEqual(readConfig(Object.fromEntries(names.map((name) => [name, ""]))), readConfig({}));
});

Deno.test("all faults are told at once, and no value with them", () => {
  const env = {
    PORT: "hunter2",
    HOST: "hunter2 hunter2",
    DATABASE_URL: "mysql://root:hunter2@db/x",
    TOKEN_SECRET: "hunter2",
    LOG_LEVEL: "hunter2",
    IDLE_MS: "hunter2",
  };
  assert.deepEqual(faultsOf(env), {
    PORT: "a whole number from 0 to 65535",
    HOST: "a host name or an IP address",
    DATABASE_URL: "a postgres:// or postgresql:// URL",
    TOKEN_SECRET: "at least 32 bytes, as text or in base64url",
    LOG_LEVEL: "debug, info, warn or error",
    IDLE_MS: "a whole number from 100 to 86400000",
  });
  assert.throws(() => readConfig(env), (error: Error) => {
    assert(!`${error.stack} ${Deno.inspect(error)}`.includes("hunter2"));
    assert.match(error.message, /^Cannot start: .*PORT must be a whole number.*LOG_LEVEL must be/);
    return !error.message.includes("\n");
  });
});

const garbage: readonly [name: string, ...values: string[]][] = [
  ["PORT", "-1", "65536", "8e3", "0x1f40", "80.5", " 80", "８０", "Infinity", "1".repeat(400)],
  ["MAILBOX_CAPACITY", "0", "many"],
  ["BODY_BYTES_MAX", "0", "64kB"],
  ["DATABASE_ALLOW_UNSAFE", "yes", "1", "TRUE"],
  ["DATABASE_URL", "db:5432", "http://db/x", "postgres://", "postgres:x"],
  ["LOG_LEVEL", "INFO", "trace"],
  ["TOKEN_ISSUER", "two words", "x".repeat(201)],
  ["TOKEN_SECRET", "x".repeat(31)],
  ["HOST", "a/b", "user@host"],
];

for (const [name, ...values] of garbage) {
  for (const value of values) {
    Deno.test(`${name}=${value.slice(0, 20)} is a fault`, () => {
      assert.deepEqual(Object.keys(faultsOf({ [name]: value })), [name]);
    });
  }
}

Deno.test("a secret in base64url counts for the bytes that it holds", () => {
  const bytes = Uint8Array.from({ length: 32 }, (_, index) => index * 7);
  const text = bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  assert.deepEqual(readConfig({ TOKEN_SECRET: text }).tokens.secret, bytes);
});

Deno.test("a secret too short to be base64url of a key is taken as text", () => {
  const text = "x".repeat(32);
  const { secret } = readConfig({ TOKEN_SECRET: text }).tokens;
  assert.deepEqual(secret, new TextEncoder().encode(text));
});

Deno.test("a passphrase that base64url could not be is taken as text", () => {
  const text = "x".repeat(45);
  const { secret } = readConfig({ TOKEN_SECRET: text }).tokens;
  assert.deepEqual(secret, new TextEncoder().encode(text));
});
