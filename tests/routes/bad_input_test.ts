/** Requests that make no sense: each a problem of its own, and none that of the service. */
import assert from "node:assert/strict";
import {
  Api,
  assertProblem,
  BODY_BYTES_MAX,
  type Client,
  draft,
  plan,
  published,
  registered,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const INVALID = "/problems/invalid-request";
const JSON_TYPE = { "content-type": "application/json" };
const REGISTRATION = "01900000-0000-7000-8000-000000000000";

/** Every command that takes a body, at a place where a good one would be accepted. */
async function bodied(
  alice: Client,
): Promise<readonly (readonly [method: string, path: string])[]> {
  const event = await published(alice);
  return [
    ["POST", "/events"],
    ["PATCH", event],
    ["POST", `${await draft(alice)}/publish`],
    ["POST", `${event}/cancel`],
    ["POST", `${event}/registrations`],
    ["DELETE", `${event}/registrations/${REGISTRATION}`],
    ["POST", `${event}/registrations/${REGISTRATION}/accept`],
  ];
}

const malformed: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>> = {
  "a cut-off object": '{"title":',
  "two values": "{} {}",
  "a comment": "{} // yes",
  "single quotes": "{'title':'a'}",
  "a bare word": "undefined",
  "nothing but space": "  ",
  "bytes that are not UTF-8": Uint8Array.of(0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d),
  "a lone surrogate in bytes": Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
  "60 kB of opening brackets": "[".repeat(60_000),
  "60 kB of opening objects": '{"a":'.repeat(12_000),
  "30,000 nested arrays": "[".repeat(30_000) + "]".repeat(30_000),
  "null": "null",
  "an array": "[]",
  "a number": "1",
  "a text": '"{}"',
  "an unknown field": '{"isAdmin":true}',
  "a field of every object": '{"constructor":{"prototype":{"isAdmin":true}}}',
  "__proto__": '{"__proto__":{"isAdmin":true}}',
  "__proto__ in disguise": '{"\\u005f_proto__":{"status":"published"}}',
};

for (const [name, content] of Object.entries(malformed)) {
  Deno.test(`${name} is no body of any command`, async () => {
    await using api = new Api(database);
    const alice = api.as("alice", "organizer");
    for (const [method, path] of await bodied(alice)) {
      assertProblem(await alice.send(method, path, content, JSON_TYPE), 400, INVALID);
    }
    assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined);
  });
}

Deno.test("a body of another type than JSON is not read", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const types = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/merge-patch+json",
    "application/json; charset=utf-16",
    "application/jsonp",
    "garbage",
  ];
  for (const [method, path] of await bodied(alice)) {
    for (const type of types) {
      const answer = await alice.send(method, path, "{}", { "content-type": type });
      assertProblem(answer, 415, "/problems/unsupported-media-type");
    }
  }
  const answer = await alice.send("POST", "/events");
  assertProblem(answer, 415, "/problems/unsupported-media-type");
});

Deno.test("a body that is too large is not read, whether its size is told or not", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const type = "/problems/body-too-large";
  const size = String(BODY_BYTES_MAX + 1);
  const chunk = new TextEncoder().encode(" ".repeat(16_384));
  for (const [method, path] of await bodied(alice)) {
    const content = " ".repeat(BODY_BYTES_MAX + 1);
    const declared = { ...JSON_TYPE, "content-length": size };
    assertProblem(await alice.send(method, path, content, declared), 413, type);
    assertProblem(await alice.send(method, path, content, JSON_TYPE), 413, type);
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        pulled++;
        controller.enqueue(chunk);
      },
    });
    assertProblem(await alice.send(method, path, endless, JSON_TYPE), 413, type);
    assert(pulled < 10, `${pulled} chunks were taken`);
  }
});

Deno.test("a body as large as may be is read", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const content = JSON.stringify(plan()).padEnd(BODY_BYTES_MAX);
  assert.equal((await alice.send("POST", "/events", content, JSON_TYPE)).status, 201);
});

const notText = [1, true, null, ["a"], { a: 1 }];
const unstorable = ["a\u0000", "\u0000", "\ud800", "a\udc00b", "\ud800\ud800", "\ude00\ud83d"];
const nested = JSON.parse('{"a":'.repeat(5_000) + "1" + "}".repeat(5_000));
const notTime = [
  ...notText,
  "",
  "tomorrow",
  "2040-02-30T10:00:00Z",
  "2041-02-29T10:00:00Z",
  "2040-13-01T10:00:00Z",
  "2040-06-01T25:00:00Z",
  "2040-06-01T24:00:00Z",
  "2040-06-01T23:59:60Z",
  "2040-06-01T10:00:00",
  "2040-06-01",
  "2040-06-01 10:00:00Z",
  "2040-06-01T10:00:00 Z",
  "20400601T100000Z",
  "2040-W22-5T10:00:00Z",
  "0000-06-01T10:00:00Z",
  "0000-01-01T00:00:00+23:59",
  "0001-01-01T00:00:00+00:01",
  "9999-12-31T23:59:59-23:59",
  "-000001-01-01T00:00:00Z",
  "+012040-06-01T10:00:00Z",
  "+275760-09-13T00:00:00Z",
  "+275760-09-13T00:00:01Z",
  "2040-06-01T10:00:00+24:00",
  "2040-06-01T10:00:00+99:99",
  `2040-06-01T10:00:00.${"0".repeat(60)}Z`,
  "２０４０-06-01T10:00:00Z",
  "infinity",
  "now",
  "Sat, 01 Jun 2040 10:00:00 GMT",
  2_222_222_222_222,
];
const notSeats = [-1, 1.5, 1e9, 1e308, "5", "", null, true, [5], { a: 5 }, 2 ** 53];

const badFields: Readonly<Record<string, readonly unknown[]>> = {
  title: ["", "a".repeat(201), nested, ...notText, ...unstorable],
  description: ["a".repeat(5_001), ...notText, ...unstorable],
  venue: ["a".repeat(201), ...notText, ...unstorable],
  startsAt: notTime,
  endsAt: notTime,
  capacity: [0, ...notSeats],
  waitlistCapacity: notSeats,
  offerMinutes: [0, 7 * 24 * 60 + 1, ...notSeats],
};

for (const [field, values] of Object.entries(badFields)) {
  Deno.test(`an event cannot be scheduled or revised with a bad ${field}`, async () => {
    await using api = new Api(database);
    const alice = api.as("alice", "organizer");
    const event = await draft(alice);
    for (const value of values) {
      for (
        const answer of [
          await alice.post("/events", plan({ [field]: value })),
          await alice.patch(event, { [field]: value }),
        ]
      ) {
        assertProblem(answer, 400, INVALID);
        assert.equal(answer.body.errors[0].path[0], field);
      }
    }
    assert.equal((await alice.get(event)).body.version, 1);
  });
}

Deno.test("no field that an event needs may be missing", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  for (const field of ["title", "startsAt", "endsAt", "capacity"]) {
    const answer = await alice.post("/events", plan({ [field]: undefined }));
    assertProblem(answer, 400, INVALID);
    assert.deepEqual(answer.body.errors.map(({ path }: { path: unknown }) => path), [[field]]);
  }
});

Deno.test("what the service decides cannot be sent along", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice);
  const fields = {
    id: REGISTRATION,
    status: "published",
    organizerId: "bob",
    version: 9,
    confirmed: 1,
    offered: 1,
  };
  for (const [field, value] of Object.entries(fields)) {
    assertProblem(await alice.post("/events", plan({ [field]: value })), 400, INVALID);
    assertProblem(await alice.patch(event, { [field]: value }), 400, INVALID);
  }
  const registration = await alice.post(`${event}/registrations`, { registrationId: REGISTRATION });
  assertProblem(registration, 400, INVALID);
});

Deno.test("an event starts in the future and ends after it starts", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const past = await alice.post("/events", plan({ startsAt: "2001-06-01T18:00:00Z" }));
  assertProblem(past, 422, "/problems/live-event/starts-in-past");
  for (const endsAt of ["2040-06-01T17:59:59Z", "2040-06-01T18:00:00Z"]) {
    const answer = await alice.post("/events", plan({ endsAt }));
    assertProblem(answer, 422, "/problems/live-event/ends-before-start");
  }
});

Deno.test("text is kept to the letter", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const odd = "'; drop table event; -- \\u0000 \\ \" \u200e\u2067 ﷽ 🎟👩‍👩‍👧 ${x} %s \ue000";
  const { body } = await alice.post("/events", plan({ title: odd, description: odd, venue: odd }));
  await using other = api.anotherNode();
  const found = await other.as("alice").get(`/events/${body.id}`);
  assert.deepEqual([found.body.title, found.body.description, found.body.venue], [odd, odd, odd]);
  const list = await alice.get(`/events?organizerId=${alice.id}`, since(found));
  assert.equal(list.body.items[0].title, odd);
});

Deno.test("nobody is registered under a user id that is none", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  for (const userId of ["", "a".repeat(201), ...notText, ...unstorable]) {
    const answer = await alice.post(`${event}/registrations`, { userId });
    assertProblem(answer, 400, INVALID);
    assert.deepEqual(answer.body.errors[0].path, ["userId"]);
  }
});

const badIds = [
  "1",
  "not-a-uuid",
  "a".repeat(10_000),
  "01900000-0000-7000-8000-00000000000g",
  "01900000000070008000000000000000",
  "{01900000-0000-7000-8000-000000000000}",
  "01900000-0000-7000-8000-000000000000%00",
  "01900000-0000-7000-8000-000000000000%0A",
  "%20",
  "%00",
  "%FF",
  "%E0%A4%A",
  "%",
  "%2F",
  "..%2F..%2Fetc%2Fpasswd",
  "%252e%252e",
  "%C3%BC",
  "ü",
  "🎟",
  "__proto__",
  "constructor",
  "null",
  "1'%20or%20'1'='1",
  "*",
];

Deno.test("an id that is no UUID names nothing", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  for (const id of badIds) {
    for (
      const answer of [
        await alice.get(`/events/${id}`),
        await alice.get(`/events/${id}/history`),
        await alice.get(`/events/${id}/registrations`),
        await alice.get(`/events/${id}/registrations/me`),
        await alice.patch(`/events/${id}`, {}),
        await alice.post(`/events/${id}/publish`),
        await alice.post(`/events/${id}/cancel`),
        await alice.post(`/events/${id}/registrations`, {}),
        await alice.delete(`/events/${id}/registrations/${REGISTRATION}`),
        await alice.delete(`${event}/registrations/${id}`),
        await alice.post(`${event}/registrations/${id}/accept`),
      ]
    ) {
      assertProblem(answer, 400, INVALID);
      assert.equal(answer.body.detail, "The path is not what this route accepts");
    }
  }
});

Deno.test("dots in a path lead nowhere", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  for (const path of ["/events/../x", "/events/%2e%2e/x", "//events", "/events//registrations"]) {
    assertProblem(await alice.get(path), 404, "about:blank");
  }
});

const encoded = (value: unknown) =>
  new TextEncoder().encode(JSON.stringify(value)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });

const badCursors = [
  "",
  "garbage",
  "!!!",
  "%00",
  "ü",
  "////",
  encoded(null),
  encoded({}),
  encoded([]),
  encoded([null]),
  encoded(["1"]),
  encoded([-1]),
  encoded([1.5]),
  encoded([2 ** 60]),
  encoded([1, 2, 3]),
  encoded(["2040-06-01T18:00:00.000Z"]),
  encoded(["2040-02-30T18:00:00.000Z", REGISTRATION]),
  encoded(["9999-12-31T23:59:59-23:59", REGISTRATION]),
  encoded(["infinity", REGISTRATION]),
  encoded(["2040-06-01T18:00:00.000Z", "1"]),
  encoded(["2040-06-01T18:00:00.000Z", "' or 1=1 --"]),
  encoded(["2040-06-01T18:00:00.000Z", REGISTRATION, 1]),
  encoded({ 0: 1, length: 1 }),
  encoded([["2040-06-01T18:00:00.000Z", REGISTRATION]]),
  new TextEncoder().encode("[1").toBase64(),
  Uint8Array.of(0xff, 0xfe).toBase64({ alphabet: "base64url" }),
  "A".repeat(1_501),
  "A".repeat(20_000),
  encoded([[[[[[1]]]]]]) + encoded([1]),
];

Deno.test("a cursor that no list gave leads nowhere", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const lists = ["/events", "/me/registrations", `${event}/registrations`, `${event}/history`];
  for (const list of lists) {
    for (const cursor of badCursors) {
      const answer = await alice.get(`${list}?cursor=${cursor}`);
      assertProblem(answer, 400, INVALID);
      assert.deepEqual(answer.body.errors[0].path, ["cursor"]);
    }
  }
});

Deno.test("a cursor with what no store can keep leads nowhere, in whichever part it is", async () => {
  await using api = new Api(database);
  const root = api.as("root", "admin", "trader");
  await api.as("feed", "feed").post("/markets/ACME/prices", { price: "10" });
  const at = "2040-06-01T18:00:00.000Z";
  const places: Readonly<Record<string, readonly unknown[]>> = {
    "/me/notices": [at, "a", "confirmed"],
    "/markets/ACME/alerts": [at, "market", "ACME", 1],
    "/risk/alerts": [at, "risk", "alice", 1],
    "/users": [at, "a"],
  };
  for (const [list, place] of Object.entries(places)) {
    assert.equal((await root.get(`${list}?cursor=${encoded(place)}`)).status, 200, list);
    for (const [at, part] of place.entries()) {
      if (typeof part !== "string") continue;
      for (const unstorable of ["\0", "\ud800", "x".repeat(401)]) {
        const cursor = encoded(place.with(at, part + unstorable));
        const answer = await root.get(`${list}?cursor=${cursor}`);
        assertProblem(answer, 400, INVALID);
        assert.deepEqual(answer.body.errors[0].path, ["cursor"]);
      }
    }
  }
});

Deno.test("a cursor of another list leads nowhere", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  await draft(alice);
  for (const name of ["ann", "ben"]) await registered(api.as(name), event);
  const seen = since(await alice.get(event));
  const events = await alice.get(`/events?limit=1&organizerId=${alice.id}`, seen);
  const registrations = await alice.get(`${event}/registrations?limit=1`, seen);
  for (
    const path of [
      `${event}/registrations?cursor=${events.body.nextCursor}`,
      `${event}/history?cursor=${events.body.nextCursor}`,
      `/events?cursor=${registrations.body.nextCursor}`,
      `/me/registrations?cursor=${registrations.body.nextCursor}`,
    ]
  ) {
    assertProblem(await alice.get(path), 400, INVALID);
  }
});

Deno.test("a cursor far behind the end finds an empty page", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const far = encoded([Number.MAX_SAFE_INTEGER]);
  const late = encoded(["9999-12-31T23:59:59.999Z", REGISTRATION]);
  const early = encoded(["0001-01-01T00:00:00Z", REGISTRATION]);
  for (
    const path of [
      `${event}/history?cursor=${far}`,
      `${event}/registrations?cursor=${far}`,
      `/events?cursor=${late}`,
      `/me/registrations?cursor=${early}`,
    ]
  ) {
    assert.deepEqual((await alice.get(path)).body, { items: [] });
  }
});

Deno.test("a query that makes no sense is refused", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice);
  const lists = ["/events", "/me/registrations", `${event}/registrations`, `${event}/history`];
  const onAny = [
    ...["0", "-1", "201", "1.5", "abc", "", "1e2", "0x10", "99999", "%00", "１", "1%20"]
      .map((limit) => `limit=${limit}`),
    "limit=1&limit=2",
    "limit=1&limit=1",
    "unknown=1",
    "__proto__=1",
    "constructor=1",
    "Limit=1",
    "limit[]=1",
    "=1",
    "limit=1;cursor=x",
  ];
  const notTimes = notTime.filter((value) => typeof value === "string").map(encodeURIComponent);
  const onEvents = [
    ...["all", "", "Draft", "draft,published", "unscheduled"].map((status) => `status=${status}`),
    ...notTimes.flatMap((time) => [`from=${time}`, `to=${time}`]),
    "status=draft&status=published",
    "from=2040-06-01T18:00:00Z&from=2040-06-01T18:00:00Z",
    "q=",
    "q=%00",
    `q=${"a".repeat(201)}`,
    "q=a&q=b",
    "organizerId=",
    "organizerId=a%00b",
    `organizerId=${"a".repeat(201)}`,
  ];
  const onRegistrations = ["status=draft", "status=", "status=confirmed&status=confirmed", "q=a"];
  const asked = [
    ...lists.flatMap((list) => onAny.map((query) => `${list}?${query}`)),
    ...onEvents.map((query) => `/events?${query}`),
    ...onRegistrations.map((query) => `${event}/registrations?${query}`),
    "/me/registrations?status=confirmed",
    `${event}/history?type=Published`,
    `${event}?versions=1`,
    `${event}?version=1&version=1`,
  ];
  for (const path of asked) {
    const answer = await alice.get(path);
    assert.equal(answer.status, 400, `${path} ${answer.text}`);
    assertProblem(answer, 400, INVALID);
    assert.equal(answer.body.detail, "The query is not what this route accepts");
  }
});

Deno.test("a query at the edge of what makes sense is answered", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  for (
    const query of [
      "",
      "limit=1",
      "limit=200",
      "limit=0200",
      "from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59.999Z",
      "q=%FF",
      "q=%ED%A0%80",
      `q=${encodeURIComponent("🎟".repeat(100))}`,
      `q=${encodeURIComponent('"'.repeat(200))}`,
      `q=${encodeURIComponent("-a or ".repeat(33))}`,
      `q=${encodeURIComponent("\u0001\u2028")}`,
      `organizerId=${encodeURIComponent("'; --")}`,
    ]
  ) {
    assert.equal((await alice.get(`/events?${query}`)).status, 200, query);
  }
});

const wrongTags = ["3", '"3', "3'", "", "garbage", '"1", "2"', 'W/"1', 'w/"1"', "**", '"\t"'];
const tagsOfNoVersion = ['W/"1"', '"abc"', '""', '"01"', '"-1"', '"1.0"', `"${"9".repeat(40)}"`];

Deno.test("an If-Match that is no entity tag is refused, one of no version matches none", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await draft(alice);
  for (const tag of wrongTags) {
    const answer = await alice.patch(event, { capacity: 9 }, { "if-match": tag });
    assertProblem(answer, 400, INVALID);
    assert.match(answer.body.detail, /If-Match/);
  }
  for (const tag of tagsOfNoVersion) {
    const answer = await alice.patch(event, { capacity: 9 }, { "if-match": tag });
    assertProblem(answer, 412, "/problems/version-mismatch");
  }
  assert.equal((await alice.get(event)).body.version, 1);
});

Deno.test("headers that are not understood do no harm", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  for (
    const headers of [
      { accept: "text/html" },
      { accept: "garbage" },
      { "accept-encoding": "br;q=oops" },
      { range: "bytes=0-1" },
      { "if-none-match": "garbage" },
      { "x-correlation-id": "'; drop table event --" },
      { traceparent: "garbage" },
      { "x-http-method-override": "DELETE" },
      { cookie: "=;=;\x01" },
      { host: "evil.example" },
      { "x-forwarded-for": "\xff" },
    ]
  ) {
    const answer = await alice.post("/events", plan(), headers as Record<string, string>);
    assert.equal(answer.status, 201, JSON.stringify(headers));
    assert.match(answer.headers.get("x-correlation-id")!, /^[0-9a-f-]{36}$/);
  }
});
