import assert from "node:assert/strict";
import ipaddr from "ipaddr.js";
import { ConfigurationError, readConfig } from "../../lib/config.ts";
import { defaultQuotas } from "../../lib/quotas.ts";

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
    upstash: undefined,
    rateLimits: { quotas: defaultQuotas, nodes: 1 },
    trustedProxies: [],
    contentFilter: undefined,
    audit: { secrets: [] },
    door: {
      allowedHosts: [],
      origins: [],
      isHttpsRequired: false,
      isAlwaysSecure: false,
    },
    tokens: { secrets: [], issuer: "troupe", audience: "troupe", ttlMs: 43_200_000 },
    mail: { smtpUrl: undefined, from: "Troupe <troupe@localhost>", verifyUrl: undefined },
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
    RATE_LIMITS: "trading=7/min",
    RATE_LIMIT_NODES: "3",
    TRUSTED_PROXIES: "10.0.0.0/8, 192.0.2.1,2001:db8::/32",
    TOKEN_SECRET: "correct horse battery staple, twice",
    TOKEN_SECRETS_RETIRED: "correct horse battery staple without a comma",
    TOKEN_ISSUER: "https://id.example",
    TOKEN_AUDIENCE: "tickets",
    TOKEN_TTL_HOURS: "1",
    CONTENT_FILTER: "on",
    CONTENT_FILTER_WORDS: "mattress, Größe",
    AUDIT_KEY: `${"!".repeat(33)}, BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc`,
    ALLOWED_HOSTS: "api.example, [::1]:8443",
    CORS_ORIGINS: "https://app.example, http://localhost:5173",
    HTTPS_REDIRECT: "true",
    HSTS: "true",
    SMTP_URL: "smtps://troupe:pass@mail",
    MAIL_FROM: "Tickets <tickets@example.org>",
    MAIL_VERIFY_URL: "https://app.example/verify#",
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
    redis: { urls: ["rediss://:secret@cache:6380/2"], channel: "tickets" },
    upstash: undefined,
    rateLimits: {
      quotas: {
        ...defaultQuotas,
        trading: { algorithm: "window", limit: 7, windowMs: 60_000 },
      },
      nodes: 3,
    },
    trustedProxies: [
      ipaddr.parseCIDR("10.0.0.0/8"),
      ipaddr.parseCIDR("192.0.2.1/32"),
      ipaddr.parseCIDR("2001:db8::/32"),
    ],
    tokens: {
      secrets: [
        new TextEncoder().encode("correct horse battery staple, twice"),
        new TextEncoder().encode("correct horse battery staple without a comma"),
      ],
      issuer: "https://id.example",
      audience: "tickets",
      ttlMs: 3_600_000,
    },
    contentFilter: { words: ["mattress", "Größe"] },
    audit: { secrets: [new TextEncoder().encode("!".repeat(33)), new Uint8Array(32).fill(7)] },
    door: {
      allowedHosts: ["api.example", "[::1]:8443"],
      origins: ["https://app.example", "http://localhost:5173"],
      isHttpsRequired: true,
      isAlwaysSecure: true,
    },
    mail: {
      smtpUrl: "smtps://troupe:pass@mail",
      from: "Tickets <tickets@example.org>",
      verifyUrl: "https://app.example/verify#",
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
  ["TOKEN_SECRETS_RETIRED", "x".repeat(31), "x".repeat(32), Array(8).fill("x".repeat(32)).join()],
  ["SMTP_URL", "mail:25", "http://mail"],
  ["MAIL_FROM", "a\nb"],
  ["MAIL_VERIFY_URL", "app.example", "ftp://app.example"],
  ["HOST", "a/b", "user@host"],
  ["REDIS_URL", "cache:6379", "http://cache", "redis://a,", "redis://a,http://b"],
  ["RATE_LIMITS", "on", "trading", "trading=0/min", "trding=1/min", "trading=1/min off"],
  ["RATE_LIMIT_NODES", "0", "some"],
  ["TRUSTED_PROXIES", "10.0.0.0/33", "10.0.0/8", "proxy", "10.0.0.1/", "::/129", "10.0.0.1,", "*"],
];

for (const [name, ...values] of garbage) {
  for (const value of values) {
    Deno.test(`${name}=${value.slice(0, 20)} is a fault`, () => {
      assert.deepEqual(Object.keys(faultsOf({ [name]: value })), [name]);
    });
  }
}

Deno.test("a Redis is reached over TCP or by HTTP, and there not without its token", () => {
  const upstash = {
    UPSTASH_REDIS_REST_URL: "https://eu1.upstash.example",
    UPSTASH_REDIS_REST_TOKEN: "secret",
  };
  assert.deepEqual(readConfig(upstash).upstash, {
    url: "https://eu1.upstash.example",
    token: "secret",
  });
  assert.deepEqual(faultsOf({ ...upstash, UPSTASH_REDIS_REST_TOKEN: "" }), {
    UPSTASH_REDIS_REST_TOKEN: "given with UPSTASH_REDIS_REST_URL",
  });
  assert.deepEqual(faultsOf({ ...upstash, UPSTASH_REDIS_REST_URL: "" }), {
    UPSTASH_REDIS_REST_URL: "given with UPSTASH_REDIS_REST_TOKEN",
  });
  assert.deepEqual(faultsOf({ ...upstash, REDIS_URL: "redis://cache" }), {
    UPSTASH_REDIS_REST_URL: "absent where there is a REDIS_URL",
  });
  assert.deepEqual(faultsOf({ ...upstash, UPSTASH_REDIS_REST_URL: "redis://cache" }), {
    UPSTASH_REDIS_REST_URL: "an https:// or http:// URL",
  });
});

Deno.test("several URLs of Redis are nodes of one cluster", () => {
  const { redis } = readConfig({ REDIS_URL: "redis://a:7000, redis://b:7001" });
  assert.deepEqual(redis?.urls, ["redis://a:7000", "redis://b:7001"]);
});

Deno.test("there may be no limits at all", () => {
  assert.equal(readConfig({ RATE_LIMITS: "off" }).rateLimits.quotas, undefined);
});

Deno.test("a secret in base64url counts for the bytes that it holds", () => {
  const bytes = Uint8Array.from({ length: 32 }, (_, index) => index * 7);
  const text = bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  assert.deepEqual(readConfig({ TOKEN_SECRET: text }).tokens.secrets, [bytes]);
});

Deno.test("retired secrets are believed beside the one in force, and count for nothing without", () => {
  const [first, second, third] = ["a", "b", "c"].map((letter) => letter.repeat(32));
  const { secrets } = readConfig({
    TOKEN_SECRET: first!,
    TOKEN_SECRETS_RETIRED: `${second},${third}`,
  }).tokens;
  assert.equal(secrets.length, 3);
});

Deno.test("a secret too short to be base64url of a key is taken as text", () => {
  const text = "x".repeat(32);
  const { secrets: [secret] } = readConfig({ TOKEN_SECRET: text }).tokens;
  assert.deepEqual(secret, new TextEncoder().encode(text));
});

Deno.test("a passphrase that base64url could not be is taken as text", () => {
  const text = "x".repeat(45);
  const { secrets: [secret] } = readConfig({ TOKEN_SECRET: text }).tokens;
  assert.deepEqual(secret, new TextEncoder().encode(text));
});

Deno.test("who may call is said exactly, or not at all", () => {
  const origins = "origins such as https://app.example.com, with commas between them";
  const wrong = ["*", "null", "https://a.example/", "https://A.example", "https://a.example:443"];
  for (const CORS_ORIGINS of [...wrong, "a.example", "ws://a.example", "https://a.example,"]) {
    assert.deepEqual(faultsOf({ CORS_ORIGINS }), { CORS_ORIGINS: origins }, CORS_ORIGINS);
  }
  const hosts = "host names or host:port, with commas between them";
  for (const ALLOWED_HOSTS of ["*", "https://a.example", "a b", "a.example:port", "a,,b"]) {
    assert.deepEqual(faultsOf({ ALLOWED_HOSTS }), { ALLOWED_HOSTS: hosts }, ALLOWED_HOSTS);
  }
  const networks = "addresses or networks such as 10.0.0.0/8, with commas between them";
  for (
    const TRUSTED_PROXIES of ["*", "10.0.0.0/33", "10.0.0/8", "::/129", "proxy", "1.2.3.4/8/8"]
  ) {
    assert.deepEqual(faultsOf({ TRUSTED_PROXIES }), { TRUSTED_PROXIES: networks }, TRUSTED_PROXIES);
  }
  assert.deepEqual(faultsOf({ HTTPS_REDIRECT: "true" }), {
    ALLOWED_HOSTS: "given where HTTPS_REDIRECT is true",
  });
});
