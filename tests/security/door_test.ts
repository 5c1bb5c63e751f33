/** Under which names, from which pages and how the service lets itself be called. */
import assert from "node:assert/strict";
import { type RawAnswer, rawAnswer, type RawRequest, requestText } from "../support/raw_answer.ts";
import { Http2Connection } from "../support/http2_connection.ts";
import { ServerProcess, tokenFor } from "../support/server_process.ts";

const olga = ["authorization", `Bearer ${await tokenFor("olga", "organizer")}`] as const;
const json = ["content-type", "application/json"] as const;
const APP = "https://app.example.com";
const events = "/api/v1/events";

interface Asking extends AsyncDisposable {
  readonly port: number;
  (request: RawRequest): Promise<RawAnswer>;
}

async function serverWith(variables: Readonly<Record<string, string>>): Promise<Asking> {
  await using starting = new AsyncDisposableStack();
  const DATA_DIR = await Deno.makeTempDir({ prefix: "troupe_door_" });
  starting.defer(() => Deno.remove(DATA_DIR, { recursive: true }));
  const server = starting.use(await ServerProcess.start({ DATA_DIR, ...variables }));
  const resources = starting.move();
  const ask = async (request: RawRequest) => {
    const answer = await rawAnswer(Number(server.port), requestText(request));
    assert(answer !== undefined, "it is answered");
    return answer;
  };
  return Object.assign(ask, {
    port: Number(server.port),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  });
}

function only({ headers }: RawAnswer, name: string): string | undefined {
  const values = headers.get(name) ?? [];
  assert(values.length <= 1, `${name} came once`);
  return values[0];
}

Deno.test("without configuration it is called under any name, and allows no other origin", async (t) => {
  await using ask = await serverWith({});
  const odd = [
    "",
    "a b",
    "a/b",
    "a?b",
    "a#b",
    "a@b",
    "a,b",
    "a\\b",
    "a%62",
    "a:b",
    "a:123456",
    "é",
  ];
  for (const host of [...odd, "[::1", "x/health/live?", "test/..", `${"a".repeat(254)}`]) {
    await t.step(`a host that is none is 400: "${host.slice(0, 20)}"`, async () => {
      const answer = await ask({ path: "/health/live", headers: [["host", host]] });
      assert.equal(answer.status, 400);
      assert.equal(JSON.parse(answer.body).type, "/problems/invalid-request");
    });
  }
  for (const host of ["test", "TEST:80", "a.b-c_d.example:8000", "127.0.0.1", "[::1]:8000"]) {
    await t.step(`a host is one: ${host}`, async () => {
      const answer = await ask({ path: "/health/live", headers: [["host", host]] });
      assert.equal(answer.status, 200);
    });
  }
  await t.step("a target with a host of its own must name the same", async () => {
    const one = await ask({ path: "http://evil.example/health/live" });
    const same = await ask({ path: "http://test/health/live" });
    assert.deepEqual([one.status, same.status], [400, 200]);
  });
  await t.step("what a proxy of nobody's says of it counts for nothing", async () => {
    const poison: RawRequest["headers"] = [
      olga,
      ["x-forwarded-host", "evil.example"],
      ["x-forwarded-proto", "https"],
      ["x-original-url", "/health/live"],
      ["x-rewrite-url", "/health/live"],
      ["forwarded", "host=evil.example;proto=https"],
      ["x-http-method-override", "DELETE"],
    ];
    const answer = await ask({ path: events, headers: poison });
    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.body), { items: [] });
    assert.equal(only(answer, "strict-transport-security"), undefined);
    assert(!JSON.stringify([...answer.headers]).includes("evil"));
  });
  await t.step("no page of another origin may read or send", async () => {
    const read = await ask({ path: events, headers: [olga, ["origin", APP]] });
    assert.equal(read.status, 200);
    const preflight = await ask({
      method: "OPTIONS",
      path: events,
      headers: [["origin", APP], ["access-control-request-method", "POST"]],
    });
    assert.equal(preflight.status, 401);
    for (const answer of [read, preflight]) {
      const names = [...answer.headers.keys()];
      assert.deepEqual(names.filter((name) => name.startsWith("access-control-")), []);
    }
  });
});

Deno.test("pages of listed origins may call it, and of no other", async (t) => {
  await using ask = await serverWith({ CORS_ORIGINS: `${APP}, http://localhost:5173` });
  const preflightOf = (origin: string) =>
    ask({
      method: "OPTIONS",
      path: events,
      headers: [
        ["origin", origin],
        ["access-control-request-method", "PATCH"],
        ["access-control-request-headers", "authorization,if-match"],
      ],
    });
  for (const origin of [APP, "http://localhost:5173"]) {
    await t.step(`${origin} is asked for no token before it may`, async () => {
      const answer = await preflightOf(origin);
      assert.deepEqual([answer.status, answer.body], [204, ""]);
      assert.equal(only(answer, "access-control-allow-origin"), origin);
      assert.equal(only(answer, "vary"), "Origin");
      const methods = only(answer, "access-control-allow-methods")!.split(", ");
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
        assert(methods.includes(method), method);
      }
      const headers = only(answer, "access-control-allow-headers")!.toLowerCase().split(", ");
      for (const name of ["authorization", "content-type", "if-match", "idempotency-key"]) {
        assert(headers.includes(name), name);
      }
      assert(!headers.includes("x-api-key"), "nothing reads it");
      assert.equal(only(answer, "access-control-allow-credentials"), undefined);
    });
    await t.step(`${origin} may read what it is answered, refusals as well`, async () => {
      for (const headers of [[olga], []]) {
        const answer = await ask({ path: events, headers: [...headers, ["origin", origin]] });
        assert.equal(answer.status, headers.length === 0 ? 401 : 200);
        assert.equal(only(answer, "access-control-allow-origin"), origin);
        assert.equal(only(answer, "vary"), "Origin");
        const exposed = only(answer, "access-control-expose-headers")!.split(", ");
        for (
          const name of [
            "ETag",
            "Location",
            "Consistency-Token",
            "RateLimit",
            "Retry-After",
            "X-Correlation-Id",
          ]
        ) {
          assert(exposed.includes(name), name);
        }
      }
    });
  }
  const others = [
    "null",
    "*",
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://sub.app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com/",
    "https://APP.example.com",
    "https://app.example.com, https://evil.example",
    "https://app.example.com\u0020",
    "http://localhost",
    "http://localhost:51730",
    "file://",
    "",
  ];
  for (const origin of others.filter((origin) => origin.trim() === origin)) {
    await t.step(`"${origin}" may not`, async () => {
      const preflight = await preflightOf(origin);
      assert.equal(preflight.status, 403);
      assert.equal(JSON.parse(preflight.body).type, "/problems/origin-not-allowed");
      const read = await ask({ path: events, headers: [olga, ["origin", origin]] });
      assert.equal(read.status, 200);
      for (const answer of [preflight, read]) {
        assert.equal(only(answer, "access-control-allow-origin"), undefined);
        assert.equal(only(answer, "vary"), "Origin");
      }
    });
  }
  await t.step("who says nothing of an origin is told that answers vary by it", async () => {
    for (const path of ["/health/live", events, "/nowhere"]) {
      assert.equal(only(await ask({ path, headers: [olga] }), "vary"), "Origin");
    }
  });
  await t.step(
    "what a page can send without asking changes nothing: forms, text, cookies",
    async () => {
      const plan = JSON.stringify({ title: "CSRF" });
      const simple = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];
      for (const type of [...simple, undefined]) {
        for (const origin of ["https://evil.example", APP]) {
          const headers: RawRequest["headers"] = [
            ["origin", origin],
            ["cookie", `token=${olga[1]}; authorization=${olga[1]}`],
            ...type === undefined ? [] : [["content-type", type] as const],
          ];
          const anonymous = await ask({ method: "POST", path: events, headers, body: plan });
          assert.equal(anonymous.status, 401, "a cookie is no token");
          const known = { method: "POST", path: events, headers: [...headers, olga], body: plan };
          assert.equal((await ask(known)).status, 415);
        }
      }
      const listed = await ask({ path: events, headers: [olga] });
      assert.deepEqual(JSON.parse(listed.body), { items: [] });
    },
  );
});

Deno.test("it is called under listed names only, and by HTTPS where it says so", async (t) => {
  await using ask = await serverWith({
    ALLOWED_HOSTS: "api.example.com, 127.0.0.1:8443, [::1]",
    HTTPS_REDIRECT: "true",
    TRUSTED_PROXIES: "127.0.0.1",
  });
  const tls = ["x-forwarded-proto", "https"] as const;
  for (const host of ["api.example.com", "API.example.com:444", "127.0.0.1:8443", "[::1]:80"]) {
    await t.step(`${host} is one`, async () => {
      const answer = await ask({ path: events, headers: [["host", host], olga, tls] });
      assert.equal(answer.status, 200);
    });
  }
  const others = ["example.com", "evil.api.example.com", "api.example.com.evil.com", "127.0.0.1"];
  for (const host of [...others, "127.0.0.1:84430", "localhost", "api.example.com."]) {
    await t.step(`${host} is none`, async () => {
      for (const path of [events, "/health/live"]) {
        const answer = await ask({ path, headers: [["host", host], olga, tls] });
        assert.equal(answer.status, 421);
        assert.equal(JSON.parse(answer.body).type, "/problems/misdirected");
        assert(!answer.body.includes("api.example.com"), "the list is nobody's to know");
      }
    });
  }
  const host = ["host", "api.example.com:80"] as const;
  await t.step("no Host at all is none of them", async () => {
    assert.equal((await ask({ path: events, hasNoHost: true, headers: [olga, tls] })).status, 421);
  });
  await t.step("what is read is sent on, with its path and query as they came", async () => {
    const path = "/api/v1/events?q=a%0d%0aset-cookie:%20b&x=//evil.example/..%2f";
    for (const method of ["GET", "HEAD"]) {
      const answer = await ask({ method, path, headers: [host] });
      assert.equal(answer.status, 308);
      assert.equal(only(answer, "location"), `https://api.example.com${path}`);
      assert.equal(only(answer, "set-cookie"), undefined);
      assert.equal(answer.body, "");
    }
    const odd = await ask({ path: "//evil.example/%0d%0ax:y", headers: [host] });
    assert.equal(only(odd, "location"), "https://api.example.com//evil.example/%0d%0ax:y");
  });
  await t.step("what changes something is refused, and told why", async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      const answer = await ask({ method, path: events, headers: [host, olga, json], body: "{}" });
      assert.equal(answer.status, 403);
      assert.equal(JSON.parse(answer.body).type, "/problems/https-required");
    }
  });
  await t.step("the last proxy has the word, not whoever spoke before it", async () => {
    const path = events;
    const statusFor = async (...values: readonly string[]) => {
      const forwarded = values.map((value) => ["x-forwarded-proto", value] as const);
      return (await ask({ path, headers: [host, olga, ...forwarded] })).status;
    };
    assert.equal(await statusFor("https"), 200);
    assert.equal(await statusFor("http", "HTTPS"), 200);
    assert.equal(await statusFor("http, https"), 200);
    assert.equal(await statusFor("https", "http"), 308);
    assert.equal(await statusFor("https, http"), 308);
    assert.equal(await statusFor("httpss"), 308);
    assert.equal(await statusFor(""), 308);
  });
  await t.step("health is asked for from beside the service, in the open", async () => {
    assert.equal((await ask({ path: "/health/live", headers: [host] })).status, 200);
    assert.equal((await ask({ path: "/healthy", headers: [host] })).status, 308);
    assert.equal((await ask({ path: "/x/health/live", headers: [host] })).status, 308);
  });
});

Deno.test("a proxy that is not trusted cannot say that it came by HTTPS", async () => {
  await using ask = await serverWith({
    ALLOWED_HOSTS: "test",
    HTTPS_REDIRECT: "true",
    TRUSTED_PROXIES: "10.0.0.0/8, 2001:db8::/32",
  });
  const answer = await ask({ path: events, headers: [olga, ["x-forwarded-proto", "https"]] });
  assert.equal(answer.status, 308);
  assert.equal(only(answer, "strict-transport-security"), undefined);
});

Deno.test("nobody says of themselves that they came by HTTPS", async (t) => {
  await using ask = await serverWith({ ALLOWED_HOSTS: "test", HTTPS_REDIRECT: "true" });
  const Location = `https://test${events}`;
  for (const scheme of ["https", "HTTPS", "http"]) {
    await t.step(`not by a target in full: ${scheme}`, async () => {
      const answer = await ask({ path: `${scheme}://test${events}`, headers: [olga] });
      assert.equal(answer.status, 308);
      assert.equal(only(answer, "location"), Location);
      assert.equal(only(answer, "strict-transport-security"), undefined);
    });
  }
  for (const scheme of ["https", "http"]) {
    await t.step(`not by the scheme of HTTP/2: ${scheme}`, async () => {
      using connection = new Http2Connection(ask.port, { windowBytes: 65_535 });
      const target = { ":path": events, ":scheme": scheme, ":authority": "test" };
      const answer = await connection.headOf({ ...target, [olga[0]]: olga[1] });
      assert.equal(answer[":status"], 308);
      assert.equal(answer.location, Location);
      assert.equal(answer["strict-transport-security"], undefined);
    });
  }
});
