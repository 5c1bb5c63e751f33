/** Thousands of requests that nobody would think of: none may be more than the service can take. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  type Answer,
  Api,
  assertProblem,
  type Client,
  databaseOfThisFile,
  draft,
  itemsOf,
  plan,
  published,
  registered,
  since,
} from "../support/api.ts";

const database = await databaseOfThisFile();

const RUNS = 200;
const REQUESTS_OF_A_RUN = 20;

/** In paths, `{draft}` and the like stand for ids that are there. */
interface Attempt {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly content: string | Uint8Array<ArrayBuffer> | undefined;
  /** Their place among the callers. */
  readonly caller: number;
}

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("\u0000", "\ud800", "\udfff", "é", "🎟", "'", "%", "\\") }),
  fc.constantFrom("__proto__", "constructor", "a".repeat(201), "2040-02-30T00:00:00Z"),
);
const escaped = anyText.map((text) => encodeURIComponent(text.toWellFormed()));

const anyTime = fc.oneof(
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom(
    ...["2039-06-01T18:00:00Z", "0000-12-31T00:00:00Z"],
    ...["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"],
  ),
  fc.record({
    year: fc.constantFrom("0000", "0001", "1999", "2040", "9999"),
    day: fc.constantFrom("01-01", "02-29", "02-30", "12-31", "13-01"),
    time: fc.constantFrom("00:00", "23:59", "23:59:59.999", "24:00"),
    offset: fc.constantFrom("Z", "", "+00:01", "-23:59", "+24:00"),
  }).map(({ year, day, time, offset }) => `${year}-${day}T${time}${offset}`),
);
const anyNumber = fc.oneof(
  fc.integer({ min: -2, max: 5 }),
  fc.double(),
  fc.constantFrom(1e9, 2 ** 31, 2 ** 53, -0, 1_000_000),
);
const anyValue = fc.oneof(anyText, anyTime, anyNumber, fc.jsonValue({ maxDepth: 3 }));

const anyCursor = fc.oneof(
  fc.base64String(),
  fc.oneof(
    fc.jsonValue(),
    fc.tuple(fc.oneof(anyTime, fc.constant("2040-06-01T18:00:00.000Z")), fc.uuid()),
    fc.tuple(anyNumber),
  ).map((key) => new TextEncoder().encode(JSON.stringify(key)).toBase64({ alphabet: "base64url" })),
);

/** Values that are nearly what such a parameter takes. */
const parameters: Readonly<Record<string, fc.Arbitrary<string>>> = {
  limit: fc.constantFrom("1", "2", "200", "0", "-1", "201", "01", "１"),
  cursor: anyCursor,
  status: fc.constantFrom("draft", "published", "confirmed", "withdrawn", "all"),
  from: anyTime.map(encodeURIComponent),
  to: anyTime.map(encodeURIComponent),
  organizerId: escaped,
  q: escaped,
  version: fc.constantFrom("1", "2", "0", "999999999999999", "1e3"),
};
const anyParameter = fc.oneof(
  {
    arbitrary: fc.constantFrom(...Object.entries(parameters))
      .chain(([name, values]) => values.map((value) => `${name}=${value}`)),
    weight: 9,
  },
  fc.tuple(escaped, escaped).map((parameter) => parameter.join("=")),
  fc.constantFrom("limit=1&limit=1", "q=%00", "q=%zz", "__proto__=1"),
);
const anyQuery = fc.array(anyParameter, { minLength: 1, maxLength: 2 })
  .map((parameters) => `?${parameters.join("&")}`);

const anySegment = fc.oneof(
  escaped,
  fc.string(),
  fc.constantFrom("..", "%2e%2e", "%00", "%ff", "%", "%2F", "me", "{draft}", "{open}", "{anns}"),
  fc.uuid(),
);
const anyPath = fc.array(anySegment, { maxLength: 4 }).map((segments) =>
  ["/events", ...segments].join("/")
);

const anyHeaderText = fc.oneof(
  anyText.filter((text) => /^[\x21-\x7e\x80-\xff]*$/.test(text)),
  fc.constantFrom("", "*", "a,b", '"', "a".repeat(9_000)),
);
const anyHeader = fc.oneof(
  fc.constantFrom<[string, string][]>(
    ["content-type", "application/json; charset=utf-8"],
    ["content-type", "text/plain"],
    ["if-match", '"1"'],
    ["if-match", '"2"'],
    ["if-match", 'W/"1"'],
    ["idempotency-key", "one"],
    ["idempotency-key", '"one"'],
    ["idempotency-key", "two"],
    // Of writes that have been: one to come would be waited for.
    ["consistency-token", "t0"],
    ["consistency-token", "t1"],
    ["cache-control", "no-cache"],
    ["content-encoding", "gzip"],
    ["content-length", "70000"],
    ["content-length", "1e99"],
  ),
  fc.tuple(
    fc.constantFrom(
      ...["content-type", "if-match", "idempotency-key", "cache-control", "authorization"],
      ...["accept", "x-correlation-id", "traceparent", "content-length", "content-encoding"],
    ),
    anyHeaderText,
  ),
  anyHeaderText.filter((text) => !/^t\d/.test(text)).map((text) => ["consistency-token", text]),
);

/** Values that are nearly what such a field takes. */
const fields: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  title: anyText,
  description: anyText,
  venue: anyText,
  userId: anyText,
  startsAt: anyTime,
  endsAt: anyTime,
  capacity: anyNumber,
  waitlistCapacity: anyNumber,
};

/** Good bodies, and what becomes of them when values, names or single characters change. */
function contentNear(good: object): fc.Arbitrary<Attempt["content"]> {
  const known = Object.entries(fields).filter(([field]) => field in good);
  const near = fc.constantFrom(...known, ["title", anyText] as const).chain(([field, values]) =>
    values.map((value) => JSON.stringify({ ...good, [field]: value }))
  );
  const changed = fc.dictionary(anyText, anyValue, { maxKeys: 2 })
    .map((changes) => JSON.stringify({ ...good, ...changes }));
  const torn = fc.tuple(near, fc.nat(), fc.string({ maxLength: 3 })).map(
    ([text, at, inserted]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + inserted + text.slice(place + 1);
    },
  );
  return fc.oneof(
    { arbitrary: near, weight: 6 },
    changed,
    torn,
    fc.json(),
    fc.uint8Array().map((bytes) => Uint8Array.from(bytes)),
    fc.constantFrom("", undefined, "[".repeat(60_000), " ".repeat(70_000)),
  );
}

const full = plan({ description: "a", venue: "b", waitlistCapacity: 1, offerMinutes: 1 });

const goods: readonly (readonly [method: string, path: string, body?: object])[] = [
  ["POST", "/events", full],
  ["POST", "/events", full],
  ["POST", "/events", full],
  ["PATCH", "/events/{draft}", full],
  ["PATCH", "/events/{open}", { title: "Other", capacity: 3 }],
  ["POST", "/events/{draft}/publish", {}],
  ["POST", "/events/{open}/cancel", {}],
  ["POST", "/events/{open}/registrations", {}],
  ["POST", "/events/{open}/registrations", { userId: "zoe" }],
  ["DELETE", "/events/{open}/registrations/{anns}"],
  ["POST", "/events/{open}/registrations/{anns}/accept", {}],
  ["GET", "/events"],
  ["GET", "/events"],
  ["GET", "/events/{open}"],
  ["GET", "/events/{open}/history"],
  ["GET", "/events/{open}/registrations"],
  ["GET", "/events/{open}/registrations/me"],
  ["GET", "/me/registrations"],
  ["GET", "/health/ready"],
];

/** Mostly as it was, so that enough goes deep. */
function mostly<T>(usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ arbitrary: fc.constant(usual), weight: 2 }, other);
}

const anyAttempt: fc.Arbitrary<Attempt> = fc.constantFrom(...goods).chain(([method, path, body]) =>
  fc.record({
    method: mostly(
      method,
      fc.constantFrom("GET", "POST", "PATCH", "DELETE", "HEAD", "PUT", "OPTIONS", "ALL"),
    ),
    path: fc.oneof(
      fc.constant(path),
      anyQuery.map((query) => path + query),
      fc.tuple(anyPath, fc.oneof(fc.constant(""), anyQuery)).map((parts) => parts.join("")),
    ),
    headers: fc.array(anyHeader, { maxLength: 2 }).map((headers) => {
      return { "content-type": "application/json", ...Object.fromEntries(headers) };
    }),
    content: mostly(body && JSON.stringify(body), contentNear(body ?? {})),
    caller: mostly(0, fc.nat(5)),
  })
);

/** What there is to aim at, anew for each run: little survives one. */
interface Targets {
  readonly callers: readonly Client[];
  readonly ids: Readonly<Record<string, string>>;
}

async function targets(api: Api): Promise<Targets> {
  const [alice, ann] = [api.as("alice", "organizer"), api.as("ann")];
  const [closed, open] = [await draft(alice), await published(alice)];
  const anns = await registered(ann, open);
  const [, , draftId] = closed.split("/");
  const [, , openId] = open.split("/");
  const expired = await api.token({ ttlMs: -60_000 });
  const strangers = [undefined, expired, "a.b.c"].map((token) => api.bearing(token));
  return {
    callers: [alice, ann, api.as("root", "admin"), ...strangers],
    ids: { "{draft}": draftId!, "{open}": openId!, "{anns}": anns },
  };
}

async function send({ callers, ids }: Targets, attempt: Attempt): Promise<Answer> {
  const { method, headers, content, caller } = attempt;
  const path = attempt.path.replace(/\{\w+\}/g, (name) => ids[name] ?? name);
  const mayCarry = method !== "GET" && method !== "HEAD";
  return await callers[caller]!.send(method, path, mayCarry ? content : undefined, headers);
}

function assertSound({ method }: Attempt, answer: Answer): void {
  const { status, headers, body, text, path } = answer;
  assert(status >= 200 && status < 500, `${status} ${text}`);
  if (method !== "HEAD") {
    if (status >= 400) assertProblem(answer, status, body?.type);
    else assert.equal(text === "", status === 204);
  }
  if (path.startsWith("/api/")) assert(headers.has("x-correlation-id"));
}

Deno.test("no request whatever is more than the service can take", async () => {
  await using api = new Api(database);
  const met = new Set<number>();
  const attempts = { minLength: REQUESTS_OF_A_RUN, maxLength: REQUESTS_OF_A_RUN };
  await fc.assert(
    fc.asyncProperty(fc.array(anyAttempt, attempts), async (attempts) => {
      const aims = await targets(api);
      const answers = await Promise.all(attempts.map((attempt) => send(aims, attempt)));
      for (const [n, answer] of answers.entries()) {
        assertSound(attempts[n]!, answer);
        met.add(answer.status);
      }
    }),
    { numRuns: RUNS },
  );

  // Otherwise it was not much of a search.
  for (const status of [200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 413, 415, 422]) {
    assert(met.has(status), `nothing was answered with ${status}`);
  }
  assert.deepEqual(api.bugs, []);
  assert.deepEqual(api.observed.filter(({ type }) => type.endsWith("-failed")), []);

  // Whatever was accepted, the lists have come to terms with it.
  const admin = api.as("root", "admin");
  const written = await admin.post("/events", plan());
  for (const item of await itemsOf(admin, "/events?limit=200", since(written))) {
    const { body } = await admin.get(`/events/${item.id}`, { "cache-control": "no-cache" });
    assert.deepEqual(item, body);
  }
});
