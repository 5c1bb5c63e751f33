/** Every kind of answer, as it comes over the wire, before a scanner of headers. */
import assert from "node:assert/strict";
import { type RawAnswer, rawAnswer, type RawRequest, requestText } from "../support/raw_answer.ts";
import { ServerProcess, tokenFor } from "../support/server_process.ts";
import { faultsIn } from "./header_grade.ts";

const olga = ["authorization", `Bearer ${await tokenFor("olga", "organizer")}`] as const;
const json = ["content-type", "application/json"] as const;
const plan = JSON.stringify({
  title: "Recital",
  startsAt: "2040-06-01T18:00:00.000Z",
  endsAt: "2040-06-01T20:00:00.000Z",
  capacity: 2,
});
const chunked = ["transfer-encoding", "chunked"] as const;
const events = "/api/v1/events";

/** A request for each way there is to answer, and the status that it then has. */
const kinds: readonly (readonly [status: number, request: RawRequest])[] = [
  [200, { path: "/health/live" }],
  [200, { path: "/health/ready" }],
  [200, { path: events, headers: [olga] }],
  [200, { method: "HEAD", path: events, headers: [olga] }],
  [201, { method: "POST", path: events, headers: [olga, json], body: plan }],
  [400, { method: "POST", path: events, headers: [olga, json], body: "{" }],
  [400, { path: "/health/live", headers: [["host", "a?b"]] }],
  [401, { path: events }],
  [401, { path: events, headers: [["authorization", "Bearer x"]] }],
  [403, { path: "/api/v1/dead-letters", headers: [olga] }],
  [404, { path: "/" }],
  [404, { path: "/nowhere" }],
  [404, { path: `${events}/0190a5c0-7b1e-7000-8000-00000000000a`, headers: [olga] }],
  [405, { method: "DELETE", path: "/health/live" }],
  [405, { method: "TRACE", path: "/health/live" }],
  [408, { method: "POST", path: events, headers: [olga, json, ["content-length", "9"]] }],
  [412, {
    method: "POST",
    path: `${events}/0190a5c0-7b1e-7000-8000-00000000000a/publish`,
    headers: [olga, ["if-match", 'W/"1"']],
  }],
  [413, {
    method: "POST",
    path: events,
    headers: [olga, json],
    body: `{"title":"${"x".repeat(70_000)}"}`,
  }],
  [413, {
    method: "POST",
    path: events,
    headers: [olga, json, chunked],
    body: `11800\r\n${"x".repeat(0x11800)}\r\n0\r\n\r\n`,
  }],
  [415, { method: "POST", path: events, headers: [olga], body: plan }],
  [415, {
    method: "POST",
    path: events,
    headers: [olga, json, ["content-encoding", "gzip"]],
    body: plan,
  }],
];

/** Of each header what it says, where it came once; a header that came twice fails. */
function once({ headers }: RawAnswer) {
  return (name: string): string | undefined => {
    const values = headers.get(name) ?? [];
    assert(values.length <= 1, `${name} came twice: ${values.join(" | ")}`);
    return values[0];
  };
}

async function startServer(cleaning: AsyncDisposableStack, variables: Record<string, string>) {
  const DATA_DIR = await Deno.makeTempDir({ prefix: "troupe_headers_" });
  cleaning.defer(() => Deno.remove(DATA_DIR, { recursive: true }));
  const server = await ServerProcess.start({ DATA_DIR, BODY_MS: "500", ...variables });
  cleaning.use(server);
  return Number(server.port);
}

Deno.test("every kind of answer has the best grade of a scanner", async (t) => {
  await using cleaning = new AsyncDisposableStack();
  const port = await startServer(cleaning, {
    TRUSTED_PROXIES: "127.0.0.0/8",
    CORS_ORIGINS: "https://app.example.com",
  });
  const seen = new Set<number>();
  for (const [status, request] of kinds) {
    for (const isSecure of [false, true]) {
      const headers = [
        ...request.headers ?? [],
        ...isSecure
          ? [["x-forwarded-proto", "https"], ["origin", "https://app.example.com"]] as const
          : [],
      ];
      const name = `${request.method ?? "GET"} ${request.path} is ${status}`;
      await t.step(`${name}${isSecure ? ", over TLS, for another origin" : ""}`, async () => {
        const answer = await rawAnswer(port, requestText({ ...request, headers }));
        assert.equal(answer?.status, status, answer?.body);
        seen.add(answer!.status);
        const hasBody = answer!.body !== "";
        assert.deepEqual(faultsIn({ header: once(answer!), isSecure, hasBody }), []);
        const allowed = once(answer!)("access-control-allow-origin");
        assert.equal(allowed, isSecure ? "https://app.example.com" : undefined);
      });
    }
  }
  assert(seen.size >= 11);
});

Deno.test("whom the service sends to HTTPS, or away, it tells the same", async () => {
  await using cleaning = new AsyncDisposableStack();
  const port = await startServer(cleaning, { HTTPS_REDIRECT: "true", ALLOWED_HOSTS: "test" });
  const kinds: readonly (readonly [number, RawRequest])[] = [
    [308, { path: events }],
    [403, { method: "POST", path: events, body: plan }],
    [421, { path: events, headers: [["host", "other"]] }],
  ];
  for (const [status, request] of kinds) {
    const answer = await rawAnswer(port, requestText(request));
    assert.equal(answer?.status, status);
    const graded = { isSecure: false, hasBody: answer!.body !== "" };
    assert.deepEqual(faultsIn({ header: once(answer!), ...graded }), []);
  }
});

Deno.test("the scanner sees what is missing or too much", () => {
  const good = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "content-type": "application/json",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "private, no-store",
  };
  const faults = (headers: Readonly<Record<string, string>>) =>
    faultsIn({ header: (name) => headers[name], isSecure: false, hasBody: true });
  assert.deepEqual(faults(good), []);
  for (const name of Object.keys(good)) {
    const { [name as keyof typeof good]: _, ...rest } = good;
    if (name !== "content-type") assert.equal(faults(rest).length >= 1, true, name);
  }
  const bad: readonly (readonly [string, string])[] = [
    ["content-security-policy", "default-src 'none' 'unsafe-inline'; frame-ancestors 'none'"],
    ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
    ["content-type", "text/html"],
    ["access-control-allow-origin", "*"],
    ["strict-transport-security", "max-age=63072000; includeSubDomains"],
    ["server", "deno"],
    ["set-cookie", "a=b"],
    ["cache-control", "public"],
  ];
  for (const [name, value] of bad) assert(faults({ ...good, [name]: value }).length > 0, name);
});
